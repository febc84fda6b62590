"""Importing a table: its rows become records in the inbox, and take the path of every push from there.

A record has the same key whenever it is handed in, so an import that broke off is simply done again: what is there
already is known, nothing is doubled. The inbox is never filled further than the drainer keeps up with, so that live
pushes do not wait behind history.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from connectors.canonical_records import handed_in
from connectors.files import open_table
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Verified
from domain.access import Actor, Permission
from domain.imports import RowError
from domain.imports.mapping import ImportMapping
from domain.imports.reading import ReadRecord, TableReader
from domain.organisation import Placement
from domain.problems import ConflictProblem, Text, UnavailableProblem, ValidationProblem
from services.inbox_room import InboxRoom
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.unit_of_work import UnitOfWork

BATCH = 500
_CHUNK = 1 << 20

OnError = Callable[[RowError], None]


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What became of a table. rows: read; records: understood; new: stored now; known: stored before; refused: records
    that were not understood. digest: of the file. In a dry run nothing is stored, and `new` and `known` are 0."""

    rows: int = 0
    records: int = 0
    new: int = 0
    known: int = 0
    refused: int = 0
    digest: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ImportBounds:
    """How much one import may be. patience_s: how long to wait for a full inbox to be drained."""

    most_rows: int = 5_000_000
    patience_s: float = 600.0


class Imports:
    def __init__(self, database: Database, connectors: ConnectorRegistry, room: InboxRoom | None = None) -> None:
        self._database = database
        self._connectors = connectors
        self._room = room or InboxRoom(database)

    async def run(
        self,
        actor: Actor,
        account_id: str,
        mapping: ImportMapping,
        file: BinaryIO,
        name: str,
        on_error: OnError,
        *,
        dry_run: bool = False,
        from_line: int = 0,
        bounds: ImportBounds | None = None,
    ) -> ImportOutcome:
        """Import a seekable file's table for an account; every refused row is told to `on_error`.

        from_line: rows before it are passed over. Records that are understood are stored, whatever the others are.
        :raises AuthorizationProblem: not allowed. :raises NotFoundProblem: no such account, or out of scope.
        :raises ConflictProblem: the account is disconnected.
        :raises ValidationProblem: no table, a column that is not there, too many rows.
        :raises UnavailableProblem: the inbox stays full: `line` says where to go on.
        """
        actor.require(Permission.EVENTS_PUBLISH)
        bounds = bounds or ImportBounds()
        place, accounts = await self._place(actor, account_id)
        platform, _, slug = account_id.partition("/")
        self._connectors.for_platform(platform)
        digest = await asyncio.to_thread(_digest, file)
        outcome = ImportOutcome(digest=digest, dry_run=dry_run)
        with open_table(file, mapping) as table:
            reader = TableReader(mapping, table.columns, platform, slug, accounts)
            if not dry_run:
                await self._audit(actor, "import.begin", place, name, {"digest": digest, "record": mapping.record})
            found = reader.read(table, self._database.clock())
            while batch := await asyncio.to_thread(lambda: list(islice(found, BATCH))):
                batch = [one for one in batch if _line_of(one) >= from_line]
                outcome = await self._take(outcome, batch, account_id, mapping, on_error, bounds)
                if outcome.rows > bounds.most_rows:
                    raise _too_many(bounds.most_rows, _line_of(batch[-1]))
        if not dry_run:
            counts = {"rows": outcome.rows, "new": outcome.new, "known": outcome.known, "refused": outcome.refused}
            await self._audit(actor, "import.end", place, name, {"digest": digest, **counts})
        return outcome

    async def _take(
        self,
        outcome: ImportOutcome,
        batch: list[ReadRecord | list[RowError]],
        account_id: str,
        mapping: ImportMapping,
        on_error: OnError,
        bounds: ImportBounds,
    ) -> ImportOutcome:
        received_at = self._database.clock()
        records = [one for one in batch if isinstance(one, ReadRecord)]
        errors = [one for one in batch if not isinstance(one, ReadRecord)]
        for error in (each for group in errors for each in group):
            on_error(error)
        new = 0
        if records and not outcome.dry_run:
            await self._wait_for_room(records[0].line, bounds.patience_s)
            new = await self._store(
                account_id,
                [handed_in(mapping.record, one.data, received_at, past=mapping.history) for one in records],
            )
        return ImportOutcome(
            rows=outcome.rows + sum(one.rows for one in records) + sum(_rows_of(group) for group in errors),
            records=outcome.records + len(records),
            new=outcome.new + new,
            known=outcome.known + (0 if outcome.dry_run else len(records) - new),
            refused=outcome.refused + len(errors),
            digest=outcome.digest,
            dry_run=outcome.dry_run,
        )

    async def _store(self, account_id: str, records: list[Verified]) -> int:
        platform, _, slug = account_id.partition("/")
        pushes = [
            Push(platform, slug, one.dedupe_key, one.kind, one.payload, one.received_at, one.sent_at) for one in records
        ]
        async with UnitOfWork(self._database) as work:
            return await Inbox(work).add_many(pushes)

    async def _wait_for_room(self, line: int, patience_s: float) -> None:
        """Waits until the drainer has caught up."""
        if not await self._room.wait_for_room(patience_s):
            most = self._room.most_beside_past
            raise UnavailableProblem(
                Text(
                    f"收件箱积压超过 {most} 条：请确认工作进程在运行，再从第 {line} 行继续或重新导入",
                    f"More than {most:,} pushes wait in the inbox and do not get fewer: see that a worker "
                    f"runs, then go on from line {line}, or import the file again",
                ),
                line=line,
            )

    async def _place(self, actor: Actor, account_id: str) -> tuple[Placement, frozenset[str]]:
        """Where the account belongs, and the ids of all accounts."""
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).require(account_id, actor.scope)
            accounts = frozenset(await Accounts(work).ids())
        if not account.active:
            raise ConflictProblem(Text(f"账号 {account_id} 已停用", f"The account {account_id} is disconnected"))
        return Placement(account.unit_path, account.id), accounts

    async def _audit(self, actor: Actor, action: str, place: Placement, name: str, detail: Mapping[str, Any]) -> None:
        async with UnitOfWork(self._database) as work:
            await AuditLog(work).record(
                actor, action, f"account:{place.account_id}", {"file": name[:200], **detail}, place
            )


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _line_of(one: ReadRecord | list[RowError]) -> int:
    return one.line if isinstance(one, ReadRecord) else max(error.line for error in one)


def _rows_of(group: list[RowError]) -> int:
    return len({error.line for error in group})


def _too_many(most: int, line: int) -> ValidationProblem:
    return ValidationProblem(
        Text(
            f"表格超过 {most} 行；之前的行已处理，请用命令行 tandem import 从第 {line} 行继续，或拆分文件",
            f"The table has more than {most} rows; those before are done: go on from line {line} by `tandem import`, "
            "or split the file",
        ),
        errors=[],
        line=line,
    )
