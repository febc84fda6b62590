"""Periods that are due: listed, asked for all at once, told of when they are forgotten.

Nothing is booked by any of it: each settlement is approved by somebody else, as ever.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from domain.access import Actor, Permission, Role, system_actor
from domain.problems import ProblemError, UnavailableProblem
from domain.settlement.scheme import Cycle
from services.due_periods import DuePeriod, due_periods, events_of
from services.run_views import RunView
from storage.engine import Database
from storage.events import Events
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MOST_BEGUN = 62
"""Settlements that are begun at a time: two months of days. Others are begun by the next request."""
MOST_REFUSED = 10
"""Refusals after which no more of a scheme and cycle are tried: others are, whose reasons are their own."""
_BUDGET_S = 20.0
"""How long what nobody asked for is begun at a time: others have their turn in between."""
_BY_ITSELF = system_actor("settle-due", Role.FINANCE)


class Settles(Protocol):
    """What begins the settlement of a period, as `SettlementService.settle` does."""

    async def __call__(self, actor: Actor, period: DuePeriod, *, leave_out: bool) -> RunView: ...


@dataclass(frozen=True, slots=True)
class RefusedPeriod:
    """A period whose settlement could not be asked for, and why."""

    period: DuePeriod
    problem: ProblemError


@dataclass(frozen=True, slots=True)
class BegunDue:
    """What became of the periods that are due. left_alone: those with a settlement under way. waiting: how many were
    not tried, because enough were."""

    begun: Sequence[RunView]
    left_alone: Sequence[DuePeriod]
    refused: Sequence[RefusedPeriod]
    waiting: int


class DueSettlements:
    """For who may see, or run, settlements of everything. by_itself: whether what is due is asked for by nobody's
    request, too."""

    def __init__(self, database: Database, settle: Settles, *, by_itself: bool = False) -> None:
        self._database = database
        self._settle = settle
        self._by_itself = by_itself

    async def due(self, actor: Actor, scheme: str | None = None, cycle: Cycle | None = None) -> Sequence[DuePeriod]:
        """Periods that are over and were not settled since, those first that were over first."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await due_periods(work, scheme, cycle)

    async def begin(
        self,
        actor: Actor,
        scheme: str | None = None,
        cycle: Cycle | None = None,
        *,
        leave_out: bool = False,
        most: int = MOST_BEGUN,
    ) -> BegunDue:
        """Ask for the settlement of those that are due; said again, it begins none twice.

        leave_out: also while orders of a period have no sales. A period that is refused keeps no other from its turn.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            due = await due_periods(work, scheme, cycle)
        return await self._begin(actor, due, leave_out=leave_out, most=min(most, MOST_BEGUN))

    async def look_after(self) -> None:
        """Tell finance of schemes with periods that nobody has settled for a while, once a week each; where that is
        wished, ask for what nobody has asked for."""
        async with UnitOfWork(self._database) as work:
            due = await due_periods(work)
            told = await Events(work).add(events_of(due, work.now))
        if told:
            log.info("told of periods that are due", schemes=told)
        if self._by_itself:
            # What was refused, or failed, waits for a person.
            untouched = [each for each in due if each.state in (None, "booked")]
            found = await self._begin(_BY_ITSELF, untouched, leave_out=False, most=MOST_BEGUN, budget_s=_BUDGET_S)
            for each in found.refused:
                period = each.period
                log.warning("not settled", scheme=period.scheme, start=str(period.start), reason=str(each.problem))

    async def _begin(
        self, actor: Actor, due: Sequence[DuePeriod], *, leave_out: bool, most: int, budget_s: float = math.inf
    ) -> BegunDue:
        begun: list[RunView] = []
        refused: list[RefusedPeriod] = []
        under_way = [each for each in due if each.is_under_way]
        others = [each for each in due if not each.is_under_way]
        of_one, end = Counter[tuple[str, Cycle]](), time.monotonic() + budget_s
        for each in _in_turn(others, most):
            if len(begun) >= most or time.monotonic() > end:
                break
            if of_one[each.scheme, each.cycle] >= MOST_REFUSED:
                continue
            try:
                begun.append(await self._settle(actor, each, leave_out=leave_out))
            except UnavailableProblem:
                raise
            except ProblemError as problem:
                refused.append(RefusedPeriod(each, problem))
                of_one[each.scheme, each.cycle] += 1
        begun.sort(key=lambda each: (each.period.end, each.period.scheme))
        refused.sort(key=lambda each: (each.period.end, each.period.scheme))
        return BegunDue(begun, under_way, refused, len(others) - len(begun) - len(refused))


def _in_turn(due: Sequence[DuePeriod], most: int) -> Iterator[DuePeriod]:
    """The earliest of each scheme and cycle, the last of these first: what is taken back of closed periods is booked by
    the first that is begun, and is paid off in instalments from its days on."""
    of_one: dict[tuple[str, Cycle], list[DuePeriod]] = defaultdict(list)
    for each in due:
        of_one[each.scheme, each.cycle].append(each)
    for periods in of_one.values():
        yield from reversed(periods[:most])
