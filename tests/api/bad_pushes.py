"""What every platform pushes, spoiled: in the future, negative, unknown, nobody's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from connectors.taobao.messages import PARCEL_TOPIC
from simulator import interactions, trade
from simulator.entities import Order, Push, Refund
from simulator.happenings import Happening
from simulator.platforms.base import PlatformBase, PushRequest
from simulator.platforms.erp import Erp, ErpOrder
from simulator.platforms.wechat_pay import WechatPay
from simulator.platforms.wechat_pay.transfers import Transfer
from simulator.platforms.youzan import wire
from simulator.registry import all_platforms
from simulator.settings import Settings
from simulator.world import World

Json = dict[str, Any]
PERSON = "c000001"
FUTURE = datetime.now(UTC) + timedelta(days=400)
LATER, LOCAL, ISO = int(FUTURE.timestamp()), f"{FUTURE:%Y-%m-%d %H:%M:%S}", FUTURE.isoformat()


class Form(NamedTuple):
    """How what a push says is taken out of it, and put back."""

    read: Callable[[Json], Json]
    write: Callable[[Json, Json], Json]


PLAIN = Form(dict, lambda _payload, said: said)


def within(name: str) -> Form:
    return Form(lambda payload: dict(payload[name]), lambda payload, said: {**payload, name: said})


def text_within(name: str) -> Form:
    return Form(
        lambda payload: dict(json.loads(payload[name])),
        lambda payload, said: {**payload, name: json.dumps(said, ensure_ascii=False)},
    )


YOUZAN = Form(
    lambda payload: dict(json.loads(unquote_plus(payload["msg"]))),
    lambda payload, said: {**payload, "msg": wire.url_encoded(wire.compact(said))},
)
PINDUODUO = Form(
    lambda payload: dict(json.loads(payload["message"]["content"])),
    lambda payload, said: {**payload, "message": {**payload["message"], "content": json.dumps(said)}},
)
SITE = Form(
    lambda payload: dict(payload["told"]["events"][0]),
    lambda payload, said: {**payload, "told": {**payload["told"], "events": [said]}},
)


@dataclass(frozen=True)
class Wire:
    """One platform's pushes. does: what makes it tell something. spoiled: by what is wrong, fields and values of it."""

    form: Form
    does: "Deed"
    spoiled: Mapping[str, Json] = field(default_factory=dict)


class Teller:
    """The platforms of the simulator, telling what one wants to hear."""

    def __init__(self) -> None:
        self.world = World(Settings(push_base=None, customers=30))
        self.platforms: dict[str, PlatformBase] = all_platforms(self.world)
        self.told: list[Push] = []
        self.world.bulletin.listen(self._hear)

    def _hear(self, happening: Happening) -> None:
        self.told += self.platforms[self.world.platform_of(happening.account)].pushes_for(happening)

    def refund(self, shop: str) -> Refund:
        paid = trade.pay(self.world, trade.place_order(self.world, shop, customer_id=PERSON))
        return trade.request_refund(self.world, paid)

    def genuine(self, platform: str, does: "Deed | None" = None) -> Push:
        """The newest thing that the platform tells, after this happened."""
        self.told.clear()
        found = (does or WIRES[platform].does)(self)
        return found if isinstance(found, Push) else [push for push in self.told if push.platform == platform][-1]

    def spoil(self, platform: str, values: Json, does: "Deed | None" = None) -> Push:
        push, form = self.genuine(platform, does), WIRES[platform].form
        said = form.read(push.payload)
        for path, value in values.items():
            *parents, name = path.split(".")
            holder = said
            for parent in parents:
                holder = holder[parent]
            assert name in holder, f"{platform} tells no {path}"
            holder[name] = value
        return push.replaced(payload=form.write(push.payload, said))

    def signed(self, push: Push) -> PushRequest:
        return self.platforms[push.platform].sign(push)

    def payout(self) -> Push:
        number, now = f"T{self.world.next('test-payout')}", self.world.clock.now()
        pay = self.platforms["wechat_pay"]
        assert isinstance(pay, WechatPay)
        transfer = Transfer(
            id=f"demo-wechat-pay/{number}",
            account="demo-wechat-pay",
            out_bill_no=number,
            transfer_bill_no=f"13{number}",
            openid="o1",
            amount_minor=100,
            remark="r",
            payee_name="",
            state="WAIT_USER_CONFIRM",
            created_at=now,
            updated_at=now,
        )
        pay.transfers.put(transfer)
        return pay.event("demo-wechat-pay", "SUCCESS", {"out_bill_no": number})

    def stock(self) -> Push:
        goods = self.world.goods.having(shop="demo-douyin")[0]
        goods = trade.set_stock(self.world, goods, int(self.world.next("test-stock")))
        return self.platforms["erp"].event("demo-erp", "stock", {"shop": "demo-douyin", "sku_id": goods.sku_id})

    def order(self, shop: str) -> Order:
        return trade.pay(self.world, trade.place_order(self.world, shop, customer_id=PERSON))

    def waybill(self) -> Push:
        number, erp = f"W{self.world.next('test-waybill')}", self.platforms["erp"]
        assert isinstance(erp, Erp)
        sent = ErpOrder(
            id=number,
            account="demo-erp",
            order_id="691",
            shop="douyin/demo-douyin",
            lines=(),
            state="shipped",
            waybill=f"SF{number}",
            company="顺丰速运",
            version=1,
            changed_at=self.world.clock.now(),
        )
        erp.orders.put(sent)
        return erp.event("demo-erp", "waybill", {"number": number})

    def parcel(self) -> Push:
        """As Taobao tells where a parcel is, which the simulator does not."""
        said = {"tid": self.order("demo-taobao").id, "out_sid": "SF1", "action": "SIGNED"}
        push = [push for push in self.told if push.platform == "taobao"][-1]
        about = {**push.payload, "topic": PARCEL_TOPIC, "content": json.dumps(said)}
        return push.replaced(event=PARCEL_TOPIC, payload=about)


