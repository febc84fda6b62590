"""JD (京东): a POP shop's orders and refund applications, by the open platform's gateway; it is only ever asked."""

from connectors.accounts import Account
from connectors.http import Link
from connectors.jd.client import JdShop
from connectors.jd.gateway import PLATFORM
from connectors.jd.pulling import ORDER_KIND, REFUND_KIND
from connectors.jd.records import read_order, read_refund
from connectors.jd.settings import JdSettings
from connectors.payloads import parse_json_object
from connectors.registry import ConnectionReport, explain
from connectors.shop_records import order_event, refund_event
from connectors.unpushed import NOTHING_TO_ACKNOWLEDGE, refuse_push
from connectors.webhooks import Acknowledgement, Verified, WebhookRequest
from domain.calls import AnyCall
from domain.catalog.jd import JD_CALLS, JD_QUEUE
from domain.events import Event
from domain.problems import AuthenticationProblem, AuthorizationProblem, ProblemError, Text, ValidationProblem

_HINTS = {
    AuthenticationProblem: Text(
        "核对 app_key、app_secret，并确认 refresh_token 来自店铺最近一次授权",
        "Check app_key and app_secret, and that refresh_token came from the shop's latest authorisation",
    ),
    AuthorizationProblem: Text(
        "为应用申请订单接口权限，把服务器 IP 加入白名单，并确认服务器部署在京东云内",
        "Apply for the order interfaces, put this server's IP on the application's list, and run it in JD's cloud",
    ),
    ValidationProblem: Text("校准服务器时钟（NTP）后重试", "Set this server's clock (NTP), then try again"),
}


class JdConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("京东", "JD")
    queue = JD_QUEUE
    # No published figure [U].
    requests_per_second = 20.0
    settings = JdSettings
    calls: tuple[AnyCall, ...] = JD_CALLS
    client = JdShop

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        """Never: there is no dependable push for POP shops."""
        refuse_push(self.title)

    def acknowledge(self, verified: Verified, account: Account) -> Acknowledgement:
        return NOTHING_TO_ACKNOWLEDGE

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        if record.kind == ORDER_KIND:
            return [order_event(read_order(parse_json_object(record.payload)), record, account, field="modified")]
        if record.kind == REFUND_KIND:
            return [refund_event(read_refund(parse_json_object(record.payload)), record, account, field="checkTime")]
        return []

    def open(self, account: Account, link: Link) -> JdShop:
        return JdShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads who the shop is."""
        try:
            gateway = self.open(account, link).gateway
            await gateway.call("jingdong.seller.vender.info.get", {}, "vender_info_result")
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，店铺授权有效", "It works: the shop's authorisation is valid"))
