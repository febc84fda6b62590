"""The audit log: who did what to what, kept so that a change or a gap shows.

An entry is written in the transaction of the change it tells about, without any lock, and carries an HMAC of its
content at once. A sealing step, one at a time for the database (an advisory lock), then chains what was committed, in
batches: each seal is an HMAC over its position, the seal before and the entry. So hundreds of writers never wait for
each other, as they would if each had to read the head of the chain first, and there is one chain to verify rather than
one per shard. What this leaves open, and for how long: an entry that is deleted before it is sealed (seconds) leaves no
trace; one that is altered does, always.

UPDATE, DELETE and TRUNCATE are refused by triggers, and the application role has no such grant. Whoever owns the
database can still cut the end off the chain: keep `head()` somewhere else from time to time and give it to
`verify_chain`.

`detail` is encrypted as a whole, because it quotes people's data; it is never rewritten, so its key must stay in the
keyring for as long as it should be readable. The HMACs are over the ciphertext: verifying decrypts nothing.
"""

import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, delete, func, select, text
from sqlmodel import Field, col

from domain.access import Actor, Scope
from domain.ids import canonical_json
from domain.organisation import Placement
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository

DETAIL_CONTEXT = "audit_entries.detail"
_ENTRY_PURPOSE = "audit-entry"
_SEAL_PURPOSE = "audit-seal"
_SEALER_LOCK = 0x5EA1
_GENESIS = bytes(32)
_MOST_FINDINGS = 100


