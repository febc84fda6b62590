"""What a calculation, or all of a settlement, gives to each payee: in all, beside what was booked for the same days
before, and why that is not the same. Before anything is booked, for who approves it; and afterwards as it was then."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple
from uuid import UUID

from domain.access import Actor, Permission
from domain.organisation import Placement
from domain.privacy.kinds import masked
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.given import Books, Reason, reasons_of
from domain.settlement.scheme import Scheme
from services.booked_before import booked_before
from services.disclosure import record_unmasking
from services.settlement_reports import require_clear
from services.settlement_views import scheme_in, titles_of
from storage.calculation_payees import CalculationPayees, Compared, GivenComponent, GivenSum
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations, names_of, rates_of
from storage.engine import Database
from storage.paging import Keys, Page, PageRequest, wrong_cursor
from storage.report_rows import ReportRows
from storage.sales import PARTS
from storage.settlement_booking import kinds_of
from storage.settlement_periods import SettlementPeriods
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork

Sort = Literal["payee", "change"]
"""payee: in one fixed order, cheap to go on in. change: whose sum changes most first."""
_IN_ORDER = Keys("given-payees", (int, int, int))
_BY_CHANGE = Keys("given-payees-by-change", (int, int, int))
_FOUND_AT_ONCE, _TOLD_AT_ONCE = 20_000, 2_000
"""Payees of a file: added up by the server together, and told together."""
_Placed = tuple[int, GivenSum]


class Asked(NamedTuple):
    """Of what payees are listed. changed: only those whose sum is another one than before."""

    what: Literal["calculation", "settlement-run"]
    id: UUID
    changed: bool = False
    sort: Sort = "payee"

    @property
    def target(self) -> str:
        """As the audit log names it."""
        return f"{self.what}:{self.id}"


@dataclass(frozen=True, slots=True)
class ComponentGiven:
    """What a component gives, and gave before; None: nothing was earned by it."""

    component: str
    title: str
    amount_minor: int | None
    before_minor: int | None


@dataclass(frozen=True, slots=True)
class PayeeGiven:
    """What a calculation gives a payee, by code. before_minor: what bookings of its days gave them before. books: as
    what the difference is booked; None where there is none. reasons: what is not as it was before."""

    calculation: UUID
    start: date
    end: date
    payee: str
    payee_name: str
    currency: str
    components: Sequence[ComponentGiven]
    total_minor: int
    before_minor: int
    difference_minor: int
    books: Books | None
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class GivenPage:
    """Some payees. masked: whether names are."""

    rows: Page[PayeeGiven]
    masked: bool = True


@dataclass(frozen=True, slots=True)
class Side:
    """A calculation with its scheme, what was booked before it, and whether its period is closed."""

    row: CalculationRow
    scheme: Scheme
    titles: Mapping[str, str]
    before: CalculationRow | None
    late: bool

    def compared(self, *, changed: bool) -> Compared:
        """For the database."""
        before = self.before.id if self.before is not None else None
        return Compared(self.row.id, before, self.row.members or 0, changed)


class GivenPayees:
    """Payees of calculations for who may see settlements, with a scope of everything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def meant(self, actor: Actor, number: UUID) -> Asked:
        """Whether a number is a settlement's; else it is a calculation's, if anything's."""
        require_looking(actor)
        async with UnitOfWork(self._database) as work:
            is_run = await SettlementRuns(work).find(number) is not None
        return Asked("settlement-run" if is_run else "calculation", number)

    async def page(self, actor: Actor, asked: Asked, page: PageRequest, *, unmask_for: str | None = None) -> GivenPage:
        """Some payees; names in clear for who pays or approves and says why, which is audited.

        :raises NotFoundProblem: no such calculation or settlement. :raises ConflictProblem: it is not computed.
        """
        require_looking(actor)
        require_clear(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            await ReportRows(work).read_at_length()
            sides = await sides_of(work, asked)
            await note_names(work, actor, asked, unmask_for)
            find = _by_change if asked.sort == "change" else _in_order
            found = await find(work, sides, page, changed=asked.changed)
            rows = await _told(work, sides, found.items, in_clear=unmask_for is not None)
        return GivenPage(Page(rows, found.next_cursor), masked=unmask_for is None)


async def given_in(
    work: UnitOfWork, sides: Sequence[Side], *, changed: bool, in_clear: bool
) -> AsyncIterator[PayeeGiven]:
    """All payees, as they stood when the unit of work first read, some thousand at a time."""
    after = (0, 0, 0)
    while found := await _after(work, sides, after, _FOUND_AT_ONCE, changed=changed):
        for begin in range(0, len(found), _TOLD_AT_ONCE):
            for each in await _told(work, sides, found[begin : begin + _TOLD_AT_ONCE], in_clear=in_clear):
                yield each
        place, last = found[-1]
        after = (place, last.part, last.payee)


def require_looking(actor: Actor) -> None:
    """Returns for who may see calculations and settlements. Raises AuthorizationProblem."""
    actor.require(Permission.SETTLEMENTS_READ)
    actor.require_everything()


async def note_names(work: UnitOfWork, actor: Actor, asked: Asked, unmask_for: str | None) -> None:
    """Write down that somebody sees names, where they do."""
    if unmask_for is not None:
        await record_unmasking(work, actor, asked.what, str(asked.id), unmask_for, Placement())


async def sides_of(work: UnitOfWork, asked: Asked) -> Sequence[Side]:
    """The calculations that are meant, in the order of a settlement. Raises NotFoundProblem, ConflictProblem."""
    ids = [asked.id]
    if asked.what == "settlement-run":
        if await SettlementRuns(work).find(asked.id) is None:
            raise NotFoundProblem(Text(f"没有结算 {asked.id}", f"There is no settlement {asked.id}"))
        ids = [each.calculation for each in await SettlementRuns(work).calculations(asked.id)]
    found: list[Side] = []
    schemes: dict[tuple[str, str], Scheme] = {}
    for each in ids:
        row = await Calculations(work).find(each)
        if row is None:
            raise NotFoundProblem(Text(f"没有核算 {each}", f"There is no calculation {each}"))
        if row.state != "computed":
            raise ConflictProblem(Text("尚未算完", "It is not computed yet"))
        found.append(await _side(work, row, schemes))
    return found


async def _side(work: UnitOfWork, row: CalculationRow, schemes: dict[tuple[str, str], Scheme]) -> Side:
    """schemes: what was read for others already."""
    before = await booked_before(work, row)
    for each in (row, before):
        if each is not None and (each.scheme, each.version) not in schemes:
            schemes[each.scheme, each.version] = await scheme_in(work, each)
    scheme = schemes[row.scheme, row.version]
    titles = titles_of(scheme)
    if before is not None and before.components != row.components:
        titles = titles_of(schemes[before.scheme, before.version], scheme)
    late = row.purpose == "adjustment"
    if row.purpose not in ("settlement", "adjustment"):
        period = await SettlementPeriods(work).find(row.scheme, row.cycle, row.start)
        late = period is not None and period.closed_at is not None
    return Side(row, scheme, titles, before, late)


async def _in_order(work: UnitOfWork, sides: Sequence[Side], page: PageRequest, *, changed: bool) -> Page[_Placed]:
    place, part, payee = (each or 0 for each in _IN_ORDER.values_of(page))
    if not (0 <= place < len(sides) and 0 <= part < PARTS):
        raise wrong_cursor()
    found = await _after(work, sides, (place, part, payee), page.size + 1, changed=changed)
    return _IN_ORDER.page_of(found, page, lambda each: (each[0], each[1].part, each[1].payee))


async def _after(
    work: UnitOfWork, sides: Sequence[Side], after: tuple[int, int, int], limit: int, *, changed: bool
) -> list[_Placed]:
    first, part, payee = after
    found: list[_Placed] = []
    for place, side in enumerate(sides[first:], first):
        begin = (part, payee) if place == first else (0, 0)
        compared = side.compared(changed=changed)
        found += [(place, each) for each in await CalculationPayees(work).after(compared, *begin, limit - len(found))]
        if len(found) >= limit:
            break
    return found


async def _by_change(work: UnitOfWork, sides: Sequence[Side], page: PageRequest, *, changed: bool) -> Page[_Placed]:
    after, found = _BY_CHANGE.values_of(page), []
    for place, side in enumerate(sides):
        compared = side.compared(changed=changed)
        rows = await CalculationPayees(work).most_changed(compared, place, after, page.size + 1)
        found += [(place, each) for each in rows]
    found.sort(key=_change)
    return _BY_CHANGE.page_of(found[: page.size + 1], page, _change)


def _change(placed: _Placed) -> tuple[int, int, int]:
    place, given = placed
    return -abs(given.total_minor - given.before_minor), given.payee, place


async def _told(
    work: UnitOfWork, sides: Sequence[Side], found: Sequence[_Placed], *, in_clear: bool
) -> Sequence[PayeeGiven]:
    named = await CalculationPayees(work).named({each.payee for _, each in found})
    told: dict[tuple[int, int], PayeeGiven] = {}
    for place in {place for place, _ in found}:
        side, sums = sides[place], [each for at, each in found if at == place]
        compared = side.compared(changed=False)
        components: dict[int, list[GivenComponent]] = defaultdict(list)
        for each in await CalculationPayees(work).components(compared, sums):
            components[each.payee].append(each)
        otherwise: set[int] = set()
        if side.before is not None:
            otherwise = await CalculationPayees(work).standing_otherwise(compared, sums)
        for given in sums:
            code, name = named[given.payee]
            shown = (code, name if in_clear else masked("name", name))
            earned = components[given.payee]
            told[place, given.payee] = _given(side, given, shown, earned, standing=given.payee in otherwise)
    return [told[place, each.payee] for place, each in found]


def _given(
    side: Side, given: GivenSum, named: tuple[str, str], earned: Sequence[GivenComponent], *, standing: bool
) -> PayeeGiven:
    row, before = side.row, side.before
    now = {names_of(row)[each.component]: each for each in earned if each.calculation == row.id}
    was = {}
    if before is not None:
        was = {names_of(before)[each.component]: each for each in earned if each.calculation == before.id}
    difference = given.total_minor - given.before_minor
    counted = {name: each.base for name, each in now.items()} != {name: each.base for name, each in was.items()}
    reasons = reasons_of(
        is_first=before is None,
        counted=counted,
        standing=standing,
        version=before is not None and before.text_digest != row.text_digest,
        rates=before is not None and rates_of(before) != rates_of(row),
    )
    more, less = kinds_of(late=side.late)
    components = [
        ComponentGiven(
            name,
            title,
            now[name].amount_minor if name in now else None,
            was[name].amount_minor if name in was else None,
        )
        for name, title in side.titles.items()
        if name in now or name in was
    ]
    return PayeeGiven(
        row.id,
        row.start,
        row.end,
        *named,
        side.scheme.currency,
        components,
        given.total_minor,
        given.before_minor,
        difference,
        (more if difference > 0 else less) if difference else None,
        reasons if difference else (),
    )
