"""Periods that are over and were not settled: of each published scheme, by each cycle that anybody in it has.

A period counts by the version that it would be settled by, if somebody of the scheme's roles was active on any of its
days. One that was settled before it was over is due once more: what came on the rest of its days is in no settlement.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from domain.events import Event
from domain.problems import RuntimeProblem
from domain.settlement.bills import day_of
from domain.settlement.periods import CYCLES, periods_over
from domain.settlement.scheme import Cycle, Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.weekly_notices import weekly_notice
from storage.definitions import Definitions
from storage.due_periods import ActiveDays, DuePeriods, StandingPeriod
from storage.settlement_runs import State
from storage.unit_of_work import UnitOfWork

LISTED_BACK = timedelta(days=400)
"""Periods that were over before that are listed no more."""
TOLD_AFTER = timedelta(days=3)
"""So long after its last day finance is told of a period; before that somebody may be at it."""
UNDER_WAY: tuple[State, ...] = ("computing", "computed", "approved")
_MOST_TOLD = 31
Why = Literal["never", "early"]
"""never: nothing of the period is booked; early: what is booked was computed before the period was over."""


@dataclass(frozen=True, slots=True)
class DuePeriod:
    """Shanghai days `[start, end)`. days: since the last one of them. run, state: of its last settlement, which
    may be under way, refused or failed; None where none was ever asked for."""

    scheme: str
    cycle: Cycle
    start: date
    end: date
    days: int
    why: Why
    run: UUID | None
    state: State | None

    @property
    def is_under_way(self) -> bool:
        """Whether a settlement of it is computed or waits for approval: another one would be refused."""
        return self.state in UNDER_WAY


async def due_periods(work: UnitOfWork, scheme: str | None = None, cycle: Cycle | None = None) -> Sequence[DuePeriod]:
    """All of them, those first that were over first; of one scheme or cycle where it is given."""
    today = day_of(work.now)
    first = today - LISTED_BACK
    names = [scheme] if scheme is not None else sorted(await Definitions(work).names(SCHEME))
    active = await DuePeriods(work).active_days(first)
    standing = {(each.scheme, each.cycle, each.start): each for each in await DuePeriods(work).standing(first)}
    found: list[DuePeriod] = []
    for name in names:
        versions = await _versions(work, name)
        for each in CYCLES if cycle is None else (cycle,):
            for start, end in _to_be_settled(versions, each, active, first, today):
                stands = standing.get((name, each, start))
                if (why := _why(stands, end)) is not None:
                    run, state = (stands.run, stands.state) if stands is not None else (None, None)
                    found.append(DuePeriod(name, each, start, end, (today - end).days + 1, why, run, state))
    return sorted(found, key=lambda each: (each.end, each.scheme, each.start))


def events_of(due: Sequence[DuePeriod], now: datetime) -> Sequence[Event]:
    """`tandem.settlement.due` for each scheme with periods that nobody has settled for a while: the same one for all of
    a week."""
    by_scheme: dict[str, list[DuePeriod]] = defaultdict(list)
    for each in due:
        if timedelta(days=each.days) > TOLD_AFTER:
            by_scheme[each.scheme].append(each)
    return [_event(scheme, periods, now) for scheme, periods in by_scheme.items()]


async def _versions(work: UnitOfWork, name: str) -> Sequence[Scheme]:
    """The published versions that this Tandem can read, the last one first."""
    found = []
    for version in await Definitions(work).published(SCHEME, name):
        with suppress(RuntimeProblem):
            found.append(scheme_of(version.properties))
    return found


def _to_be_settled(
    versions: Sequence[Scheme], cycle: Cycle, active: Sequence[ActiveDays], first: date, today: date
) -> Iterator[tuple[date, date]]:
    if not any(_has(each, cycle, days) for each in versions for days in active):
        return
    for start, end in periods_over(cycle, first, today):
        # As `published_for` chooses it.
        version = next((each for each in versions if each.is_for(start, end)), None)
        if version is not None and version.active:
            there = (days for days in active if _has(version, cycle, days))
            if any(days.since < end and (days.until is None or days.until > start) for days in there):
                yield start, end


def _has(scheme: Scheme, cycle: Cycle, days: ActiveDays) -> bool:
    """Whether who was active on these days is settled by the cycle."""
    return (days.cycle or scheme.cycle) == cycle and (not scheme.roles or days.role in scheme.roles)


def _why(stands: StandingPeriod | None, end: date) -> Why | None:
    if stands is None:
        return "never"
    if stands.is_closed:
        return None
    if stands.booked_from is None:
        return "never"
    return "early" if day_of(stands.booked_from) < end else None


def _event(scheme: str, periods: Sequence[DuePeriod], now: datetime) -> Event:
    told = {
        "scheme": scheme,
        "periods": len(periods),
        "first": str(periods[0].start),
        "last": str(periods[-1].end - timedelta(days=1)),
        "listed": [_told(each) for each in periods[:_MOST_TOLD]],
    }
    return weekly_notice("settlement-due", scheme, f"/settlement/{scheme}", f"settlement:{scheme}", told, now)


def _told(each: DuePeriod) -> Mapping[str, object]:
    """end: the period's last day, as people say it."""
    last = each.end - timedelta(days=1)
    return {"cycle": each.cycle, "start": str(each.start), "last": str(last), "why": each.why, "state": each.state}
