"""Export and erasure: what is known about a person, and taking it out again.

An erasure is a row that a drain works through in bounded steps, and goes on where it stood after a crash: each step may
be repeated. From its first moment the person's keys are known by digests only, so that what platforms tell later is
nobody's. Everything that mentions the person is read through twice: what was under way when it began may have written
behind the first reading. Records point at the keys until the end; the keys go last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from domain.access import Actor, Permission, system_actor
from domain.customers.tombstones import ErasedKey, order_key
from domain.problems import NotFoundProblem, ProblemError, Text, UnavailableProblem, ValidationProblem
from services.orchestrator import Orchestrator
from storage.audit import AuditLog
from storage.engine import Database
from storage.erasing import Erasing, Swept
from storage.erasures import ErasedKeys, ErasureRow, Erasures
from storage.identities import Customers, Identities, IdentityRow
from storage.personal import MOST_ORDERS, Person, Personal, person_of
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

LONGEST_REASON = 500
BATCH = 200
_LEASE = timedelta(seconds=60)
_SECOND_LOOK = timedelta(seconds=60)
_ASK_AGAIN = timedelta(seconds=5)
_ERASURE = system_actor("erasure")
# What waits becomes an event: it is read before them.
_READING = ("awaited_orders", "events", "runs", "tasks", "effects", "inbox", "answers")
_EMPTYING = ("touches", "records", "traits", "keys")
FIRST_STEP = _READING[0]


@dataclass(frozen=True, slots=True)
class Erasure:
    """How far the erasure of a customer is. changed: rows that were deleted or emptied, by table; unreadable: rows that
    nobody can decrypt, so that they may still name the person: with such the state is `incomplete` in the end.
    problem: what its present step waits for."""

    customer: UUID
    state: str
    step: str
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None
    changed: Mapping[str, int]
    unreadable: Mapping[str, int]
    problem: str | None


class Traits(Protocol):
    """Whoever keeps computed traits of customers: tags, grades."""

    async def forget(self, work: UnitOfWork, customers: Sequence[UUID]) -> int:
        """Delete everything about customers; how many rows."""


class ErasureService:
    """Raises AuthorizationProblem without `customers.erase` and a scope that sees everything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, actor: Actor, customer_id: UUID, reason: str) -> Erasure:
        """Begin to erase a customer; asking again answers how far it is. It cannot be taken back.

        :raises NotFoundProblem: there is no such customer. :raises ValidationProblem: no reason.
        """
        _require(actor, reason)
        async with UnitOfWork(self._database) as work:
            # Before anything is read: a batch under way may give them a key more, or make them one with somebody.
            await ErasedKeys(work).hold()
            customer = await _current(work, customer_id)
            existing = await Erasures(work).of(customer)
            if existing is not None:
                return _shown(existing)
            keys = await Identities(work).of_customers([customer])
            names = [customer, *(await Customers(work).aliases([customer])).get(customer, ())]
            # Who, whom and why; nothing about the person but their id.
            row = await self._begin(work, actor, keys, names, {"reason": reason.strip()})
            for left in await Erasing(work).ownerless_beside(row.identities):
                # A number that only they were known to share is theirs, whoever it was given to.
                told = {"reason": reason.strip(), "shared_with": str(customer)}
                if await Erasures(work).of(left.customer_id) is None:
                    await self._begin(work, actor, [left], [left.customer_id], told)
            return _shown(row)

    async def _begin(
        self, work: UnitOfWork, actor: Actor, keys: Sequence[IdentityRow], names: Sequence[UUID], why: dict[str, str]
    ) -> ErasureRow:
        row = ErasureRow(
            customer_id=names[0],
            identities=[each.id for each in keys],
            names=list(names),
            requested_by=actor.login,
            requested_at=work.now,
            step=FIRST_STEP,
            due_at=work.now,
        )
        await Erasures(work).insert(row)
        orders = await Personal(work).orders_of(row.identities, MOST_ORDERS)
        erased: list[ErasedKey] = [(key.kind, key.scope, key.value) for key in keys]
        erased += [order_key(account, order) for account, order in orders]
        await ErasedKeys(work).add(row.id, erased)
        await AuditLog(work).record(actor, "customer.erase", f"customer:{names[0]}", why)
        return row

    async def show(self, actor: Actor, customer_id: UUID) -> Erasure:
        """How far the erasure of a customer is; raises NotFoundProblem when nobody asked for one."""
        actor.require(Permission.CUSTOMERS_ERASE)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            found = await Erasures(work).of(await _current(work, customer_id))
        if found is None:
            raise NotFoundProblem(
                Text(f"客户 {customer_id} 没有删除请求", f"Nobody asked to erase the customer {customer_id}")
            )
        return _shown(found)


