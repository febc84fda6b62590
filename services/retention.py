"""Deleting what has been over for long enough, in small batches, so that nothing waits for it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from domain.access import Actor
from domain.events import rfc3339
from domain.retention import Kind, RetentionPolicy
from domain.runs import key_of_event
from storage.audit import AuditLog
from storage.engine import Database
from storage.retention import Retention
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

BATCH = 1_000
_MOST_HELD = 10_000
_OF_RUNS = frozenset({Kind.EFFECTS, Kind.PAYMENTS})
# Counters, leases of minutes, old figures: nobody will ask when they went.
_NOT_AUDITED = frozenset({Kind.LOGIN_ATTEMPTS, Kind.IDEMPOTENCY_KEYS, Kind.COMPARISONS})


@dataclass(slots=True)
class Purged:
    """What one call deleted, rows by kind. complete: whether nothing more is due."""

    rows: dict[Kind, int] = field(default_factory=dict)
    complete: bool = True

    def add(self, rows: Mapping[Kind, int]) -> None:
        for kind, count in rows.items():
            if count:
                self.rows[kind] = self.rows.get(kind, 0) + count


class RetentionService:
    """Any number of processes may purge at once: rows that one of them holds are passed over by the others."""

    def __init__(self, database: Database, policy: RetentionPolicy | None = None) -> None:
        self._database = database
        self.policy = policy or RetentionPolicy()

    async def due(self) -> dict[Kind, int]:
        """How many rows of each kind may go now; reads every one of them."""
        async with UnitOfWork(self._database) as work:
            before = {kind: self.policy.cutoff(kind, work.now) for kind in Kind}
            held = await self._held(work)
            found = await Retention(work).due(before, held or ())
        return found if held is not None else found | {Kind.RUNS: 0, Kind.HUMAN_TASKS: 0}

    async def purge(self, actor: Actor, *, budget_s: float | None = None, batch: int = BATCH) -> Purged:
        """Delete what is due, a batch of each kind in turn, each in a transaction of its own.

        budget_s: no batch begins later than this; None goes on until nothing is due.
        """
        end = None if budget_s is None else time.monotonic() + budget_s
        purged = Purged()
        waiting = [kind for kind in Kind if kind is not Kind.HUMAN_TASKS]
        while waiting:
            for kind in tuple(waiting):
                if end is not None and time.monotonic() >= end:
                    purged.complete = False
                    return purged
                async with UnitOfWork(self._database) as work:
                    rows, complete = await self._batch(work, actor, kind, batch)
                purged.add(rows)
                if complete and not (kind in _OF_RUNS and Kind.RUNS in waiting):
                    waiting.remove(kind)
        return purged

    async def _batch(self, work: UnitOfWork, actor: Actor, kind: Kind, limit: int) -> tuple[Mapping[Kind, int], bool]:
        """Rows that went, and whether that was all of the kind."""
        retention, before = Retention(work), self.policy.cutoff(kind, work.now)
        if kind is Kind.RUNS:
            held = await self._held(work)
            if held is None:
                return {}, True
            gone = await retention.delete_runs(before, held, limit)
            # Children are due once their parents are gone.
            rows, complete = {kind: gone.runs, Kind.HUMAN_TASKS: gone.human_tasks}, gone.runs == 0
        else:
            count = await retention.delete(kind, before, limit)
            rows, complete = {kind: count}, count < limit
        rows = {each: count for each, count in rows.items() if count}
        for each, count in rows.items():
            await retention.count(each, count)
        if rows and kind not in _NOT_AUDITED:
            detail = {"rows": {str(each): count for each, count in rows.items()}, "before": rfc3339(before)}
            await AuditLog(work).record(actor, "retention.purge", str(kind), detail)
        return rows, complete

    async def _held(self, work: UnitOfWork) -> set[str] | None:
        """Keys of runs that an undispatched event would start again if they were gone; None: of too many to tell."""
        before = self.policy.cutoff(Kind.RUNS, work.now)
        events = await Retention(work).undispatched(before, _MOST_HELD)
        if len(events) == _MOST_HELD:
            log.warning("runs are kept: too many old events are parked", events=_MOST_HELD)
            return None
        return {key_of_event(source, event_id) for source, event_id in events}
