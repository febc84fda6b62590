"""Everything that is stored about one person, in clear, for them: line by line, so that it may be of any size.

What is shown is what erasure takes out (`storage.personal`): what points at the person, what mentions them, and the
histories of their runs in Temporal. Of what is about others as well only the objects that name the person are shown.
The last line says that it is complete: without it, it is not.
"""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from domain.access import EVERYTHING, Actor, Permission
from domain.customers.traces import Traces
from domain.events import rfc3339
from domain.organisation import Placement
from domain.problems import ConflictProblem, ProblemError, Text, UnavailableProblem, ValidationProblem
from services.histories import history_of
from services.orchestrator import Orchestrator
from storage.audit import AuditLog
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.erasing import Erasing
from storage.erasures import Erasures
from storage.identities import Customers, Identities
from storage.mentions import Mention, Mentions
from storage.paging import PageRequest
from storage.personal import FOLLOWING, MENTIONING, POINTING, Person, Personal, in_clear, person_of
from storage.recordsets import table_of
from storage.runs import RunRow
from storage.tables import Table
from storage.unit_of_work import UnitOfWork

LONGEST_REASON = 500
HISTORY = "temporal_history"
AUDIT = "audit_entries"
_PAGE = 500
_SWEEP = 200
_STILL_THERE_S = 5.0


@dataclass(slots=True)
class Export:
    """An export that was allowed and audited. `lines` may be read once; nothing in them is masked."""

    customer: UUID
    aliases: Sequence[UUID]
    begun_at: datetime
    person: Person
    lines: AsyncIterator[bytes] = field(init=False)
    masked: bool = False


class ExportService:
    """Raises AuthorizationProblem without `customers.export`; it is for who sees everything."""

    def __init__(self, database: Database, orchestrator: Orchestrator) -> None:
        self._database = database
        self._orchestrator = orchestrator

    async def export(self, actor: Actor, customer_id: UUID, reason: str) -> Export:
        """What is known of a customer, as lines of JSON: `{"export": …}` first, then `{"table": …, "data": …}` for each
        row, at last `{"end": …}`; or `{"problem": …}`, when it cannot go on. A former id stands for who it is now.

        :raises NotFoundProblem: there is no such customer. :raises ValidationProblem: no reason.
        :raises UnavailableProblem: Temporal does not answer, so that histories could not be shown.
        """
        actor.require(Permission.CUSTOMERS_EXPORT)
        actor.require_everything()
        if not 1 <= len(reason.strip()) <= LONGEST_REASON:
            raise ValidationProblem(
                Text(
                    f"请说明理由（1–{LONGEST_REASON} 字），会写入审计",
                    f"Say why (1 to {LONGEST_REASON} characters); it is audited",
                )
            )
        if not await self._orchestrator.healthy():
            raise UnavailableProblem(
                Text(
                    "流程引擎暂时没有响应，运行历史无法导出，请稍后重试",
                    "The flow engine does not answer, so that histories of runs cannot be exported; try again shortly",
                )
            )
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            aliases = (await Customers(work).aliases([customer])).get(customer, ())
            keys = await Identities(work).of_customers([customer])
            person = await person_of(work, [row.id for row in keys], [customer, *aliases])
            await AuditLog(work).record(
                actor, "customer.export", f"customer:{customer}", {"reason": reason.strip()}, Placement()
            )
            export = Export(customer, aliases, work.now, person)
        export.lines = _Telling(self._database, self._orchestrator, export).lines()
        return export