class ErasureWorker:
    """Works erasures off. Any number of processes may do so at once: an erasure is one's at a time."""

    def __init__(self, database: Database, orchestrator: Orchestrator, traits: Sequence[Traits] = ()) -> None:
        self._database = database
        self._orchestrator = orchestrator
        self._traits = traits

    async def work(self, batch: int = BATCH) -> bool:
        """One bounded step of the erasure that is due the longest; False when none is."""
        async with UnitOfWork(self._database) as work:
            claimed = await Erasures(work).claim(_LEASE)
        if claimed is None:
            return False
        try:
            if claimed.step == "runs":
                await self._runs(claimed, batch)
            else:
                await self._step(claimed.id, batch)
        except UnavailableProblem as problem:
            await self._wait(claimed.id, _ASK_AGAIN, str(problem))
        except ProblemError as problem:
            log.warning("erasure waits", erasure=str(claimed.id), step=claimed.step, reason=str(problem))
            await self._wait(claimed.id, _LEASE, str(problem))
        except DBAPIError as error:
            # What the database refuses of one erasure holds up nothing else, and stands where people look.
            log.exception("erasure waits", erasure=str(claimed.id), step=claimed.step)
            await self._wait(claimed.id, _LEASE, f"{type(error.orig).__name__}: {claimed.step}")
        return True

    async def _step(self, erasure: UUID, batch: int) -> None:
        async with UnitOfWork(self._database) as work:
            row = await Erasures(work).locked(erasure)
            person = await _person(work, row)
            erasing, traces, cursor = Erasing(work), person.traces, row.cursor
            match row.step:
                case "awaited_orders":
                    _read(row, "awaited_orders", await erasing.sweep_awaited(traces, cursor, batch), work.now)
                case "events":
                    _read(row, "events", await erasing.sweep_events(traces, cursor, batch), work.now)
                case "tasks":
                    _read(row, "human_tasks", await erasing.sweep_tasks(traces, cursor, batch), work.now)
                case "effects":
                    _read(row, "effects", await erasing.sweep_effects(traces, cursor, batch), work.now)
                case "inbox":
                    _read(row, "inbox", await erasing.sweep_inbox(traces, cursor, batch), work.now)
                case "answers":
                    _read(row, "idempotency_keys", await erasing.sweep_answers(traces, cursor, batch), work.now)
                case "touches":
                    gone = await erasing.delete_touches(person.values, batch)
                    _emptied(row, {"touches": gone}, gone == 0, work.now)
                case "records":
                    changed = await erasing.empty_records(person.identities, batch)
                    _emptied(row, changed, not any(changed.values()), work.now)
                case "traits":
                    _emptied(row, await self._forget_traits(work, person), True, work.now)
                case "keys":
                    changed = await erasing.delete_keys(person.identities, person.names)
                    # Whoever was looking at the person when it began may have written since.
                    traits = await self._forget_traits(work, person)
                    _emptied(row, {**changed, **traits}, True, work.now)
                    told = {"rows": row.changed} | ({"unreadable": row.unreadable} if row.unreadable else {})
                    await AuditLog(work).record(_ERASURE, "customer.erased", f"customer:{row.customer_id}", told)

    async def _forget_traits(self, work: UnitOfWork, person: Person) -> dict[str, int]:
        return {"traits": sum([await each.forget(work, person.names) for each in self._traits])}

    async def _runs(self, claimed: ErasureRow, batch: int) -> None:
        """End and forget the runs of the next batch: first in Temporal, then here."""
        async with UnitOfWork(self._database) as work:
            person = await _person(work, claimed)
            theirs, others, looked = await Erasing(work).runs_naming(
                person.traces, person.identities, claimed.cursor, batch
            )
            theirs += await Erasing(work).children_of(theirs)
        forgotten = [run for run in dict.fromkeys(theirs) if await self._forget(run, claimed.requested_at)]
        # Before their rows change: by these the runs are found, also after a crash.
        emptied = [await self._forget_history(each.key) for each in others if each.key not in theirs]
        async with UnitOfWork(self._database) as work:
            row = await Erasures(work).locked(claimed.id)
            changed = dict(await Erasing(work).delete_runs(forgotten))
            if all(emptied):
                await Erasing(work).leave_runs(others, person.traces)
            if len(forgotten) < len(set(theirs)) or not all(emptied):
                _count(row, changed)
                row.problem, row.due_at = None, work.now + _ASK_AGAIN
            else:
                _read(row, "runs", Swept(looked.cursor, changed["runs"], looked.unreadable), work.now)

    async def _forget(self, run_id: str, since: datetime) -> bool:
        """Whether a run is over and gone from Temporal. An open one is cancelled first, and gets a minute to end its
        human tasks by itself."""
        situation = await self._orchestrator.situation(run_id)
        if situation is not None and situation.situation == "running" and self._database.clock() < since + _LEASE:
            await self._orchestrator.cancel(run_id, "the customer is erased")
            return False
        return await self._orchestrator.forget(run_id)

    async def _forget_history(self, run_id: str) -> bool:
        """Whether Temporal keeps nothing of a run that is over. One that is open goes on, with what it knows."""
        situation = await self._orchestrator.situation(run_id)
        if situation is not None and situation.situation == "running":
            log.warning("an open run of others keeps its history", run=run_id)
            return True
        return await self._orchestrator.forget(run_id)

    async def _wait(self, erasure: UUID, pause: timedelta, problem: str) -> None:
        async with UnitOfWork(self._database) as work:
            row = await Erasures(work).locked(erasure)
            row.due_at, row.problem = work.now + pause, problem[:LONGEST_REASON]


