"""Taobao and Tmall (淘宝/天猫): a shop's trades and refunds, by the open platform's gateway and message service."""

import secrets

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.errors import wrong_setting
from connectors.http import Link
from connectors.readable_streams import SHOP_WORKS, require_readable
from connectors.taobao import goods
from connectors.taobao.client import TaobaoShop
from connectors.taobao.gateway import PLATFORM
from connectors.taobao.goods import GOODS_KIND, goods_events
from connectors.taobao.messages import record_events
from connectors.taobao.settings import TaobaoSettings
from connectors.unpushed import Unpushed
from connectors.webhooks import Verified
from domain.calls import AnyCall
from domain.catalog.taobao import TAOBAO_CALLS, TAOBAO_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 app_key、app_secret，并确认 session 或 refresh_token 来自店铺最近一次授权",
        "Check app_key and app_secret, and that session or refresh_token came from the shop's latest authorisation",
    ),
    ConnectionFault.PERMISSION: Text(
        "在开放平台控制台为应用申请订单、退款与商品接口权限",
        "Apply for the interfaces of trades, refunds and goods in the console",
    ),
}


class TaobaoConnector(Unpushed):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("淘宝/天猫", "Taobao/Tmall")
    queue = TAOBAO_QUEUE
    # The quota depends on the application's grade [U]; well below the smallest that is told of.
    requests_per_second = 40.0
    settings = TaobaoSettings
    nobody = Account(
        PLATFORM,
        "",
        {"app_key": secrets.token_hex(8), "app_secret": secrets.token_hex(16), "session": secrets.token_hex(16)},
    )
    calls: tuple[AnyCall, ...] = TAOBAO_CALLS
    client = TaobaoShop

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return goods_events(record, account) if record.kind == GOODS_KIND else record_events(record, account)

    def open(self, account: Account, link: Link) -> TaobaoShop:
        return TaobaoShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads who the shop is, with its session: by another name than its own it would leave its messages; then a
        minute of orders and of refunds, and one of the goods."""
        try:
            shop = self.open(account, link)
            gateway = shop.gateway
            nick, set_to = await gateway.seller_nick(), gateway.settings.seller_nick
            if set_to not in (None, nick):
                raise wrong_setting(
                    PLATFORM,
                    Text(
                        f"账号设置中的 seller_nick 是 {set_to}，授权的店铺却是 {nick}：请更正，或删去后由平台告知",
                        f"seller_nick in the account's settings is {set_to}, but the shop that authorised is {nick}: "
                        "correct it, or leave it out, then the platform is asked",
                    ),
                )
            await require_readable(shop, link, tries=goods.tries(gateway))
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, SHOP_WORKS)
