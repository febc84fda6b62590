"""Profit sharing: who may get parts of payments, requests, and what is left of a payment.

All payments of the merchant's WeChat Store were made as ones to be shared. Source: pay.weixin.qq.com, profit sharing of
API v3 [O].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime

from simulator.entities import Order, Row, Shop
from simulator.platforms.base import Json
from simulator.platforms.wechat_pay.bills import SHOP
from simulator.platforms.wechat_pay.refusals import Refused
from simulator.quotas import Limit, Quotas
from simulator.seeding import CHINA
from simulator.world import World

UNVERIFIED = (
    "how the ratio is rounded, and that it is of what was paid before refunds",
    "that what is closed of a request can be shared again",
    "RULE_LIMIT for the ratio, the thirty days and the number of requests; NOT_ENOUGH for what is left",
    "INVALID_REQUEST for a payment that is not there and for a receiver that was not added",
)
PERCENT = 30
"""The most of a payment that is shared, unless the merchant has another ratio [O]."""
WITHIN = timedelta(days=30)
MOST_REQUESTS = 50
MOST_RECEIVERS = 50
TAKES = timedelta(seconds=2)
"""How long a request is being processed, in simulated time."""
A_SECOND = Limit(30, 1.0, 1.0)
CLOSED_ACCOUNT = "9999"
"""A receiver whose number ends so has an account that takes nothing: ACCOUNT_ABNORMAL."""
_OUT_ORDER_NO = re.compile(r"[A-Za-z0-9_|*@-]{1,64}")
_TYPES = frozenset({"MERCHANT_ID", "PERSONAL_OPENID"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver(Row):
    """Somebody who was added; `id` is merchant/type/account. trouble: the fail_reason of what they are to get."""

    account: str
    name: str
    relation: str
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPayment(Row):
    """A payment of which something was asked for; `id` is merchant/transaction_id. taken: shared or under way.

    percent: the merchant's ratio. released: that the rest is the merchant's. trouble: the fail_reason of its parts.
    """

    taken_minor: int = 0
    requests: int = 0
    percent: int = PERCENT
    released: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a receiver gets of a payment."""

    type: str
    receiver: str
    amount_minor: int
    description: str
    result: str = "PENDING"
    fail_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingOrder(Row):
    """One request; `id` is merchant/out_order_no."""

    account: str
    transaction_id: str
    out_order_no: str
    order_id: str
    release: bool
    parts: tuple[Part, ...]
    created_at: AwareDatetime
    ended_at: AwareDatetime | None = None