def _read(row: ErasureRow, table: str, swept: Swept, now: datetime) -> None:
    """Note a batch of a table that is read through."""
    _count(row, {table: swept.changed})
    if swept.unreadable:
        row.unreadable = {**row.unreadable, table: row.unreadable.get(table, 0) + swept.unreadable}
    row.problem, row.due_at = None, now
    if swept.cursor is not None:
        row.cursor = swept.cursor
        return
    row.cursor = ""
    place = _READING.index(row.step) + 1
    if place < len(_READING):
        row.step = _READING[place]
    elif row.round == 1:
        row.step, row.round, row.due_at, row.unreadable = _READING[0], 2, now + _SECOND_LOOK, {}
    else:
        row.step = _EMPTYING[0]


def _emptied(row: ErasureRow, changed: Mapping[str, int], complete: bool, now: datetime) -> None:
    """Note a batch of what pointed at the person."""
    _count(row, changed)
    row.problem, row.due_at = None, now
    if not complete:
        return
    place = _EMPTYING.index(row.step) + 1
    if place < len(_EMPTYING):
        row.step = _EMPTYING[place]
    else:
        row.due_at, row.ended_at = None, now


def _count(row: ErasureRow, changed: Mapping[str, int]) -> None:
    row.changed = {**row.changed, **{name: row.changed.get(name, 0) + count for name, count in changed.items()}}


def _require(actor: Actor, reason: str) -> None:
    actor.require(Permission.CUSTOMERS_ERASE)
    actor.require_everything()
    if not 1 <= len(reason.strip()) <= LONGEST_REASON:
        raise ValidationProblem(
            Text(
                f"请说明理由（1–{LONGEST_REASON} 字），会写入审计",
                f"Say why (1 to {LONGEST_REASON} characters); it is audited",
            )
        )


async def _current(work: UnitOfWork, customer_id: UUID) -> UUID:
    current = await Customers(work).current(customer_id)
    if current is None:
        raise NotFoundProblem(Text(f"没有客户 {customer_id}", f"There is no customer {customer_id}"))
    return current


async def _person(work: UnitOfWork, erasure: ErasureRow) -> Person:
    """The person as they were when the erasure was asked for, whatever people decided about their keys since."""
    return await person_of(work, erasure.identities, erasure.names)


def _shown(row: ErasureRow) -> Erasure:
    over = "incomplete" if row.unreadable else "done"
    return Erasure(
        row.customer_id,
        "working" if row.ended_at is None else over,
        row.step,
        row.requested_by,
        row.requested_at,
        row.ended_at,
        dict(row.changed),
        dict(row.unreadable),
        row.problem if row.ended_at is None else None,
    )
