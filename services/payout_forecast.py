"""What falls due when, as the next batch of each scheme would plan it today."""

from collections.abc import Iterator, Sequence
from datetime import date

from domain.settlement.forecast import Accounts, DatedDebt, pieces_of
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Terms
from domain.settlement.periods import begun_between, period_of
from domain.settlement.scheme import CYCLES, Cycle, Scheme
from services.payee_terms import today
from services.payout_holds import held_until
from storage.payees import Payees
from storage.report_forecast import ForecastRows, Held
from storage.report_frames import Falling
from storage.unit_of_work import UnitOfWork

_AT_ONCE = 2_000
_Key = tuple[str, str, date | None, str]


async def falling(work: UnitOfWork, schemes: Sequence[Scheme], payee: int | None) -> Sequence[Falling]:
    """What falls due by these schemes, in the versions that payouts go by; of one payee only, where one is given."""
    sums: dict[_Key, tuple[int, int]] = {}
    for scheme in schemes:
        calendar = _Calendar(scheme, today(work.now))
        for currency in await ForecastRows(work).currencies(scheme.name):
            some: list[Sequence[Held]] = []
            until = await held_until(work, scheme.name, currency)
            async for each in ForecastRows(work).held(scheme.name, currency, until, payee):
                some.append(each)
                if len(some) == _AT_ONCE:
                    await _add(work, sums, calendar, currency, some)
                    some = []
            await _add(work, sums, calendar, currency, some)
    return [Falling(*key, payees, amount) for key, (payees, amount) in sums.items() if amount]


class _Calendar:
    """When instalments of what was taken back are due."""

    def __init__(self, scheme: Scheme, day: date) -> None:
        self.scheme = scheme
        self.day = day
        self.terms = Terms(minimum_minor=scheme.minimum, instalments=scheme.instalments, keep=scheme.keep)

    def debt(self, of: Held) -> DatedDebt:
        """A debt, how long ago it was taken back, and when what is not due of it yet is."""
        cycle, since = next(each for each in CYCLES if each == of.cycle), of.day or self.day
        most = self.terms.instalments
        ago = begun_between(cycle, since, self.day, most)
        return DatedDebt(of.amount_minor, ago, list(_following(cycle, max(since, self.day), most)))

    def accounts(self, held: Sequence[Held], details: PayoutDetails | None) -> Accounts:
        """One payee's."""
        due = sum(each.amount_minor for each in held if each.where == "payable" or self._is_due(each))
        return Accounts(
            payable_minor=due,
            held={
                each.day: each.amount_minor
                for each in held
                if each.where == "held" and each.day is not None and not self._is_due(each)
            },
            paying={each.day or self.day: each.amount_minor for each in held if each.where == "paying"},
            debts=[self.debt(each) for each in held if each.where == "owed"],
            repaid_minor=sum(each.amount_minor for each in held if each.where == "repaid"),
            details=details,
        )

    def _is_due(self, each: Held) -> bool:
        """Whether a batch of this day releases it."""
        return each.where == "held" and each.day is not None and each.day <= self.day


async def _add(
    work: UnitOfWork,
    sums: dict[_Key, tuple[int, int]],
    calendar: _Calendar,
    currency: str,
    payees: Sequence[Sequence[Held]],
) -> None:
    """Add up what these payees have."""
    known = await Payees(work).receiving([held[0].payee for held in payees])
    for held in payees:
        active, details = known[held[0].payee]
        accounts = calendar.accounts(held, details if active else None)
        for piece in pieces_of(accounts, calendar.terms, calendar.day):
            key = (calendar.scheme.name, piece.sort, piece.due, currency)
            count, amount = sums.get(key, (0, 0))
            sums[key] = (count + 1, amount + piece.amount_minor)


def _following(cycle: Cycle, day: date, count: int) -> Iterator[date]:
    """With which days so many periods after the present one begin."""
    for _ in range(count):
        day = period_of(cycle, day)[1]
        yield day
