"""Bringing events to whoever wants them, from the events' outbox.

An event starts a run for every trigger that matches, and reaches every open run that listens for its type and shares a
subject with it (or has no subject); an event without a subject reaches every open run that listens for its type, in
batches. What somebody with a narrow data scope published stays within it: it starts no run elsewhere, and reaches none.
Runs are named after the event that started them and ignore events they know, so that dispatching at least once has its
effect exactly once. How often a flow takes in the same customer or order, `services.enrolments` decides.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from domain.access import EVERYTHING, system_actor
from domain.correlation import correlate, matches
from domain.dsl.expressions import compile_condition, is_expression
from domain.dsl.model import EventConsumption, EventFilter
from domain.enrolments import Enrolment
from domain.events import Event
from domain.ids import canonical_json, content_digest, derived_id
from domain.organisation import Placement
from domain.problems import ProblemError, RuntimeProblem, Text, UnavailableProblem
from domain.runs import key_of_event
from services.enrolments import admit, doubled_by_merge
from services.identity_resolution import SOURCE as IDENTITIES
from services.orchestrator import Orchestrator
from services.release_book import ReleaseSnapshot
from services.run_customers import with_customers
from services.run_starts import EventKey, NewRun, RunStarter, event_key
from storage.audit import AuditLog
from storage.engine import Database
from storage.events import Events, PendingEvent
from storage.notifications import EVENTS_CHANNEL, wait_for_notification
from storage.paging import PageRequest
from storage.placements import Placements
from storage.releases import Trigger
from storage.run_enrolments import EnrolledRun
from storage.runs import Delivery, RunRow, Runs
from storage.trigger_matches import TriggerMatches
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 6
_LEASE = timedelta(seconds=30)
_LONGEST_BACKOFF_S = 300
_BROADCAST_BATCH = 500
_SIGNALS_AT_ONCE = 20
_MERGED = "tandem.customer.merged"
_EVENTS = system_actor("events")
_CANCEL = "run.cancel"


@dataclass(frozen=True, slots=True)
class Drained:
    """What one round of dispatching did."""

    dispatched: int = 0
    started: int = 0
    signalled: int = 0
    retried: int = 0
    parked: int = 0


@dataclass(slots=True)
class _Batch:
    """One round under way. failures: by event (seq). own_runs: runs that an event started, which it need not signal.
    doubled: runs to be cancelled, with the merge of customers that made them one too many."""

    events: dict[int, PendingEvent]
    rows: list[RunRow] = field(default_factory=list)
    own_runs: set[tuple[int, str]] = field(default_factory=set)
    deliveries: list[Delivery] = field(default_factory=list)
    cursors: dict[int, str] = field(default_factory=dict)
    doubled: dict[str, int] = field(default_factory=dict)
    failures: dict[int, ProblemError] = field(default_factory=dict)

    def coming(self) -> dict[str, set[EventKey]]:
        """The events that each run gets in this round."""
        found: dict[str, set[EventKey]] = defaultdict(set)
        for each in self.deliveries:
            found[each.run_id].add(event_key(self.events[each.seq].event))
        return found


class EventDispatcher:
    """The drainer of the events' outbox; several may run at once."""

    def __init__(self, database: Database, orchestrator: Orchestrator, starter: RunStarter) -> None:
        self._database = database
        self._orchestrator = orchestrator
        self._starter = starter

    async def wait_for_work(self, timeout_s: float) -> bool:
        """True as soon as an event is due, False when the time was up first. Raises UnavailableProblem."""

        async def has_work() -> bool:
            async with UnitOfWork(self._database) as work:
                return await Events(work).has_due()

        return await wait_for_notification(self._database, EVENTS_CHANNEL, timeout_s, has_work)

    async def drain(self, limit: int = 200) -> Drained:
        """Dispatch one batch of due events. One that fails is tried again later, and parked after six attempts."""
        async with UnitOfWork(self._database) as work:
            claimed = await Events(work).claim(limit, _LEASE)
        if not claimed:
            return Drained()
        batch = _Batch({pending.seq: pending for pending in claimed})
        async with UnitOfWork(self._database) as work:
            await self._match_triggers(work, batch)
            # Only now, so that a run which one event of the batch starts gets the events after it.
            await self._find_listeners(work, batch)
        await self._cancel_doubled(batch)
        refused = await self._starter.launch(batch.rows, batch.coming())
        signalled = await self._signal(batch, refused)
        return await self._settle(batch, signalled)

    async def _match_triggers(self, work: UnitOfWork, batch: _Batch) -> None:
        snapshot = await self._starter.book.current(work)
        places = await Placements(work).of_sources({pending.event.source for pending in batch.events.values()})
        wanted: dict[str, NewRun] = {}
        causes: dict[str, int] = {}
        for pending in batch.events.values():
            place = places.get(pending.event.source, Placement())
            if not pending.reach.allows(place):
                # Its account was moved to another unit since it was published.
                continue
            for trigger in snapshot.triggers(pending.event.type):
                try:
                    run = await self._triggered(work, snapshot, trigger, pending, place)
                    if run is not None:
                        run.check()
                        wanted[run.id] = run
                        causes[run.id] = pending.seq
                except SQLAlchemyError:
                    raise
                except Exception as error:  # one trigger's trouble, even a bug, must not hold up other events
                    batch.failures[pending.seq] = _as_problem(error)
        known = await with_customers(work, list(wanted.values()))
        new = {run.id: run.row(work.now) for run in await admit(work, known)}
        batch.own_runs |= {(causes[run_id], run_id) for run_id in new}
        added = await Runs(work).add(list(new.values()))
        batch.rows = [row for run_id, row in new.items() if run_id in added]

        await self._find_doubled(work, snapshot, batch)

    async def _find_doubled(self, work: UnitOfWork, snapshot: ReleaseSnapshot, batch: _Batch) -> None:
        """Note the runs that are one too many since two customers are one; what Temporal may not know ends here."""
        merges = {
            seq: pending.event.subjects
            for seq, pending in batch.events.items()
            if pending.event.type == _MERGED and pending.event.source == IDENTITIES
        }

        def rule_of(namespace: str, name: str) -> Enrolment | None:
            version = snapshot.choose(namespace, name, "")
            return version.traits.enrolment if version is not None else None

        for seq, runs in (await doubled_by_merge(work, merges, rule_of)).items():
            for run in runs:
                batch.doubled[run.id] = seq
                await self._audit_doubled(work, run)
        if not batch.doubled:
            return
        for row in (await Runs(work).rows(batch.doubled)).values():
            if row.start_due_at is not None:
                row.phase, row.ended_at, row.start_due_at = "cancelled", work.now, None
        batch.rows = [row for row in batch.rows if row.id not in batch.doubled]

    async def _audit_doubled(self, work: UnitOfWork, run: EnrolledRun) -> None:
        """Once for a run, however often its event is tried."""
        log, target = AuditLog(work), f"run:{run.id}"
        told = await log.list(_EVENTS.scope, PageRequest(size=1), actor=_EVENTS.login, action=_CANCEL, target=target)
        if not told.items:
            await log.record(_EVENTS, _CANCEL, target, {"reason": "merged", "customer": run.enrolled})

    async def _cancel_doubled(self, batch: _Batch) -> None:
        for run_id, seq in batch.doubled.items():
            try:
                await self._orchestrator.cancel(run_id, "its customer is in another run of this flow already")
            except ProblemError as problem:
                batch.failures[seq] = problem

    async def _triggered(
        self,
        work: UnitOfWork,
        snapshot: ReleaseSnapshot,
        trigger: Trigger,
        pending: PendingEvent,
        place: Placement,
    ) -> NewRun | None:
        """The run that this event starts by this trigger, if it does."""
        event = pending.event
        version = snapshot.choose(trigger.namespace, trigger.name, draw_subject(event))
        if version is None or version.version != trigger.version:
            return None
        found = matching_filter(trigger.consumption, event, work.now)
        if found is None:
            return None
        position, keys = found
        events, cause = [event], key_of_event(event.source, pending.event_id)
        if trigger.consumption.all is not None:
            # Events of people with different scopes start no run together.
            tie = keys if pending.reach == EVERYTHING else [keys, pending.reach.key]
            tied = content_digest(canonical_json(tie))
            chosen = await TriggerMatches(work).add(trigger, tied, position, pending.seq)
            if len(chosen) < len(trigger.consumption.filters):
                return None
            cause = derived_id("events", *(str(chosen[place]) for place in sorted(chosen)))
            events = await TriggerMatches(work).use(trigger, tied, chosen, cause)
        envelopes = tuple(each.envelope() for each in events)
        subjects = tuple(dict.fromkeys(subject for each in events for subject in each.subjects))
        return NewRun(
            version,
            cause,
            list(envelopes),
            "system:events",
            subjects[0] if subjects else "",
            subjects,
            trigger=envelopes,
            placement=place,
            hears_from=pending.hears_from,
        )

    async def _find_listeners(self, work: UnitOfWork, batch: _Batch) -> None:
        runs = Runs(work)
        found = await runs.sharing_a_subject([seq for seq, pending in batch.events.items() if pending.event.subjects])
        for about_somebody in (True, False):
            pending = [each for each in batch.events.values() if bool(each.event.subjects) is about_somebody]
            wanted = await runs.listened_types({each.event.type for each in pending}, without_subject=about_somebody)
            for each in pending:
                if each.event.type in wanted:
                    found += await self._broadcast(runs, batch, each, without_subject=about_somebody)
        batch.deliveries = [
            each
            for each in found
            if (each.seq, each.run_id) not in batch.own_runs and batch.events[each.seq].reach.allows(each.place)
        ]

    async def _broadcast(
        self, runs: Runs, batch: _Batch, pending: PendingEvent, *, without_subject: bool
    ) -> list[Delivery]:
        """The next runs that get an event for its type alone; where to go on is noted when there may be more."""
        found = await runs.listening(
            pending.seq,
            pending.event.type,
            after=pending.cursor,
            size=_BROADCAST_BATCH,
            without_subject=without_subject,
        )
        if len(found) == _BROADCAST_BATCH:
            batch.cursors[pending.seq] = found[-1].run_id
        return found

    async def _signal(self, batch: _Batch, refused: dict[str, ProblemError]) -> int:
        """One signal to each run with all its events; how many runs got theirs."""
        by_run: dict[str, list[Delivery]] = defaultdict(list)
        for each in batch.deliveries:
            by_run[each.run_id].append(each)
        just_started = {row.id for row in batch.rows} - refused.keys()
        slots = asyncio.Semaphore(_SIGNALS_AT_ONCE)

        async def deliver(run_id: str, deliveries: list[Delivery]) -> bool:
            expected = run_id in just_started or all(each.started for each in deliveries)
            events = [batch.events[each.seq].event.envelope() for each in deliveries]
            try:
                async with slots:
                    reached = await self._orchestrator.signal_events(run_id, events)
                if not reached and not expected:
                    raise _not_started(run_id)
            except ProblemError as problem:
                batch.failures.update((each.seq, problem) for each in deliveries)
                return False
            return True

        return sum(await asyncio.gather(*(deliver(run_id, each) for run_id, each in by_run.items())))

    async def _settle(self, batch: _Batch, signalled: int) -> Drained:
        retried = parked = 0
        async with UnitOfWork(self._database) as work:
            events = Events(work)
            done = [seq for seq in batch.events if seq not in batch.failures and seq not in batch.cursors]
            await events.dispatched(done)
            for seq, cursor in batch.cursors.items():
                if seq not in batch.failures:
                    await events.continue_later(seq, cursor)
            for seq, problem in batch.failures.items():
                pending = batch.events[seq]
                away = problem.problem.type == UnavailableProblem.type
                if away or pending.attempts < MOST_ATTEMPTS:
                    await events.retry(seq, _next_attempt(work.now, pending.attempts), str(problem), count=not away)
                    retried += 1
                else:
                    log.warning("event parked", seq=seq, type=pending.event.type, reason=str(problem))
                    await events.park(seq, str(problem))
                    parked += 1
        return Drained(len(done), len(batch.rows), signalled, retried, parked)


