"""Reading merchants' trade bills: which payments there are for payees to be paid out of.

A day's bill is there from ten o'clock the next morning, and is never revised: each is read once, its refunds with it.
The order of a payment may be heard of later than the payment, so payments without one are looked for again.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from connectors.http import Link
from connectors.reading import CHINA, anomaly, china_time, text
from connectors.wechat_pay import WechatPayConnector
from connectors.wechat_pay.bills import Bill, fen_of
from connectors.wechat_pay.settings import WechatPaySettings
from domain.access import Scope
from domain.catalog.wechat_pay import BillArguments
from domain.catalog.wechat_pay_sharing import TRANSACTION
from domain.problems import CommunicationProblem, ProblemError, Text, ValidationProblem
from domain.settlement.profit_sharing import WITHIN
from services.connections import Connections
from storage.accounts import Accounts
from storage.engine import Database
from storage.locks import lock
from storage.paging import PageRequest
from storage.payout_shares import PayoutShares
from storage.shareable_payments import BilledPayment, ShareablePayments
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

PLATFORM = "wechat_pay"
THERE_AFTER = timedelta(hours=10)
FRESH_FOR = timedelta(minutes=15)
_MOST_MERCHANTS = 200
_FORGOTTEN = 10_000


@dataclass(frozen=True, slots=True)
class BillsRead:
    """What reading brought. unread: merchants (`wechat_pay/main`) whose bills could not all be read, and why."""

    bills: int
    payments: int
    matched: int
    unread: Mapping[str, str]


def latest_day(now: datetime) -> date:
    """The last day whose bill is there."""
    return (now.astimezone(CHINA) - THERE_AFTER).date() - timedelta(days=1)


class TradeBills:
    """The bills of merchants whose payments are shared."""

    def __init__(self, database: Database, connections: Connections, link: Link) -> None:
        self._database = database
        self._connections = connections
        self._link = link
        self._connector = WechatPayConnector()
        self._reading = asyncio.Lock()
        self._read_at: datetime | None = None
        self._unread: Mapping[str, str] = {}

    async def freshen(self) -> Mapping[str, str]:
        """As `read`, unless this process did so a short while ago; merchants of whose payments not all are known, and
        why."""
        async with self._reading:
            now = self._database.clock()
            if self._read_at is None or now - self._read_at >= FRESH_FOR:
                await self.read()
            return self._unread

    async def read(self) -> BillsRead:
        """Read all bills that are there and were not read, and find the orders of their payments.

        A merchant whose bills cannot be had is left out and told of, as is a day whose bill makes no sense; the rest
        goes on.
        """
        async with UnitOfWork(self._database) as work:
            page = await Accounts(work).list(Scope.everything(), PageRequest(size=_MOST_MERCHANTS), platform=PLATFORM)
            while await PayoutShares(work).release_ended():
                pass
        bills = payments = matched = 0
        unread: dict[str, str] = {}
        for account in page.items:
            if not (account.active and account.settings.get("profit_sharing")):
                continue
            try:
                read = await self._read_merchant(account.slug)
            except ProblemError as problem:
                unread[account.id] = str(problem)
                log.warning("trade_bill.unread", account=account.id, reason=str(problem))
                continue
            unread |= read.unread
            bills, payments, matched = bills + read.bills, payments + read.payments, matched + read.matched
        self._read_at, self._unread = self._database.clock(), unread
        return BillsRead(bills, payments, matched, unread)

    async def _read_merchant(self, slug: str) -> BillsRead:
        account = await self._connections.account(PLATFORM, slug)
        merchant, settings = f"{PLATFORM}/{slug}", account.parse_settings(WechatPaySettings)
        client = self._connector.open(account, self._link.paced(merchant, self._connector.requests_per_second))
        last = latest_day(self._database.clock())
        first = last - WITHIN
        async with UnitOfWork(self._database) as work:
            known = await ShareablePayments(work).days_read(merchant, first)
        days = [day for ago in range((last - first).days + 1) if (day := first + timedelta(days=ago)) not in known]
        read = count = 0
        unread: dict[str, str] = {}
        for day in days:
            try:
                bill, digest = await client.download_bill(BillArguments(day=day, kind="trade"))
                count += await self._keep(merchant, day, bill, digest)
                read += 1
            except (CommunicationProblem, ValidationProblem) as problem:
                if problem.problem.as_dict().get("retryable"):
                    raise
                unread[merchant] = f"{day}: {problem}"
                log.warning("trade_bill.unread", account=merchant, day=str(day), reason=str(problem))
        async with UnitOfWork(self._database) as work:
            found = await ShareablePayments(work).match(merchant, settings.shops)
            await ShareablePayments(work).forget(merchant, _FORGOTTEN)
        return BillsRead(read, count, found, unread)

    async def _keep(self, merchant: str, day: date, bill: Bill, digest: str | None) -> int:
        """Write a day's payments down and take its refunds off, once; how many payments there were."""
        payments = [_payment(row) for row in bill.rows if row["交易状态"] == "SUCCESS" and _is_ours(row)]
        refunds = [(_number(row), fen_of(row, "退款金额")) for row in bill.rows if fen_of(row, "退款金额")]
        async with UnitOfWork(self._database) as work:
            # A refund and its payment may stand in bills that two processes read at the same moment.
            await lock(work, f"trade-bills/{merchant}")
            repository = ShareablePayments(work)
            if not await repository.note_bill(merchant, day, digest, len(payments)):
                return 0
            await repository.add(merchant, payments)
            await repository.refund(merchant, refunds)
        return len(payments)


def _is_ours(row: Mapping[str, str]) -> bool:
    return row.get("货币种类", "CNY") == "CNY" and fen_of(row, "应结订单金额") > 0


def _payment(row: Mapping[str, str]) -> BilledPayment:
    paid_at = china_time(row, "交易时间")
    if paid_at is None:
        raise anomaly("交易时间", Text("缺失", "is missing"))
    return BilledPayment(_number(row), text(row, "商户订单号"), fen_of(row, "应结订单金额"), paid_at)


def _number(row: Mapping[str, str]) -> str:
    number = text(row, "微信订单号", limit=32)
    if not re.fullmatch(TRANSACTION, number):
        raise anomaly("微信订单号", Text("不是单号", "is no number"))
    return number
