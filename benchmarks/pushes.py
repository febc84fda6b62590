"""Pushes as platforms send them, a record each: what the data engine is measured with.

Of twenty, eleven are whole Youzan orders of two articles, two are its refunds; the others come by the generic webhook:
three orders of a till with a phone number, a chat, two visits and a coupon.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote_plus

from connectors.canonical_records import RECORDS_KIND
from storage.inbox import Push

SHOP, TILL = "flagship", "till"
ACTIVE = 10_000
_SHARE_OF_NEW = 0.1
_CHINA = timedelta(hours=8)
_ARTICLES = ("羊毛大衣", "针织开衫", "高腰阔腿裤", "真丝衬衫", "小羊皮短靴", "全价猫粮 2kg", "挂耳咖啡 20 包")
_CATEGORIES = ("大衣", "针织", "裤装", "衬衫", "鞋靴", "猫粮", "咖啡")
_KINDS = ("order",) * 11 + ("refund",) * 2 + ("sale",) * 3 + ("chat", "visit", "visit", "coupon")


def buyer_of(number: int) -> str:
    """The shop's id of a stored person."""
    return f"yz{number:012}"


def phone_of(number: int) -> str:
    """The phone of a stored person; not everybody has one."""
    return f"+86138{number:08}"


def has_phone(number: int) -> bool:
    return number % 3 == 0


def active(people: int, most: int = ACTIVE) -> range:
    """Those of the stored people whom pushes are about: as many however many are stored, and spread over all."""
    return range(0, people, max(1, people // most))


def pushes(first: int, count: int, people: int, *, most_active: int = ACTIVE, seed: int = 1) -> list[Push]:
    """So many pushes, numbered from `first`: of the active people one after the other, and a tenth of somebody new."""
    now, whom = datetime.now(UTC), active(people, most_active)
    pick = Random(f"{seed}:{first}")
    return [_push(number, whom, now, pick) for number in range(first, first + count)]


def _push(number: int, whom: range, now: datetime, pick: Random) -> Push:
    person = 50_000_000 + number if pick.random() < _SHARE_OF_NEW else whom[number % len(whom)]
    kind = _KINDS[number % len(_KINDS)]
    if kind in ("order", "refund"):
        message = _order(number, person, now, pick) if kind == "order" else _refund(number, now, pick)
        name = "trade_TradePaid" if kind == "order" else "trade_refund_BuyerCreated"
        body: Any = {
            "client_id": "app-1",
            "id": str(number),
            "kdt_id": 4242,
            "msg_id": f"m{number}",
            "msg": quote_plus(json.dumps(message, ensure_ascii=False)),
            "type": name,
            "version": int(now.timestamp() * 1000) + number,
        }
        return _of("youzan", SHOP, name, number, body, now)
    body = {"type": "order" if kind == "sale" else kind, "data": _record(kind, number, person, now, pick)}
    return _of("generic", TILL, RECORDS_KIND, number, body, now)


def _of(platform: str, account: str, kind: str, number: int, body: Any, now: datetime) -> Push:
    payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Push(platform, account, f"k{number}", kind, payload, now, now)


def _order(number: int, person: int, now: datetime, pick: Random) -> dict[str, Any]:
    at = f"{now + _CHINA:%Y-%m-%d %H:%M:%S}"
    lines = [
        {
            "oid": f"{number}{place}",
            "item_id": f"20190{article:05}",
            "sku_id": f"36{article:06}",
            "title": _ARTICLES[article % len(_ARTICLES)],
            "sku_properties_name": '[{"k":"颜色","v":"驼色"},{"k":"尺码","v":"M"}]',
            "num": 1,
            "price": "299.00",
            "total_fee": "299.00",
        }
        for place, article in enumerate((pick.randrange(500), pick.randrange(500)))
    ]
    return {
        "full_order_info": {
            "order_info": {
                "tid": f"E{number:018}",
                "status": "WAIT_SELLER_SEND_GOODS",
                "created": at,
                "pay_time": at,
                "update_time": at,
            },
            "pay_info": {"payment": f"{pick.randrange(100, 900)}.00", "post_fee": "0.00"},
            "buyer_info": {"yz_open_id": buyer_of(person), "buyer_phone": "$ciphertext$" + "x" * 32},
            "address_info": {
                "delivery_province": "浙江省",
                "delivery_city": "杭州市",
                "receiver_name": "$ciphertext$" + "n" * 24,
                "receiver_tel": "$ciphertext$" + "t" * 24,
                "delivery_address": "$ciphertext$" + "a" * 64,
            },
            "orders": lines,
        }
    }


def _refund(number: int, now: datetime, pick: Random) -> dict[str, Any]:
    order = _order_before(number - pick.randrange(1, 200))
    return {
        "update_time": f"{now + _CHINA:%Y-%m-%d %H:%M:%S}",
        "refund_type": "REFUND_AND_RETURN",
        "refunded_fee": "299.00",
        "refund_id": f"R{number:018}",
        "version": int(now.timestamp() * 1000),
        "oids": f"{order}0",
        "tid": f"E{order:018}",
    }


def _order_before(number: int) -> int:
    """The number of the last push before that is an order of the shop; the first ones are of orders long ago."""
    return number - max(0, number % len(_KINDS) - _KINDS.count("order") + 1)


def _record(kind: str, number: int, person: int, now: datetime, pick: Random) -> dict[str, Any]:
    buyer: dict[str, Any] = {"member_id": buyer_of(person)}
    if has_phone(person):
        buyer["phone"] = phone_of(person)
    data: dict[str, Any] = {"version": int(now.timestamp() * 1000), "occurred_at": now.isoformat(), "buyer": buyer}
    if kind == "sale":
        line = {"line_id": "1", "title": "挂耳咖啡", "category": pick.choice(_CATEGORIES), "quantity": 1}
        data |= {"order_id": f"S{number}", "status": "paid", "paid_minor": pick.randrange(1_000, 90_000)}
        data["lines"] = [{**line, "price_minor": 9900, "total_minor": 9900}]
    elif kind == "chat":
        data |= {"message_id": f"c{number}", "direction": "in", "text": "这件还有优惠吗？什么时候发货"}
    elif kind == "visit":
        data |= {"visit_id": f"v{number}", "name": "page_view", "item_id": f"20190{pick.randrange(500):05}"}
    else:
        data |= {"coupon_id": f"q{number}", "batch_id": "b1", "state": "taken", "source": "live", "value_minor": 2000}
    return data


def bytes_of(batch: Sequence[Push]) -> list[bytes]:
    """What travelled."""
    return [push.payload for push in batch]