class Sharing:
    """The desk of profit sharing; requests are looked at when somebody asks."""

    def __init__(self, world: World, calls_per_second: int | None) -> None:
        self.world = world
        self.quotas = Quotas((A_SECOND if calls_per_second is None else Limit(calls_per_second, 1.0, 1.0),))
        self.receivers = world.shelf("wechat_pay_receiver", Receiver)
        self.payments = world.shelf("wechat_pay_shared_payment", SharedPayment)
        self.orders = world.shelf("wechat_pay_sharing", SharingOrder, by={"account": lambda row: row.account})

    def add_receiver(self, shop: Shop, wanted: Json, name: str) -> Json:
        """Adds somebody; again, it is done already."""
        kind, receiver = str(wanted.get("type")), str(wanted.get("account") or "")
        if kind not in _TYPES or not receiver or not wanted.get("relation_type"):
            raise Refused(400, "PARAM_ERROR", "type、account 或 relation_type 不正确")
        if kind == "MERCHANT_ID" and not name:
            raise Refused(400, "PARAM_ERROR", "接收方是商户时必须填写商户全称")
        if wanted.get("appid") != shop.client_id:
            raise Refused(400, "INVALID_REQUEST", "appid 与商户号不匹配")
        number = f"{shop.id}/{kind}/{receiver}"
        known = self.receivers.get(number)
        trouble = "ACCOUNT_ABNORMAL" if receiver.endswith(CLOSED_ACCOUNT) else ""
        relation = str(wanted["relation_type"])
        row = Receiver(id=number, account=shop.id, name=name, relation=relation, trouble=trouble)
        self.receivers.put(row if known is None else replace(known, name=name or known.name, relation=relation))
        return {"type": kind, "account": receiver, "relation_type": relation}

    def share(self, shop: Shop, wanted: Json) -> Json:
        """Takes a request, or tells of it when it was taken before."""
        if not self.quotas.take(shop.id, self.world.clock.wall()):
            raise Refused(429, "FREQUENCY_LIMITED", "频率超限")
        number, transaction = self._named(wanted)
        parts, release = self._parts(shop, wanted), wanted.get("unfreeze_unsplit")
        if not isinstance(release, bool) or wanted.get("appid", shop.client_id) != shop.client_id:
            raise Refused(400, "PARAM_ERROR", "unfreeze_unsplit 或 appid 不正确")
        return self._taken(shop, number, transaction, parts, release, wanted)

    def unfreeze(self, shop: Shop, wanted: Json) -> Json:
        """Gives what is left to the merchant."""
        number, transaction = self._named(wanted)
        return self._taken(shop, number, transaction, (), True, wanted)

    def query(self, shop: Shop, number: str, transaction: str) -> Json:
        """The request as it stands."""
        row = self.orders.get(f"{shop.id}/{number}")
        if row is None or row.transaction_id != transaction:
            raise Refused(404, "RESOURCE_NOT_EXISTS", "分账单不存在")
        return _shown(self._settled(shop, row))

    def amounts(self, shop: Shop, transaction: str) -> Json:
        """What of the payment is left."""
        order = self._paid(transaction)
        for row in self.orders.having(account=shop.id):
            if row.transaction_id == transaction:
                self._settled(shop, row)
        payment = self._payment(shop, transaction)
        return {"transaction_id": transaction, "unsplit_amount": self._left(order, payment)}

    def shared(self, account: str) -> list[tuple[datetime, str, str, int]]:
        """When, under which numbers of the platform and of the merchant, and how much each receiver got."""
        return [
            (row.ended_at, row.order_id, row.out_order_no, part.amount_minor)
            for row in self.orders.having(account=account)
            if row.ended_at is not None
            for part in row.parts
            if part.result == "SUCCESS"
        ]

    def _taken(
        self, shop: Shop, number: str, transaction: str, parts: tuple[Part, ...], release: bool, wanted: Json
    ) -> Json:
        known = self.orders.get(f"{shop.id}/{number}")
        subjects = {"out_order_no": number, "transaction_id": transaction}
        if known is not None:
            self.world.ledger.record("share", "wechat_pay", shop.id, request=wanted, subjects=subjects, code=1)
            asked = (known.transaction_id, [_asked(part) for part in known.parts], known.release)
            if asked != (transaction, [_asked(part) for part in parts], release):
                raise Refused(400, "INVALID_REQUEST", "商户分账单号已存在，且参数与首次请求不一致")
            return _shown(self._settled(shop, known))
        order, payment = self._paid(transaction), self._payment(shop, transaction)
        amount = sum(part.amount_minor for part in parts)
        self._allow(order, payment, amount)
        row = self.orders.put(
            SharingOrder(
                id=f"{shop.id}/{number}",
                account=shop.id,
                transaction_id=transaction,
                out_order_no=number,
                order_id=f"3008450{int(self.world.token('sharing', shop.id, number)[:15], 16):018d}",
                release=release,
                parts=parts,
                created_at=self.world.clock.now(),
            )
        )
        self.payments.put(
            replace(
                payment,
                taken_minor=payment.taken_minor + amount,
                requests=payment.requests + 1,
                released=payment.released or release,
            )
        )
        self.world.ledger.record("share", "wechat_pay", shop.id, request=wanted, subjects=subjects, amount_minor=amount)
        return _shown(row)

    def _allow(self, order: Order, payment: SharedPayment, amount: int) -> None:
        if order.paid_at is None or self.world.clock.now() - order.paid_at > WITHIN:
            raise Refused(403, "RULE_LIMIT", "订单支付已超过 30 天，不能分账")
        if payment.requests >= MOST_REQUESTS:
            raise Refused(403, "RULE_LIMIT", "同一笔订单最多能发起 50 次分账请求")
        if payment.taken_minor + amount > order.paid_minor * payment.percent // 100:
            raise Refused(403, "RULE_LIMIT", "分账金额超过最大分账比例")
        if amount > self._left(order, payment):
            raise Refused(403, "NOT_ENOUGH", "分账金额不足")

    def _left(self, order: Order, payment: SharedPayment) -> int:
        if payment.released:
            return 0
        return max(order.paid_minor - order.refunded_minor - payment.taken_minor, 0)

    def _settled(self, shop: Shop, row: SharingOrder) -> SharingOrder:
        ends_at = row.created_at + TAKES
        if row.ended_at is not None or self.world.clock.now() < ends_at:
            return row
        payment = self._payment(shop, row.transaction_id)
        parts = tuple(self._ended(shop, part, payment) for part in row.parts)
        back = sum(part.amount_minor for part in parts if part.result == "CLOSED")
        self.payments.put(replace(payment, taken_minor=payment.taken_minor - back))
        for part in parts:
            if part.result == "SUCCESS":
                subjects = {"out_order_no": row.out_order_no, "receiver": part.receiver}
                self.world.ledger.record(
                    "shared", "wechat_pay", shop.id, request={}, subjects=subjects, amount_minor=part.amount_minor
                )
        return self.orders.put(replace(row, parts=parts, ended_at=ends_at))

    def _ended(self, shop: Shop, part: Part, payment: SharedPayment) -> Part:
        receiver = self.receivers.get(f"{shop.id}/{part.type}/{part.receiver}")
        trouble = payment.trouble or (receiver.trouble if receiver else "NO_RELATION")
        return replace(part, result="CLOSED" if trouble else "SUCCESS", fail_reason=trouble)

    def _named(self, wanted: Json) -> tuple[str, str]:
        number, transaction = str(wanted.get("out_order_no", "")), str(wanted.get("transaction_id", ""))
        if not _OUT_ORDER_NO.fullmatch(number) or not transaction:
            raise Refused(400, "PARAM_ERROR", "out_order_no 或 transaction_id 不正确")
        return number, transaction

    def _parts(self, shop: Shop, wanted: Json) -> tuple[Part, ...]:
        told: Any = wanted.get("receivers")
        if not isinstance(told, list) or not 0 < len(told) <= MOST_RECEIVERS:
            raise Refused(400, "PARAM_ERROR", "receivers 须为 1 至 50 个接收方")
        parts = tuple(_part(each) for each in told)
        for part in parts:
            if self.receivers.get(f"{shop.id}/{part.type}/{part.receiver}") is None:
                raise Refused(400, "INVALID_REQUEST", "分账接收方未添加")
        return parts

    def _paid(self, transaction: str) -> Order:
        order = self.world.orders.get(transaction.removeprefix("42")) if transaction.startswith("42") else None
        if order is None or order.shop != SHOP or order.paid_at is None:
            raise Refused(400, "INVALID_REQUEST", "非本商户的订单，或非分账订单")
        return order

    def _payment(self, shop: Shop, transaction: str) -> SharedPayment:
        number = f"{shop.id}/{transaction}"
        return self.payments.get(number) or SharedPayment(id=number)


