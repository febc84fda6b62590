"""JD (京东): a POP shop's orders and refund applications, by the open platform's gateway; it is only ever asked."""

import secrets
from functools import partial

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.jd import goods
from connectors.jd.client import JdShop
from connectors.jd.gateway import PLATFORM
from connectors.jd.goods import GOODS_KIND, goods_events
from connectors.jd.pulling import (
    AFTERSALE_KIND,
    AFTERSALES_CHANGED,
    AFTERSALES_REQUESTED,
    ORDER_KIND,
    ORDERS,
    REFUND_KIND,
    REFUNDS_REQUESTED,
    SERVICE_KIND,
    VENDER_INFO,
)
from connectors.jd.records import read_aftersale, read_order, read_refund, read_service_order
from connectors.jd.settings import JdSettings
from connectors.payloads import parse_json_object
from connectors.readable_streams import SHOP_WORKS, require_readable
from connectors.shop_records import Parcel, order_event, parcel_events, refund_event
from connectors.unpushed import Unpushed
from connectors.webhooks import Verified
from domain.calls import AnyCall
from domain.catalog.jd import JD_CALLS, JD_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 app_key、app_secret，并确认 refresh_token 来自店铺最近一次授权",
        "Check app_key and app_secret, and that refresh_token came from the shop's latest authorisation",
    ),
    ConnectionFault.PERMISSION: Text(
        "为应用申请订单、退款申请、售后服务单与商品 SKU 接口权限",
        "Apply for the interfaces of orders, refund applications, service orders and goods (SKU)",
    ),
    ConnectionFault.ADDRESS: Text(
        "在应用的后台把服务器 IP 加入白名单，并确认服务器部署在京东云内",
        "Put this server's IP on the application's list, and run it in JD's cloud",
    ),
}


# What tells of refunds has an interface for each of its kinds.
_READABLE = {
    ORDERS.name: Text("订单", "Orders"),
    REFUNDS_REQUESTED.name: Text("退款申请", "Refund applications"),
    AFTERSALES_REQUESTED.name: Text("售后退款", "Refunds of goods that come back"),
    AFTERSALES_CHANGED.name: Text("售后服务单", "Service orders"),
}


class JdConnector(Unpushed):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("京东", "JD")
    queue = JD_QUEUE
    # No published figure [U].
    requests_per_second = 20.0
    settings = JdSettings
    nobody = Account(
        PLATFORM,
        "",
        {"app_key": secrets.token_hex(8), "app_secret": secrets.token_hex(16), "refresh_token": secrets.token_hex(16)},
    )
    calls: tuple[AnyCall, ...] = JD_CALLS
    client = JdShop

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        if record.kind == ORDER_KIND:
            order = read_order(parse_json_object(record.payload))
            parcels = parcel_events(map(Parcel, order.waybills), order, record, account, field="modified")
            return [order_event(order, record, account, field="modified"), *parcels]
        if record.kind == REFUND_KIND:
            return [refund_event(read_refund(parse_json_object(record.payload)), record, account, field="checkTime")]
        if record.kind == AFTERSALE_KIND:
            aftersale = read_aftersale(parse_json_object(record.payload))
            return [refund_event(aftersale, record, account, field="completeTime")]
        if record.kind == GOODS_KIND:
            return goods_events(record, account)
        if record.kind == SERVICE_KIND:
            service = read_service_order(parse_json_object(record.payload))
            return [refund_event(service, record, account, field="updateDate")] if service is not None else []
        return []

    def open(self, account: Account, link: Link) -> JdShop:
        return JdShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads who the shop is, then a minute of orders and of each kind of refund, and one of the goods."""
        try:
            shop = self.open(account, link)
            await shop.gateway.call(VENDER_INFO, {}, "vender_info_result")
            await require_readable(shop, link, _READABLE, (partial(goods.try_reading, shop.gateway),))
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, SHOP_WORKS)
