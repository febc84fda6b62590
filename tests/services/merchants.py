"""WeChat Pay merchants that are connected here, and the platform behind them, which each of them asks for itself."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.http import Link
from connectors.wechat_pay.settings import WechatPaySettings
from domain.access import Scope
from domain.accounts import NewAccount
from domain.catalog.wechat_pay import TransferArguments, TransferNumberArguments, TransferOutput
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, Text, TimeoutProblem
from services import connections
from services.connections import Connections
from services.wechat_pay_rail import WechatPayRail
from storage.accounts import Accounts
from storage.engine import Database
from storage.paging import PageRequest
from storage.shareable_payments import BilledPayment, ShareablePayments
from storage.unit_of_work import UnitOfWork

_KEYS = {"private_key": "-", "apiv3_key": "k" * 32}
_SETTINGS = {"app_id": "wx1", "serial_no": "S1", "public_key": "-", "public_key_id": "PUB1"}


async def connect_merchant(database: Database, slug: str = "main", mch_id: str = "1900000001", **settings: Any) -> None:
    """Connect it, or connect it again."""
    new = NewAccount(
        platform="wechat_pay",
        slug=slug,
        name=slug,
        credentials=dict(_KEYS),
        settings={**_SETTINGS, "mch_id": mch_id, **settings},
    )
    async with UnitOfWork(database) as work:
        known = await Accounts(work).list(Scope.everything(), PageRequest(200), platform="wechat_pay")
        if slug in {each.slug for each in known.items}:
            await Accounts(work).set_active(new.id, True, Scope.everything())
        else:
            await Accounts(work).add(new)


async def disconnect_merchant(database: Database, slug: str = "main") -> None:
    """Nothing of it can be asked."""
    async with UnitOfWork(database) as work:
        await Accounts(work).set_active(f"wechat_pay/{slug}", False, Scope.everything())


async def pay_order(
    database: Database, merchant: str, order: str, amount: int, *, ago: timedelta = timedelta(days=1)
) -> None:
    """A trade bill of the merchant (`wechat_pay/main`) tells that a shop's order was paid."""
    async with UnitOfWork(database) as work:
        paid = BilledPayment(f"T{order}", order, amount, work.now - ago)
        await ShareablePayments(work).add(merchant, [paid])
        await ShareablePayments(work).match(merchant, [])


class Merchants:
    """The platform. taken: what each merchant transferred, by its number and ours. asked: how often each was asked for
    anything. loses: how many answers to transfers that were taken get lost. refuses: what is said to the next ones.
    paces: by whose turns they were asked."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], int] = {}
        self.asked = Counter[str]()
        self.loses = 0
        self.refuses: list[ProblemError] = []
        self.paces: set[tuple[str, float] | None] = set()

    def open(self, account: Account, link: Link) -> "MerchantClient":
        self.paces.add((link.pace.account_id, link.pace.per_second) if link.pace is not None else None)
        return MerchantClient(self, account.parse_settings(WechatPaySettings).mch_id)


class MerchantClient:
    """One merchant's."""

    def __init__(self, merchants: Merchants, mch_id: str) -> None:
        self._all = merchants
        self._mch_id = mch_id

    async def transfer(self, request: TransferArguments, *, key: str, resumed: bool) -> TransferOutput:
        self._all.asked[self._mch_id] += 1
        known = self._found(key)
        if known is not None:
            return known
        if self._all.refuses:
            raise self._all.refuses.pop(0)
        self._all.taken[self._mch_id, key] = request.amount_minor
        if self._all.loses:
            self._all.loses -= 1
            raise TimeoutProblem(Text("没有应答", "no answer"), retryable=True, outcome="unknown")
        return TransferOutput(out_bill_no=key, payout_id=f"W{key[:9]}", state="succeeded")

    async def get_transfer(self, request: TransferNumberArguments) -> TransferOutput:
        self._all.asked[self._mch_id] += 1
        known = self._found(request.out_bill_no)
        if known is None:
            raise NotFoundProblem(Text("单据不存在", "There is no such bill"), platform_code="NOT_FOUND")
        return known

    def _found(self, number: str) -> TransferOutput | None:
        if (self._mch_id, number) not in self._all.taken:
            return None
        return TransferOutput(out_bill_no=number, payout_id=f"W{number[:9]}", state="succeeded")


def wechat_pay_rail(
    database: Database, link: Link, merchants: Merchants, monkeypatch: pytest.MonkeyPatch
) -> WechatPayRail:
    """The rail in front of them, which sees at once who is connected."""
    monkeypatch.setattr(connections, "KEPT_S", -1.0)
    rail = WechatPayRail(Connections(database), link)
    monkeypatch.setattr(rail, "_connector", merchants)
    return rail


def quota_exceeded() -> ConflictProblem:
    """What the platform says when a day's sum is reached."""
    return ConflictProblem(
        Text("超过转账额度", "The limit for transfers is reached"),
        platform_code="QUOTA_EXCEEDED",
        retryable=False,
        outcome="not_done",
    )