def _as_problem(error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    log.exception("a trigger failed")
    detail = f"{type(error).__name__}: {error}"
    return RuntimeProblem(Text(f"内部错误：{detail}", f"Internal error: {detail}"))


def draw_subject(event: Event) -> str:
    """What the version of a run is drawn by that this event starts."""
    return event.subject or next(iter(event.subjects), "") or f"{event.source}#{event.id}"


def matching_filter(consumption: EventConsumption, event: Event, now: datetime) -> tuple[int, dict[str, Any]] | None:
    """The first filter of a trigger that an event matches (by its position), and its correlation values.

    :raises ExpressionProblem: an expression of the filter failed on this event.
    """

    def evaluate(expression: str, value: Any) -> Any:
        return compile_condition(expression).evaluate(value, {}, now=now)

    for position, wanted in enumerate(consumption.filters):
        if matches(wanted, event, evaluate):
            values = correlate(wanted, event, evaluate, _expectations(wanted, evaluate))
            if values is not None:
                return position, values
    return None


def _expectations(wanted: EventFilter, evaluate: Any) -> dict[str, Any]:
    return {
        name: evaluate(correlation.expect, None) if is_expression(correlation.expect) else correlation.expect
        for name, correlation in wanted.correlate.items()
        if correlation.expect is not None
    }


def _next_attempt(now: datetime, attempts: int) -> datetime:
    return now + timedelta(seconds=min(2 ** min(attempts, 10), _LONGEST_BACKOFF_S))


def _not_started(run_id: str) -> UnavailableProblem:
    return UnavailableProblem(
        Text(f"运行 {run_id} 尚未启动，稍后再送达", f"The run {run_id} has not started yet; the event comes later")
    )