class AuditEntryRow(ScopedColumns, Table, table=True):
    """One entry; never updated, never deleted."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_at_id", "at", "id"),
        Index("ix_audit_entries_target_at", "target", "at"),
        Index("ix_audit_entries_actor_at", "actor", "at"),
    )

    id: UUID = Field(primary_key=True)
    at: datetime = instant()
    actor: str
    token_id: UUID | None = None
    action: str
    target: str
    detail: bytes
    key_id: str
    mac: bytes


class AuditSealRow(Table, table=True):
    """One link of the chain."""

    __tablename__ = "audit_seals"

    position: int = Field(primary_key=True, sa_type=BigInteger)
    entry_id: UUID = Field(unique=True)
    previous: bytes
    seal: bytes
    key_id: str
    sealed_at: datetime = instant()


class AuditPendingRow(Table, table=True):
    """Entries that are not sealed yet; a trigger adds each new one."""

    __tablename__ = "audit_pending"

    entry_id: UUID = Field(primary_key=True)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a reader of the log sees. `target` is `kind:id`; `token_id` is the token it was done with."""

    id: UUID
    at: datetime
    actor: str
    token_id: UUID | None
    action: str
    target: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last link: keep it outside the database to notice an end that was cut off."""

    position: int
    seal: bytes


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """Something is wrong at a position (None: outside the chain).

    kind: `altered` content, `missing` entry, `broken` link, `gap` in positions, `unchained` entry without a seal,
    `truncated` end, `unverifiable` because its key is not in the keyring.
    """

    kind: str
    position: int | None = None
    entry_id: UUID | None = None


@dataclass(slots=True)
class ChainReport:
    """What `verify_chain` saw: seals checked, entries that wait for their seal, and at most a hundred findings."""

    sealed: int = 0
    pending: int = 0
    findings: list[ChainFinding] = field(default_factory=list)
    head: ChainHead | None = None

    @property
    def intact(self) -> bool:
        return not self.findings

    def add(self, finding: ChainFinding) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)


_NEWEST_FIRST = Order("audit", (AuditEntryRow.at, AuditEntryRow.id))


class AuditLog(Repository):
    async def record(
        self,
        actor: Actor,
        action: str,
        target: str,
        detail: Mapping[str, Any] | None = None,
        placement: Placement | None = None,
    ) -> None:
        """Write an entry (`"user.disable"`, `"user:zhang"`) with this unit of work. No secrets in `detail`."""
        keyring = self.work.database.keyring
        place = placement or Placement()
        row = AuditEntryRow(
            id=_entry_id(self.now),
            at=self.now,
            actor=actor.login,
            token_id=actor.token_id,
            action=action,
            target=target,
            detail=keyring.encrypt(canonical_json(dict(detail or {})), DETAIL_CONTEXT),
            key_id=keyring.current_id,
            mac=b"",
            unit_path=place.unit_path,
            account_id=place.account_id,
            customer_owner=place.customer_owner,
        )
        row.mac = keyring.mac(_ENTRY_PURPOSE, _entry_message(row), key_id=row.key_id)
        await self.insert(row)

    async def list(
        self,
        scope: Scope,
        page: PageRequest,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page[AuditEntry]:
        """Entries within a data scope, newest first; `action` also takes a prefix with a dot at its end (`user.`)."""
        row = AuditEntryRow
        statement = select(row).where(visible(row, scope))
        if actor is not None:
            statement = statement.where(col(row.actor) == actor)
        if action is not None:
            column = col(row.action)
            statement = statement.where(
                column.startswith(action, autoescape=True) if action.endswith(".") else column == action
            )
        if target is not None:
            statement = statement.where(col(row.target) == target)
        if since is not None:
            statement = statement.where(col(row.at) >= since)
        if until is not None:
            statement = statement.where(col(row.at) < until)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, self._entry)

    async def seal(self, limit: int = 500) -> int:
        """Chain committed entries; how many. 0 also when another process is sealing just now."""
        locked = await self.session.scalar(select(func.pg_try_advisory_xact_lock(_SEALER_LOCK)))
        if not locked:
            return 0
        pending = col(AuditPendingRow.entry_id)
        entries = (
            await self.session.scalars(
                select(AuditEntryRow)
                .join(AuditPendingRow, pending == col(AuditEntryRow.id))
                .order_by(col(AuditEntryRow.at), col(AuditEntryRow.id))
                .limit(limit)
            )
        ).all()
        if not entries:
            return 0
        keyring = self.work.database.keyring
        head = await self.head()
        seals = []
        for entry in entries:
            position, previous = (head.position + 1, head.seal) if head else (1, _GENESIS)
            seal = keyring.mac(_SEAL_PURPOSE, _seal_message(position, previous, entry.id, entry.mac))
            seals.append(
                AuditSealRow(
                    position=position,
                    entry_id=entry.id,
                    previous=previous,
                    seal=seal,
                    key_id=keyring.current_id,
                    sealed_at=self.now,
                )
            )
            head = ChainHead(position, seal)
        await self.insert(*seals)
        await self.session.execute(delete(AuditPendingRow).where(pending.in_([entry.id for entry in entries])))
        return len(entries)

    async def head(self) -> ChainHead | None:
        """The last link, None before the first seal."""
        last = await self.session.scalar(select(AuditSealRow).order_by(col(AuditSealRow.position).desc()).limit(1))
        return ChainHead(last.position, last.seal) if last else None

    async def verify_chain(self, known_head: ChainHead | None = None) -> ChainReport:
        """Check every seal and every entry; first statement of its unit of work, which sees one moment throughout.

        known_head: a head that was kept outside; the chain must still go through it.
        """
        await self.session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        await self.session.execute(text("SET LOCAL statement_timeout = 0"))
        report = ChainReport()
        statement = (
            select(AuditSealRow, AuditEntryRow)
            .outerjoin(AuditEntryRow, col(AuditEntryRow.id) == col(AuditSealRow.entry_id))
            .order_by(col(AuditSealRow.position))
            .execution_options(yield_per=1000)
        )
        async for seal, entry in await self.session.stream(statement):
            self._check(report, seal, entry)
            self.session.expunge(seal)
            if entry is not None:
                self.session.expunge(entry)
            if known_head and seal.position == known_head.position and seal.seal != known_head.seal:
                report.add(ChainFinding("broken", seal.position, seal.entry_id))
        if known_head and (report.head is None or report.head.position < known_head.position):
            report.add(ChainFinding("truncated", report.head.position if report.head else 0))
        await self._check_unsealed(report)
        return report

    def _check(self, report: ChainReport, seal: AuditSealRow, entry: AuditEntryRow | None) -> None:
        expected = report.head or ChainHead(0, _GENESIS)
        if seal.position != expected.position + 1:
            report.add(ChainFinding("gap", seal.position, seal.entry_id))
        elif seal.previous != expected.seal:
            report.add(ChainFinding("broken", seal.position, seal.entry_id))
        if entry is None:
            report.add(ChainFinding("missing", seal.position, seal.entry_id))
        elif finding := self._flaw_of(entry):
            report.add(ChainFinding(finding, seal.position, seal.entry_id))
        elif finding := self._mismatch(
            _SEAL_PURPOSE, _seal_message(seal.position, seal.previous, entry.id, entry.mac), seal.key_id, seal.seal
        ):
            report.add(ChainFinding("broken" if finding == "altered" else finding, seal.position, seal.entry_id))
        report.sealed += 1
        report.head = ChainHead(seal.position, seal.seal)

    async def _check_unsealed(self, report: ChainReport) -> None:
        statement = (
            select(AuditEntryRow, col(AuditPendingRow.entry_id))
            .outerjoin(AuditSealRow, col(AuditSealRow.entry_id) == col(AuditEntryRow.id))
            .outerjoin(AuditPendingRow, col(AuditPendingRow.entry_id) == col(AuditEntryRow.id))
            .where(col(AuditSealRow.position).is_(None))
            .execution_options(yield_per=1000)
        )
        async for entry, pending in await self.session.stream(statement):
            report.pending += pending is not None
            finding = self._flaw_of(entry) or (None if pending else "unchained")
            if finding:
                report.add(ChainFinding(finding, None, entry.id))

    def _flaw_of(self, entry: AuditEntryRow) -> str | None:
        return self._mismatch(_ENTRY_PURPOSE, _entry_message(entry), entry.key_id, entry.mac)

    def _mismatch(self, purpose: str, message: bytes, key_id: str, mac: bytes) -> str | None:
        keyring = self.work.database.keyring
        if key_id not in keyring.ids:
            return "unverifiable"
        return None if hmac.compare_digest(keyring.mac(purpose, message, key_id=key_id), mac) else "altered"

    def _entry(self, row: AuditEntryRow) -> AuditEntry:
        detail = json.loads(self.work.database.keyring.decrypt(row.detail, DETAIL_CONTEXT))
        return AuditEntry(row.id, row.at, row.actor, row.token_id, row.action, row.target, detail)


def _entry_message(row: AuditEntryRow) -> bytes:
    members: Sequence[str | None] = (
        str(row.id),
        row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        row.actor,
        str(row.token_id) if row.token_id else None,
        row.action,
        row.target,
        row.unit_path,
        row.account_id,
        row.customer_owner,
        row.detail.hex(),
    )
    return canonical_json(list(members))


def _seal_message(position: int, previous: bytes, entry_id: UUID, entry_mac: bytes) -> bytes:
    return canonical_json([position, previous.hex(), str(entry_id), entry_mac.hex()])


def _entry_id(now: datetime) -> UUID:
    """A UUID of version 7 that is known before the row is written, because the HMAC covers it."""
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << 80) | secrets.randbits(80)
    return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62))