def _part(told: Any) -> Part:
    amount = told.get("amount") if isinstance(told, dict) else None
    if not isinstance(amount, int) or amount <= 0 or not told.get("description") or told.get("type") not in _TYPES:
        raise Refused(400, "PARAM_ERROR", "接收方的 type、amount 或 description 不正确")
    return Part(
        type=told["type"],
        receiver=str(told.get("account", "")),
        amount_minor=amount,
        description=str(told["description"]),
    )


def _asked(part: Part) -> tuple[str, str, int]:
    return part.type, part.receiver, part.amount_minor


def _shown(row: SharingOrder) -> Json:
    return {
        "transaction_id": row.transaction_id,
        "out_order_no": row.out_order_no,
        "order_id": row.order_id,
        "state": "PROCESSING" if row.ended_at is None else "FINISHED",
        "receivers": _receivers(row, row.parts),
    }


def _receivers(row: SharingOrder, parts: Sequence[Part]) -> list[Json]:
    began = row.created_at.astimezone(CHINA).isoformat(timespec="seconds")
    ended = row.ended_at.astimezone(CHINA).isoformat(timespec="seconds") if row.ended_at else None
    return [
        {
            "type": part.type,
            "account": part.receiver,
            "amount": part.amount_minor,
            "description": part.description,
            "result": part.result,
            "detail_id": f"{row.order_id}{number:02d}",
            "create_time": began,
            **({"finish_time": ended} if ended else {}),
            **({"fail_reason": part.fail_reason} if part.fail_reason else {}),
        }
        for number, part in enumerate(parts)
    ]
