"""Bills of platforms, taken in: fetched from those that make one of each day, or from a file that a person exported.

A bill is taken as a whole, once; one that cannot be believed leaves nothing behind.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import BinaryIO, Literal

from connectors.billing import Billing, bill_kinds_of
from connectors.files import open_table
from connectors.http import Link
from connectors.registry import ConnectorRegistry
from domain.access import Actor, Permission, system_actor
from domain.accounts import Account
from domain.ids import content_digest
from domain.organisation import Placement
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.bill_rows import BillColumns, read_bill_table
from domain.settlement.bills import SHANGHAI, BillKind, BillLine, Told, check_sums, day_of, sums_of
from domain.settlement.days import require_day
from services.connections import Connections
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.bills import BillRow, Bills, Source
from storage.engine import Database
from storage.locks import lock
from storage.paging import Page, PageRequest
from storage.payouts import Payouts
from storage.unit_of_work import UnitOfWork

READY_AT = time(10)
CLAIMED_WITHIN = timedelta(days=2)
"""A transfer that its payee did not claim ends within a day; then it stands in no later bill."""
_READER = system_actor("bills")
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}
PayoutWord = Literal["paid", "absent"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A bill, and whether it was new."""

    bill: BillRow
    new: bool


class BillService:
    """Bills as people see them and hand them in."""

    def __init__(self, database: Database, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._connectors = connectors

    async def take_file(
        self,
        actor: Actor,
        account_id: str,
        day: date,
        columns: BillColumns,
        file: BinaryIO,
        *,
        digest: str | None = None,
        told: Told | None = None,
        replaces: str | None = None,
    ) -> Taken:
        """Take a bill that somebody exported. digest, told: what the platform says of it; the digest is needed, or both
        sums of what came in and what went out. By a count of rows nobody notices a wrong amount.

        replaces: why the platform's own bill cannot be had, where it makes one: such a file waits until somebody else
        lets it in.

        :raises ValidationProblem: the file is not what its digest says, its rows do not come to what was told, or a row
            is wrong (`errors` by line and column). Nothing is taken then.
        :raises ConflictProblem: another bill of that day was taken, the day is not over, or the platform makes the bill
            and nobody says why it cannot be had.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        if digest is None and (told is None or told.in_minor is None or told.out_minor is None):
            raise ValidationProblem(
                Text(
                    "账单须附平台给出的摘要（MD5、SHA-1 或 SHA-256），或收入与支出两个合计（没有的写 0）；只有行数不够",
                    "Say what the platform tells of the bill to check it by: a digest (MD5, SHA-1, SHA-256), or the "
                    "sums of both what came in and what went out (0 for none); a count of rows is not enough",
                ),
                errors=[],
            )
        content = await asyncio.to_thread(_checked, file, digest)
        await self._account(actor, account_id, day)
        made = columns.kind in bill_kinds_of(self._connectors, account_id)
        if made and not (replaces or "").strip():
            raise ConflictProblem(
                Text(
                    f"{account_id} 的账单由平台取得，不收文件；确实取不到时请写明原因，由另一人确认后代替",
                    f"The platform makes the bills of {account_id}, and no file is taken; where they cannot be had say "
                    "why: a file takes their place once somebody else agrees",
                )
            )

        def read() -> list[BillLine]:
            with open_table(file, columns.layout) as table:
                return read_bill_table(table, columns, day)

        lines = await asyncio.to_thread(read)
        check_sums(sums_of(lines), told or Told())
        reason = (replaces or "").strip() if made else None
        return await take(self._database, actor, account_id, day, columns.kind, "file", content, lines, reason)

    async def list(self, actor: Actor, page: PageRequest, *, account: str | None = None) -> Page[BillRow]:
        """Bills within one's scope, the latest day first."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Bills(work).search(actor.scope, page, account=account)

    async def payout_word(self, number: str) -> PayoutWord | None:
        """What bills say of a WeChat Pay transfer by our number of it; None while they do not say.

        paid: bills have it, with its amount. absent: it came back, or WeChat Pay never gave it a number and it
        stands in none of the bills of all days on which it could, which tell of the others by our numbers: bills could
        be of an account that pays no transfers, or name them otherwise. Another amount is no word, but a break.
        """
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number)
            if row is None or row.rail != "wechat-pay":
                return None
            merchants = await Bills(work).payers(row.batch)
            net = await Bills(work).transferred(merchants, {row.number, row.rail_number or row.number})
            if net is not None:
                return "absent" if net == 0 else "paid" if net == row.amount_minor else None
            if row.rail_number is not None or not merchants:
                return None
            start, end = day_of(row.created_at), day_of(row.changed_at) + CLAIMED_WITHIN
            told = [await Bills(work).has_told_of_all(merchant, start, end) for merchant in merchants]
            return "absent" if all(told) else None

    async def _account(self, actor: Actor, account_id: str, day: date) -> Account:
        async with UnitOfWork(self._database) as work:
            refuse_early(day, work.now)
            return await Accounts(work).require(account_id, actor.scope)


