"""Youzan (有赞): a shop's trades and refunds."""

import secrets

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.readable_streams import require_readable
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from connectors.youzan.buyers import BUYER_READ, buyer_events
from connectors.youzan.client import YouzanShop
from connectors.youzan.coupon_lists import PULLED_COUPON, coupon_list_events
from connectors.youzan.gateway import PLATFORM
from connectors.youzan.goods import GOODS_READ, goods_events
from connectors.youzan.pushes import push_events, read_push, uses_push, verify_push
from connectors.youzan.settings import YouzanSettings
from domain.calls import AnyCall
from domain.catalog.youzan import YOUZAN_CALLS, YOUZAN_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 client_id、client_secret 与店铺编号 kdt_id，并确认店铺已授权该应用",
        "Check client_id, client_secret and the shop's kdt_id, and that the shop has authorised the application",
    ),
    ConnectionFault.PERMISSION: Text(
        "在有赞云控制台为应用申请交易、退款、商品与优惠券接口权限；应用限制了 IP 的，把本机 IP 加入白名单",
        "Apply for the interfaces of trades, refunds, goods and coupons in the console; if the application has a white "
        "list, add this server's IP",
    ),
}


class YouzanConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("有赞", "Youzan")
    queue = YOUZAN_QUEUE
    # No published figure [U]; well below what shops report to be refused at.
    requests_per_second = 100.0
    settings = YouzanSettings
    nobody = Account(
        PLATFORM, "", {"client_id": secrets.token_hex(8), "client_secret": secrets.token_hex(16), "kdt_id": 1}
    )
    calls: tuple[AnyCall, ...] = YOUZAN_CALLS
    client = YouzanShop

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_push(request, account)

    def read_push(self, kept: Verified, account: Account) -> Verified:
        return read_push(kept, account)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b'{"code":0,"msg":"success"}', "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        # Whatever is not 2xx with “success” in it counts as failed, and is sent again up to sixteen times [S].
        status = problem.problem.status
        return json_answer(status, {"code": status, "msg": refusal_text(problem)})

    def uses(self, kind: str) -> bool:
        return uses_push(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        if record.kind == PULLED_COUPON:
            return coupon_list_events(record, account)
        if record.kind == GOODS_READ:
            return goods_events(record, account)
        return buyer_events(record, account) if record.kind == BUYER_READ else push_events(record, account)

    def open(self, account: Account, link: Link) -> YouzanShop:
        return YouzanShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches a token, reads a minute of orders and of refunds, and one of the goods and of the coupons."""
        try:
            is_own = account.parse_settings(YouzanSettings).refresh_token is None
            # The platform gives out the same token while it lives. A refresh token is spent by its use, so with one the
            # token that the workers have is tried.
            shop = self.open(account, link.without_tokens() if is_own else link)
            await shop.gateway.prove_secret()
            await require_readable(shop, link, tries=shop.tries())
        except ProblemError as error:
            return explain(error, _HINTS)
        works = Text(
            "连接正常，可以读取订单、退款、商品与优惠券", "It works: orders, refunds, goods and coupons can be read"
        )
        return ConnectionReport(True, works)