class _Telling:
    """One export under way. Each page is a unit of work of its own, so that no slow reader holds the database."""

    def __init__(self, database: Database, orchestrator: Orchestrator, export: Export) -> None:
        self._database = database
        self._orchestrator = orchestrator
        self._export = export
        self._person = export.person
        self._told: Counter[str] = Counter()
        self._unreadable: Counter[str] = Counter()
        self._runs: set[str] = set()

    async def lines(self) -> AsyncIterator[bytes]:
        export = self._export
        yield _line(
            {
                "export": {
                    "customer": str(export.customer),
                    "aliases": [str(each) for each in export.aliases],
                    "begun_at": rfc3339(export.begun_at),
                }
            }
        )
        try:
            for row in POINTING:
                async for line in self._pointing(row):
                    yield line
            for row in MENTIONING:
                async for line in self._mentioning(row):
                    yield line
            async for line in self._audited():
                yield line
            await self._require_unerased()
        except ProblemError as problem:
            yield _line({"problem": problem.problem.as_dict()})
            return
        end = {"rows": dict(sorted(self._told.items()))}
        unreadable = {name: count for name, count in sorted(self._unreadable.items()) if count}
        yield _line({"end": end | ({"unreadable": unreadable} if unreadable else {})})

    async def _pointing(self, row: type[Table]) -> AsyncIterator[bytes]:
        after: tuple[Any, ...] | None = None
        while True:
            async with UnitOfWork(self._database) as work:
                rows, after = await Personal(work).page(row, POINTING[row](self._person), after, _PAGE)
                lines = [self._line_of(each) for each in rows]
            for line in lines:
                yield line
            if after is None:
                return

    async def _mentioning(self, row: type[Table]) -> AsyncIterator[bytes]:
        cursor: str | None = ""
        read, said_at = 0, time.monotonic()
        while cursor is not None:
            async with UnitOfWork(self._database) as work:
                looked = await Mentions(work).after(row, MENTIONING[row], cursor, _SWEEP, self._person.traces)
                readable = [each for each in looked.found if not each.damaged]
                self._unreadable[_name(row)] += looked.unreadable + len(looked.found) - len(readable)
                theirs, lines = await self._found(work, row, readable)
                cursor = looked.cursor
            for line in lines:
                yield line
            for run in theirs:
                async for line in self._history(run):
                    yield line
            read += _SWEEP
            if time.monotonic() > said_at + _STILL_THERE_S:
                # Whoever reads along sees that it goes on, however long nothing is found.
                yield _line({"reading": {"table": _name(row), "rows": read}})
                said_at = time.monotonic()

    async def _found(
        self, work: UnitOfWork, row: type[Table], found: Sequence[Mention]
    ) -> tuple[list[str], list[bytes]]:
        """The runs among what was found that are about the person, and what is said of all of it."""
        if row is RunRow:
            return await self._runs_found(work, found)
        keys = [each.key for each in found]
        lines: list[bytes] = []
        for each in await _by_keys(work, row, keys):
            if getattr(each, "run_id", None) in self._runs:
                continue
            lines.append(self._line_of(each, self._person.traces))
        for next_row, column in FOLLOWING.get(row, {}).items():
            lines += [self._line_of(each) for each in await Personal(work).rows(next_row, column, keys)]
        return [], lines

    async def _runs_found(self, work: UnitOfWork, found: Sequence[Mention]) -> tuple[list[str], list[bytes]]:
        about = await Erasing(work).theirs(found, self._person.traces, self._person.identities)
        parts = await Erasing(work).children_of(about)
        theirs = [run for run in dict.fromkeys([*about, *parts]) if run not in self._runs]
        self._runs |= set(theirs)
        personal = Personal(work)
        lines = [self._line_of(each) for each in await personal.rows(RunRow, "id", theirs)]
        for row, column in FOLLOWING[RunRow].items():
            some = await personal.rows(row, column, theirs)
            lines += [self._line_of(each) for each in some]
            for next_row, name in FOLLOWING.get(row, {}).items():
                lines += [self._line_of(each) for each in await personal.rows(next_row, name, [one.id for one in some])]
        others = [each.key for each in found if each.key not in self._runs]
        lines += [self._line_of(each, self._person.traces) for each in await personal.rows(RunRow, "id", others)]
        return theirs, lines

    async def _audited(self) -> AsyncIterator[bytes]:
        """What people did about the customer: it outlives what it was about, such as a suppression that was lifted."""
        for name in self._person.names:
            page = PageRequest(_SWEEP)
            while True:
                async with UnitOfWork(self._database) as work:
                    found = await AuditLog(work).list(EVERYTHING, page, target=f"customer:{name}")
                for each in found.items:
                    self._told[AUDIT] += 1
                    did = {"at": rfc3339(each.at), "actor": each.actor, "action": each.action, "target": each.target}
                    yield _line({"table": AUDIT, "data": {**did, "detail": to_jsonable_python(each.detail)}})
                if found.next_cursor is None:
                    break
                page = PageRequest(_SWEEP, found.next_cursor)

    async def _history(self, run_id: str) -> AsyncIterator[bytes]:
        async for event in history_of(self._orchestrator, run_id):
            self._told[HISTORY] += 1
            yield _line({"table": HISTORY, "data": {"run": run_id, **event}})

    async def _require_unerased(self) -> None:
        async with UnitOfWork(self._database) as work:
            if await Erasures(work).of(self._export.customer) is not None:
                raise ConflictProblem(
                    Text(
                        "导出期间有人申请了删除，内容可能不完整",
                        "Somebody asked to erase this customer meanwhile: this may not be everything",
                    )
                )

    def _line_of(self, row: Table, shared: Traces | None = None) -> bytes:
        """One row; shared: it is about others as well, and only what names the person is shown."""
        data = in_clear(row)
        if shared is not None:
            data = {name: kept for name, each in data.items() if (kept := _shown(name, each, shared)) is not None}
        self._told[_name(type(row))] += 1
        return _line({"table": _name(type(row)), "data": data})


async def _by_keys(work: UnitOfWork, row: type[Table], keys: Collection[Any]) -> list[Any]:
    names = MENTIONING[row]
    if len(names) == 1:
        return await Personal(work).rows(row, names[0], keys)
    return [found for key in keys if (found := await work.session.get(row, key)) is not None]


def _shown(name: str, value: Any, traces: Traces) -> Any:
    """A column of a row that is about others as well."""
    if isinstance(value, dict | list) or name in _TEXTS:
        return traces.only(value)
    return value


_TEXTS = frozenset({"title", "comment", "subject", "reason", "start_problem", "payload", "answer", "body", "input"})
"""Columns that may hold a text about anybody."""


def _name(row: type[Table]) -> str:
    return str(table_of(row).name)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
