"""The canonical events around buying: parcels, followers, members, chats, scans, carts, coupons, goods, tags.

Subjects name the thing (`coupon:{platform}/{id}`, `payout:{platform}/{number}`); `customer:{id}` and the aliases of
that customer are added when the event has been told whose it is.
"""

from domain.events import EventType
from domain.problems import Text

_ORIGIN = {"platform": "youzan", "account": "demo-apparel", "version": 1795399200000}
_WHO = {"buyer": {"buyer_id": "yzEXAMPLE0001"}}
_LINE = {
    "line_id": "28000000000000001",
    "item_id": "2019000001",
    "title": "羊毛大衣",
    "quantity": 1,
    "price_minor": 29900,
    "total_minor": 29900,
}
_SHIPMENT = {
    **_ORIGIN,
    "order_id": "E20261115093000900000001",
    "order_account": None,
    "waybill": "SF1234567890123",
    "company": "顺丰速运",
    "state": "signed",
}
_FOLLOWER = {
    "platform": "official_account",
    "account": "demo-account",
    "version": 1795399200,
    "openid": "oEXAMPLE-openid",
    "unionid": "oEXAMPLE-unionid",
    "scene": "counter-3",
}
_MEMBER = {**_ORIGIN, "member_id": "M0001", "grade": "gold", "attributes": {"pet_breed": "柯基"}}
_CHAT = {
    "platform": "wecom",
    "account": "demo-corp",
    "version": 1795399200,
    "external_userid": "wmEXAMPLE00000001",
    "message_id": "msgEXAMPLE0001",
    "direction": "in",
    "userid": "guide01",
    "form": "text",
    "text": "有优惠吗",
}
_SCAN = {**_FOLLOWER, "scan_id": "scanEXAMPLE0001", "code": "counter-3"}
_VISIT = {**_ORIGIN, **_WHO, "visit_id": "v1", "name": "page_view", "item_id": "2019000001"}
_CART = {**_ORIGIN, **_WHO, "cart_id": "E20261115093000900000001", "state": "open", "currency": "CNY", "lines": [_LINE]}
_COUPON = {
    **_ORIGIN,
    **_WHO,
    "coupon_id": "cEXAMPLE0001",
    "code": "LIVE20",
    "batch_id": "b1",
    "state": "taken",
    "source": "live",
    "currency": "CNY",
    "value_minor": 2000,
}
_LIFE = {**_ORIGIN, **_WHO, "event_id": "l1", "name": "pregnancy", "due_on": "2027-05-01"}
_CONSENT = {**_ORIGIN, **_WHO, "state": "given", "purpose": "marketing", "channel": None, "source": "门店登记表"}
_GOODS = {**_ORIGIN, "item_id": "2019000001", "title": "羊毛大衣", "category": "coat", "price_minor": 29900}
_STOCK = {**_ORIGIN, "item_id": "2019000001", "sku_id": "36000001", "available": 0}
_PAYOUT = {
    "platform": "wechat_pay",
    "account": "demo-wechat-pay",
    "version": 179539920000,
    "out_bill_no": "T20261123000000000001",
    "payout_id": "1330000071100999991182020050700019480001",
    "state": "succeeded",
    "amount_minor": 12000,
    "currency": "CNY",
}
_CUSTOMER = {"customer": "0199c0de-0000-7000-8000-000000000001"}
_BREAKS = {
    "platform": "wechat_pay",
    "account": "main",
    "day": "2026-11-11",
    "breaks": 2,
    "difference_minor": 10100,
    "kinds": {"amount": 1, "missing-ours": 1},
}
_MISSING_BILLS = {
    "platform": "youzan",
    "account": "flagship",
    "days": 1,
    "first": "2026-11-11",
    "last": "2026-11-11",
    "listed": [{"day": "2026-11-11", "why": "no-bill", "missing": ["trade"]}],
}
_DUE = {
    "scheme": "stores",
    "periods": 1,
    "first": "2026-11-11",
    "last": "2026-11-11",
    "listed": [{"cycle": "day", "start": "2026-11-11", "last": "2026-11-11", "why": "never", "state": None}],
}
_TAG = {**_CUSTOMER, "tag": "高价值", "rule": "tags/high-value", "version": "1.0.0", "why": {"orders": 3}}