Deed = Callable[[Teller], object]


def follows(teller: Teller) -> object:
    interactions.follow(teller.world, PERSON, "demo-official-account")
    return interactions.write(teller.world, PERSON, "demo-official-account", "有优惠吗")


def befriends(teller: Teller) -> Push:
    corp, contact = next(iter(teller.world.corps)), next(iter(teller.world.contacts))
    teller.world.contacts.change(contact, state=f"counter-{teller.world.next('test-contact')}")
    return teller.platforms["wecom"].event(corp.id, "add_external_contact", {"external_userid": contact.id})


WIRES: Mapping[str, Wire] = {
    "youzan": Wire(
        YOUZAN,
        lambda teller: teller.refund("demo-apparel"),
        {
            "future": {"update_time": LOCAL},
            "negative": {"refunded_fee": "-1.00"},
            "beyond belief": {"refunded_fee": "99999999999999999.00"},
            "a version from far ahead": {"version": 10**17, "update_time": ""},
            "nobody's": {"refund_id": ""},
        },
    ),
    "wecom": Wire(
        PLAIN,
        befriends,
        {"future": {"CreateTime": LATER}, "new kind": {"ChangeType": "abducted"}, "nobody's": {"ExternalUserID": ""}},
    ),
    "official_account": Wire(
        PLAIN,
        follows,
        {"future": {"CreateTime": LATER}, "new kind": {"MsgType": "telepathy"}, "nobody's": {"FromUserName": ""}},
    ),
    "wechat_store": Wire(
        PLAIN,
        lambda teller: interactions.take_coupon(teller.world, PERSON, "demo-wechat-store"),
        {
            "future": {"receive_info.receive_time": str(LATER)},
            "new kind": {"Event": "channels_ec_coupon_eaten"},
            "nobody's": {"FromUserName": ""},
        },
    ),
    "douyin": Wire(
        text_within("data"),
        lambda teller: teller.refund("demo-douyin"),
        {
            "future": {"apply_time": LATER},
            "negative": {"refund_amount": -1},
            "unknown": {"aftersale_status": 9_999},
            "nobody's": {"aftersale_id": ""},
        },
    ),
    "wechat_pay": Wire(
        within("resource"),
        Teller.payout,
        {
            "future": {"update_time": ISO},
            "negative": {"transfer_amount": -1},
            "unknown": {"state": "PERHAPS"},
            "nobody's": {"out_bill_no": ""},
        },
    ),
    "meituan": Wire(
        within("data"),
        lambda teller: teller.refund("demo-meituan"),
        {
            "future": {"utime": LATER},
            "negative": {"money": "-1.00"},
            "unknown": {"res_type": 9_999},
            "nobody's": {"refund_id": ""},
        },
    ),
    "eleme": Wire(
        within("data"),
        lambda teller: teller.refund("demo-eleme"),
        {
            "future": {"updatedAt": LATER},
            "negative": {"totalPrice": "-1.00"},
            "unknown": {"refundStatus": "perhaps"},
            "nobody's": {"refundId": ""},
        },
    ),
    "erp": Wire(
        within("data"),
        Teller.stock,
        {"future": {"changed_at": ISO}, "nobody's": {"item_id": ""}},
    ),
    "site": Wire(
        SITE,
        lambda teller: interactions.fill_cart(
            teller.world, PERSON, "demo-site", (teller.world.goods.having(shop="demo-apparel")[0].sku_id,)
        ),
        {
            "future": {"at": ISO},
            "negative": {"total_minor": -1},
            "unknown": {"state": "stolen"},
            "nobody's": {"id": ""},
        },
    ),
    "taobao": Wire(
        text_within("content"),
        lambda teller: teller.refund("demo-taobao"),
        {"future": {"modified": LOCAL}, "negative": {"refund_fee": "-1.00"}, "nobody's": {"refund_id": ""}},
    ),
    "pinduoduo": Wire(
        PINDUODUO,
        lambda teller: teller.refund("demo-pinduoduo"),
        {"future": {"modified": LATER}, "negative": {"refund_fee": "-1.00"}, "nobody's": {"refund_id": ""}},
    ),
}

NEW = "ABDUCTED"
STATES: Mapping[str, tuple[Deed, Json]] = {
    "youzan": (lambda teller: teller.order("demo-apparel"), {"full_order_info.order_info.status": NEW}),
    "douyin": (lambda teller: teller.refund("demo-douyin"), {"aftersale_status": NEW}),
    "wechat_store": (
        lambda teller: teller.refund("demo-wechat-store"),
        {"finder_shop_aftersale_status_update.status": NEW},
    ),
    "wechat_pay": (Teller.payout, {"state": NEW}),
    "meituan": (lambda teller: teller.order("demo-meituan"), {"status": NEW}),
    "eleme": (lambda teller: teller.order("demo-eleme"), {"status": NEW}),
}
"""What is pushed with a word for where it stands: what makes the platform tell it, and the word in its place. JD's,
Pinduoduo's and Taobao's states are only read, see `tests.connectors.test_shops`."""
PARCELS: Mapping[str, tuple[Deed, Json]] = {
    "taobao": (Teller.parcel, {"action": NEW}),
    "erp": (Teller.waybill, {"state": NEW}),
}
"""What is pushed with a word for where a parcel is."""
