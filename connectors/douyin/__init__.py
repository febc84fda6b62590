"""Douyin shops (抖店): orders with who and what sold them, refunds, goods."""

import secrets
from functools import partial

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.douyin import goods
from connectors.douyin.client import DouyinShop
from connectors.douyin.gateway import PLATFORM
from connectors.douyin.goods import GOODS_KINDS, goods_events
from connectors.douyin.pages import page_events
from connectors.douyin.pushes import push_events, read_push, uses_push, verify_push
from connectors.douyin.settings import DouyinSettings
from connectors.http import Link
from connectors.readable_streams import SHOP_WORKS, require_readable
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.catalog.douyin import DOUYIN_CALLS, DOUYIN_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 app_key、app_secret 与店铺编号 shop_id，确认店铺已授权该应用，并校准服务器时钟",
        "Check app_key, app_secret and shop_id, that the shop has authorised the application, and the server's clock",
    ),
    ConnectionFault.PERMISSION: Text(
        "在抖店开放平台为应用申请订单、售后与商品权限包",
        "Apply for the order, after-sale and goods permissions in the console",
    ),
}


class DouyinConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("抖店", "Douyin shop")
    queue = DOUYIN_QUEUE
    # The tightest interface allows 500 a second, and a call takes up to three requests.
    requests_per_second = 150.0
    settings = DouyinSettings
    nobody = Account(PLATFORM, "", {"app_key": secrets.token_hex(8), "app_secret": secrets.token_hex(16), "shop_id": 1})
    calls: tuple[AnyCall, ...] = DOUYIN_CALLS
    client = DouyinShop

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_push(request, account)

    def read_push(self, kept: Verified, account: Account) -> Verified:
        return read_push(kept, account)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b'{"code":0,"msg":"success"}', "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        # Only code 0 counts as taken; anything else is sent again [S].
        status = problem.problem.status
        return json_answer(status, {"code": status, "msg": refusal_text(problem)})

    def uses(self, kind: str) -> bool:
        return uses_push(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        if record.kind in GOODS_KINDS:
            return goods_events(record, account)
        if "." in record.kind:
            return page_events(record, account)
        return push_events(record, account)

    def open(self, account: Account, link: Link) -> DouyinShop:
        return DouyinShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches a token, reads a minute of orders and of refunds, and one of the goods."""
        try:
            if account.parse_settings(DouyinSettings).refresh_token is None:
                # A refresh token is spent by its use, so with one the workers' own token is tried.
                link = link.without_tokens()
            shop = self.open(account, link)
            await require_readable(shop, link, tries=(partial(goods.try_reading, shop.gateway),))
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, SHOP_WORKS)