_GRADE = {**_CUSTOMER, "grading": "life-cycle", "version": "1.0.0", "grade": "沉睡", "was": "活跃", "score": 0}

_SUPPRESSED = {
    **_CUSTOMER,
    "reason": "refund",
    "platform": "youzan",
    "account": "demo-apparel",
    "item_id": "2019000001",
    "until": "2026-12-23T02:00:00.000Z",
}

INTERACTION_EVENT_TYPES: tuple[EventType, ...] = tuple(
    EventType(name=f"tandem.{name}", title=Text(zh, en), example=example)
    for name, zh, en, example in (
        ("shipment.updated", "物流更新", "A parcel moved", _SHIPMENT),
        ("follower.subscribed", "关注公众号", "Somebody follows the account", {**_FOLLOWER, "following": True}),
        ("follower.unsubscribed", "取消关注公众号", "Somebody no longer follows", {**_FOLLOWER, "following": False}),
        ("member.updated", "会员资料变更", "What is known of a member changed", _MEMBER),
        ("chat.message", "会话消息", "A message between a customer and the shop", _CHAT),
        ("scan.made", "扫描渠道码", "A channel code was scanned", _SCAN),
        ("visit.made", "浏览行为", "Something was done on a site or in an app", _VISIT),
        ("cart.updated", "购物车变更", "A cart changed", _CART),
        ("coupon.taken", "领取优惠券", "A coupon was taken", _COUPON),
        ("coupon.used", "使用优惠券", "A coupon was spent", {**_COUPON, "state": "used"}),
        ("coupon.expired", "优惠券过期", "A coupon expired", {**_COUPON, "state": "expired"}),
        ("coupon.returned", "优惠券退回", "A coupon came back", {**_COUPON, "state": "returned"}),
        ("life.event", "人生阶段", "A stage of life", _LIFE),
        ("consent.given", "客户同意接收消息", "A customer agreed to messages", _CONSENT),
        (
            "consent.withdrawn",
            "客户撤回同意",
            "A customer took an agreement back",
            {**_CONSENT, "state": "withdrawn"},
        ),
        ("goods.updated", "商品变更", "An article changed", _GOODS),
        ("stock.changed", "库存变更", "The stock of an article changed", _STOCK),
        ("payout.succeeded", "付款成功", "A payee has the money", _PAYOUT),
        (
            "payout.failed",
            "付款失败或已撤销",
            "A payee did not get the money",
            {**_PAYOUT, "state": "failed", "fail_reason": "PAYEE_ACCOUNT_ABNORMAL"},
        ),
        ("breaks.opened", "账单与账簿有差异", "A bill and the books differ", _BREAKS),
        ("bills.missing", "有些天还没有对账", "Days that nobody has reconciled", _MISSING_BILLS),
        ("settlement.due", "有账期到期未结算", "Periods that nobody has settled", _DUE),
        ("customer.tag-gained", "客户获得标签", "A customer gained a tag", _TAG),
        ("customer.tag-lost", "客户失去标签", "A customer lost a tag", _TAG),
        ("customer.graded", "客户分级变化", "A customer's grade changed", _GRADE),
        ("customer.merged", "客户合并", "Two customers are one", {**_CUSTOMER, "merged": ["0199c0de-1"]}),
        ("customer.split", "客户拆分", "One customer is two", {**_CUSTOMER, "split": ["0199c0de-1"]}),
        ("customer.suppressed", "客户停止触达", "A customer must not be reached", _SUPPRESSED),
    )
)
