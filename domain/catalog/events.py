"""The canonical events: what platforms' pushes become, whatever platform they come from.

Types are `tandem.{thing}.{what happened}`. Subjects: `refund:{id}`, `order:{id}`, `customer:{platform}/{id}`
(`customer:{platform}/{account}/{id}` where each account numbers its buyers), `group:{platform}/{id}`,
`tag:{platform}/{id}`. Data is snake_case with amounts in minor units and instants in UTC; `platform`, `account` and
`version` (a number that grows with every change of the thing) are always there.
"""

from domain.events import EventType
from domain.problems import Text

_ORIGIN = {"platform": "youzan", "account": "demo-apparel", "version": 1795399200000}
_REFUND = {
    **_ORIGIN,
    "refund_id": "202611230001000000000001",
    "order_id": "E20261115093000900000001",
    "status": "requested",
    "amount_minor": 29900,
    "currency": "CNY",
    "reason": "尺码不合适",
    "returns_goods": True,
    "line_ids": ["28000000000000001"],
    "occurred_at": "2026-11-23T02:00:00Z",
}
_ORDER = {
    **_ORIGIN,
    "order_id": "E20261115093000900000001",
    "status": "paid",
    "paid_minor": 29900,
    "postage_minor": 0,
    "currency": "CNY",
    "lines": [
        {
            "line_id": "28000000000000001",
            "item_id": "2019000001",
            "title": "羊毛大衣",
            "sku": "M 驼色",
            "quantity": 1,
            "price_minor": 29900,
            "total_minor": 29900,
        }
    ],
    "buyer": {"buyer_id": "yzEXAMPLE0001", "openid": "oEXAMPLE-openid"},
    "occurred_at": "2026-11-15T01:31:00Z",
}
_CONTACT = {
    "platform": "wecom",
    "account": "demo-corp",
    "version": 1795399200,
    "external_userid": "wmEXAMPLE00000001",
    "userid": "guide01",
    "state": "counter-3",
    "occurred_at": "2026-11-23T02:00:00Z",
}
_GROUP = {
    "platform": "wecom",
    "account": "demo-corp",
    "version": 1795399200,
    "chat_id": "wrEXAMPLE0001",
    "change": "add_member",
    "member_count_delta": 1,
}
_TAG = {"platform": "wecom", "account": "demo-corp", "version": 1795399200, "tag_id": "etEXAMPLE0001", "kind": "tag"}
_TO_CONFIRM = {
    "platform": "wechat_pay",
    "account": "main",
    "version": 1795399200000,
    "out_bill_no": "P4d7a1c9e0b3f58264a9c7e1d0f3b582",
    "state": "wait_confirm",
    "payee": "P-0137",
    "scheme": "promoters",
    "amount_minor": 68765,
    "currency": "CNY",
    "openid": "oEXAMPLE-openid",
    "mch_id": "1900001109",
    "app_id": "wxEXAMPLE00000001",
    "package_info": "EXAMPLE",
    "expires_at": "2026-11-24T02:00:00Z",
    "occurred_at": "2026-11-23T02:00:00Z",
}

EVENT_TYPES: tuple[EventType, ...] = tuple(
    EventType(name=f"tandem.{name}", title=Text(zh, en), example=example)
    for name, zh, en, example in (
        ("refund.created", "买家申请退款", "A buyer asks for a refund", _REFUND),
        (
            "refund.return_agreed",
            "商家同意退货",
            "The shop lets the goods come back",
            {**_REFUND, "status": "awaiting_return"},
        ),
        ("refund.returned", "买家已寄回商品", "The buyer sent the goods back", {**_REFUND, "status": "returned"}),
        ("refund.refused", "商家拒绝退款", "The shop refuses the refund", {**_REFUND, "status": "refused"}),
        ("refund.succeeded", "退款成功", "The money went back", {**_REFUND, "status": "refunded"}),
        (
            "refund.closed",
            "退款关闭，或改为换货",
            "The refund was withdrawn or closed, or is an exchange",
            {**_REFUND, "status": "closed"},
        ),
        ("refund.updated", "退款单变更", "Something else about a refund changed", {**_REFUND, "status": "unknown"}),
        ("order.created", "订单创建", "An order was placed", {**_ORDER, "status": "unpaid"}),
        ("order.paid", "订单已付款", "An order was paid", _ORDER),
        ("order.shipped", "订单已发货", "An order was shipped", {**_ORDER, "status": "shipped"}),
        ("order.completed", "订单已完成", "An order was completed", {**_ORDER, "status": "completed"}),
        ("order.closed", "订单已关闭", "An order was closed", {**_ORDER, "status": "closed"}),
        ("order.updated", "订单变更", "Something else about an order changed", _ORDER),
        ("contact.added", "新增企业微信客户", "A customer became a contact", {**_CONTACT, "welcome_code": "EXAMPLE"}),
        (
            "contact.half_added",
            "客户已添加成员，成员尚未确认",
            "A customer added a member who has not confirmed",
            _CONTACT,
        ),
        ("contact.updated", "客户资料变更", "A contact changed", _CONTACT),
        ("contact.removed", "成员删除客户", "A member of staff removed a customer", _CONTACT),
        ("contact.lost", "客户删除成员", "A customer removed a member of staff", _CONTACT),
        (
            "contact.read",
            "已读取客户资料",
            "A contact's details were read",
            {**_CONTACT, "unionid": "oEXAMPLE-unionid", "tags": ["高价值"], "add_way": "scan"},
        ),
        (
            "contact.listed",
            "在全部客户中读到的客户资料",
            "A contact's details were found among all contacts",
            {**_CONTACT, "unionid": "oEXAMPLE-unionid", "tags": ["高价值"], "add_way": "scan"},
        ),
        ("contact.gone", "客户关系已不存在（再次读取时发现）", "A contact was not there any more when read", _CONTACT),
        ("contact.transfer_failed", "客户接替失败", "A customer could not be handed over", _CONTACT),
        ("contact.archive_agreed", "客户同意会话存档", "A customer agreed to the archive", _CONTACT),
        ("group.created", "客户群创建", "A customer group was made", {**_GROUP, "change": None}),
        ("group.updated", "客户群变更", "A customer group changed", _GROUP),
        ("group.dismissed", "客户群解散", "A customer group was dissolved", {**_GROUP, "change": None}),
        ("tag.created", "企业标签创建", "A corp tag was made", _TAG),
        ("tag.updated", "企业标签变更", "A corp tag changed", _TAG),
        ("tag.removed", "企业标签删除", "A corp tag was removed", _TAG),
        ("payout.awaiting-confirmation", "付款待收款人确认", "A payout waits for its payee to confirm it", _TO_CONFIRM),
    )
)