class BillReader:
    """Fetches the bills of connected accounts, where the platform's queue is served."""

    def __init__(self, database: Database, connectors: ConnectorRegistry, connections: Connections, link: Link) -> None:
        self._database = database
        self._connectors = connectors
        self._connections = connections
        self._link = link

    async def take_day(self, account_id: str, day: date) -> Sequence[Taken]:
        """Take what there is not yet of a day's bills.

        Raises NotFoundProblem for a platform without bills, and problems as `connectors.errors` describes them.
        """
        platform, _, slug = account_id.partition("/")
        connector = self._connectors.for_platform(platform)
        if not bill_kinds_of(self._connectors, account_id):
            raise NotFoundProblem(
                Text(f"平台 {platform} 没有账单接口，请导入文件", f"{platform} gives no bills: import a file"),
                retryable=False,
            )
        link = self._link.paced(account_id, connector.requests_per_second, bulk=True)
        client: Billing = connector.open(await self._connections.account(platform, slug), link)
        async with UnitOfWork(self._database) as work:
            refuse_early(day, work.now)
            known = {kind: await Bills(work).find(account_id, day, kind) for kind in client.bill_kinds}
        taken = []
        for kind, row in known.items():
            if row is not None:
                taken.append(Taken(row, False))
                continue
            bill = await client.day_bill(day, kind)
            by, digest, lines = _READER, bill.digest, bill.lines
            kept = await take(self._database, by, account_id, day, kind, "platform", digest, lines, whole=bill.whole)
            taken.append(kept)
        return taken


async def take(
    database: Database,
    actor: Actor,
    account_id: str,
    day: date,
    kind: BillKind,
    source: Source,
    digest: str | None,
    lines: Sequence[BillLine],
    replaces: str | None = None,
    *,
    whole: bool = False,
) -> Taken:
    """Keep a bill that was read and believed; raises ConflictProblem when another one is there. replaces: why it takes
    the place of the platform's own, for which it waits. whole: as `storage.bills.BillRow` has it."""
    sums = sums_of(lines)
    async with UnitOfWork(database) as work:
        await lock(work, f"bills/{account_id}")
        account = await Accounts(work).require(account_id)
        row = BillRow(
            account=account_id,
            day=day,
            kind=kind,
            source=source,
            digest=digest,
            rows=sums.rows,
            in_minor=sums.in_minor,
            out_minor=sums.out_minor,
            fee_minor=sums.fee_minor,
            taken_by=actor.login,
            taken_at=work.now,
            state="waiting" if replaces is not None else "taken",
            reason=replaces,
            whole=whole,
        )
        found, new = await Bills(work).take(row, lines)
        if new:
            detail = {"day": str(day), "kind": kind, "source": source, "digest": digest, "rows": sums.rows}
            detail |= {"replaces": replaces} if replaces is not None else {}
            await AuditLog(work).record(actor, "bill.take", f"account:{account_id}", detail, _place(account))
        return Taken(found, new)


def refuse_early(day: date, now: datetime) -> None:
    """Raises ConflictProblem before ten o'clock of the next morning in Shanghai, ValidationProblem for another age."""
    if not is_ready(require_day(day), now):
        raise ConflictProblem(
            Text(
                f"{day} 的账单在次日 10 点（上海）之后才有",
                f"The bill of {day} is there from ten o'clock of the next day in Shanghai on",
            ),
            retryable=False,
        )


def is_ready(day: date, now: datetime) -> bool:
    """Whether platforms have the bill of a day."""
    return now >= datetime.combine(day + timedelta(days=1), READY_AT, SHANGHAI)


def _place(account: Account) -> Placement:
    return Placement(account.unit_path, account.id)


def _checked(file: BinaryIO, told: str | None) -> str:
    """The file's own digest. Raises ValidationProblem when it is not the one that was told."""
    file.seek(0)
    content = file.read()
    if told is not None:
        plain = told.strip().lower().removeprefix("sha256:")
        name = _HASHES.get(len(plain))
        if name is None or hashlib.new(name, content, usedforsecurity=False).hexdigest() != plain:
            raise ValidationProblem(
                Text(
                    "账单文件与摘要不符，可能不完整或被改动；未导入",
                    "The file is not what its digest says: cut short, or changed; nothing was taken",
                ),
                errors=[],
            )
    return content_digest(content)
