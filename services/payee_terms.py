"""What is said of payees' roles, cycles and activity, each from a day on; what is closed stays as it was settled.

A change is refused where a closed period would see the payee otherwise than it was settled with. So nothing of what is
closed is computed anew for it, and what is booked late for other reasons finds the payee as it was.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from domain.problems import ConflictProblem, RuntimeProblem, Text
from domain.settlement.payee_terms import (
    PayeeTerms,
    begun_by,
    holding_on,
    is_paid_by,
    refuse_split_periods,
    standing_in,
    with_terms,
)
from domain.settlement.payees import NewPayee
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from storage.definitions import Definitions
from storage.engine import Database
from storage.payee_terms import ClosedPeriod, PayeeTermBook
from storage.payees import PayeeRow, Payees, Upline
from storage.unit_of_work import UnitOfWork

_SHANGHAI = ZoneInfo("Asia/Shanghai")


def today(now: datetime) -> date:
    """The Shanghai day of an instant."""
    return now.astimezone(_SHANGHAI).date()


@dataclass(frozen=True, slots=True)
class ChangedTerms:
    """What holds of a payee from a day on that did not before; fields: what of it is another than it was that day."""

    since: date
    fields: Sequence[str]


async def change_terms(
    work: UnitOfWork, by: str, told: Sequence[tuple[PayeeRow, NewPayee]]
) -> Mapping[str, ChangedTerms]:
    """Let payees have these terms, and their rows say what holds today; what changed, by code.

    The caller holds the book. Nothing changes of who has them on that day already. Whoever leaves the day out means
    today, or the payee's first day where that is to come.

    :raises ValidationProblem: a period would be cut by a change of cycle.
    :raises ConflictProblem: a closed period would see a payee otherwise; it names the first open day.
    """
    book, day = PayeeTermBook(work), today(work.now)
    held = await book.of([row.id for row, _ in told])
    new: dict[int, PayeeTerms] = {}
    after: dict[int, list[PayeeTerms]] = {}
    changed: dict[str, ChangedTerms] = {}
    for row, payee in told:
        before = held.get(row.id, [])
        since = payee.since or max([day, *(each.since for each in before[:1])])
        terms = PayeeTerms(since, payee.role, payee.cycle, payee.active)
        held_then = begun_by(before, since)
        if held_then is not None and held_then.same_but_day == terms.same_but_day:
            continue
        new[row.id], after[row.id] = terms, with_terms(before, terms)
        changed[row.code] = ChangedTerms(since, _differing(held_then, terms))
    if not new:
        return changed
    codes = {row.id: row.code for row, _ in told}
    schemes = await _schemes_in_force(work) if any(len(each) > 1 for each in after.values()) else []
    for payee_id, terms in new.items():
        refuse_split_periods(codes[payee_id], after[payee_id], terms.since, schemes)
    await _refuse_closed(work, codes, new, after)
    await book.set(new, by)
    for row, _ in told:
        if row.id in after:
            now = holding_on(after[row.id], day)
            row.role, row.cycle, row.active = now.role, now.cycle, now.active
    return changed


async def refuse_closed_uplines(
    work: UnitOfWork, changed: Mapping[int, tuple[str, date]], before: Mapping[int, Sequence[Upline]]
) -> None:
    """Returns when in every closed period the same are above these payees as before; the caller holds the book.
    changed: their codes, and since when anybody else is above them.

    :raises ConflictProblem: somebody else would be; it names the first open day.
    """
    periods = await PayeeTermBook(work).closed_after(min(since for _, since in changed.values()))
    if not periods:
        return
    after = await Payees(work).uplines_of(changed)
    settled = await PayeeTermBook(work).settled_roles([each.calculation for each in periods], list(changed))
    for payee, (code, since) in changed.items():
        otherwise = [
            each.end
            for each in periods
            if (each.calculation, payee) in settled
            and _upline_on(before.get(payee, ()), each.end) != _upline_on(after.get(payee, ()), each.end)
        ]
        if otherwise:
            raise _closed(code, since, max(otherwise))


class TermsTakingEffect:
    """What was said for a day to come holds once it is there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._day: date | None = None

    async def sweep(self) -> int:
        """Once a day, let the payees' rows say what holds of them by now; how many said something else."""
        if self._day == today(self._database.clock()):
            return 0
        async with UnitOfWork(self._database) as work:
            day = today(work.now)
            await PayeeTermBook(work).hold()
            count = await PayeeTermBook(work).take_effect(day)
        self._day = day
        return count


async def _schemes_in_force(work: UnitOfWork) -> Sequence[Scheme]:
    """Those that this Tandem can read: by others nobody is settled."""
    found = []
    for each in await Definitions(work).all_in_force(SCHEME):
        with suppress(RuntimeProblem):
            found.append(scheme_of(each.properties))
    return found


async def _refuse_closed(
    work: UnitOfWork,
    codes: Mapping[int, str],
    new: Mapping[int, PayeeTerms],
    after: Mapping[int, Sequence[PayeeTerms]],
) -> None:
    """Returns when every closed period that a change could matter to sees the payees as it was settled with them."""
    periods = await PayeeTermBook(work).closed_after(min(each.since for each in new.values()))
    if not periods:
        return
    settled = await PayeeTermBook(work).settled_roles([each.calculation for each in periods], list(new))
    schemes = await _schemes(work, periods)
    for payee, terms in new.items():
        otherwise = [
            each
            for each in periods
            if each.end > terms.since
            and _role_in(schemes[each.scheme, each.version], each, after[payee])
            != settled.get((each.calculation, payee))
        ]
        if otherwise:
            raise _closed(codes[payee], terms.since, max(each.end for each in otherwise))


def _upline_on(uplines: Sequence[Upline], end: date) -> int | None:
    """Who is above somebody on the last day before this one."""
    return next((each.upline for each in uplines if each.since < end), None)


def _role_in(scheme: Scheme, period: ClosedPeriod, terms: Sequence[PayeeTerms]) -> str | None:
    """In which role somebody is present in a period; None who is not."""
    standing = standing_in(terms, period.start, period.end)
    return standing.role if is_paid_by(scheme, standing, period.cycle) else None


async def _schemes(work: UnitOfWork, periods: Sequence[ClosedPeriod]) -> Mapping[tuple[str, str], Scheme]:
    """The versions that the periods were settled by, by name and version."""
    wanted = sorted({(each.scheme, each.version) for each in periods})
    found = await Definitions(work).known([(SCHEME, "", *each) for each in wanted])
    return {(name, version): scheme_of(found[SCHEME, "", name, version].properties) for name, version in wanted}


def _differing(before: PayeeTerms | None, now: PayeeTerms) -> Sequence[str]:
    return [
        name for name in ("role", "cycle", "active") if before is None or getattr(before, name) != getattr(now, name)
    ]


def _closed(code: str, since: date, open_day: date) -> ConflictProblem:
    return ConflictProblem(
        Text(
            f"收款人 {code} 自 {since} 起的改动会改变已关闭的账期；第一个未关闭的日子是 {open_day}，请用 since 写明",
            f"What is said of the payee {code} from {since} on would change a period that is closed. The first open "
            f"day is {open_day}: say it from then on, by `since`",
        ),
        code=code,
        first_open_day=str(open_day),
    )
