"""Pinduoduo (拼多多): a shop's orders and refunds, by the open platform's gateway and message channel."""

import secrets
from functools import partial

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.errors import wrong_shop
from connectors.http import Link
from connectors.pinduoduo import goods
from connectors.pinduoduo.channel import PinduoduoChannel
from connectors.pinduoduo.client import PinduoduoShop
from connectors.pinduoduo.gateway import PLATFORM
from connectors.pinduoduo.goods import GOODS_KIND, goods_events
from connectors.pinduoduo.messages import record_events
from connectors.pinduoduo.settings import PinduoduoSettings
from connectors.readable_streams import SHOP_WORKS, require_readable
from connectors.reading import number_if_told
from connectors.unpushed import Unpushed
from connectors.webhooks import Verified
from domain.calls import AnyCall
from domain.catalog.pinduoduo import PINDUODUO_CALLS, PINDUODUO_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 client_id、client_secret，并请店主重新授权，在 10 分钟内填入新的 authorization_code",
        "Check client_id and client_secret, and have the shop authorise again; enter the new authorization_code "
        "within 10 minutes",
    ),
    ConnectionFault.PERMISSION: Text(
        "在开放平台控制台为应用申请订单、售后与商品接口权限",
        "Apply for the interfaces of orders, refunds and goods in the console",
    ),
}


UNVERIFIED = "mall_id"
"""Where pdd.mall.info.get tells what the message channel calls the shop."""


class PinduoduoConnector(Unpushed):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("拼多多", "Pinduoduo")
    queue = PINDUODUO_QUEUE
    # No published figure for a whole application [U].
    requests_per_second = 30.0
    settings = PinduoduoSettings
    nobody = Account(
        PLATFORM,
        "",
        {
            "client_id": secrets.token_hex(8),
            "client_secret": secrets.token_hex(16),
            "refresh_token": secrets.token_hex(16),
        },
    )
    calls: tuple[AnyCall, ...] = PINDUODUO_CALLS
    client = PinduoduoShop

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return goods_events(record, account) if record.kind == GOODS_KIND else record_events(record, account)

    def open(self, account: Account, link: Link) -> PinduoduoShop:
        return PinduoduoShop(account, link)

    def channel(self, account: Account) -> PinduoduoChannel:
        """The message channel of the account's application, for `connectors.channels.listen`."""
        return PinduoduoChannel(account)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads who the shop is, with its token: by another number than its own it would get no messages; then a
        minute of orders and of refunds, and one of the goods."""
        try:
            shop = self.open(account, link)
            info = await shop.gateway.call("pdd.mall.info.get", {}, "mall_info_get_response")
            told, set_to = number_if_told(info, UNVERIFIED), shop.gateway.settings.mall_id
            if told is not None and set_to is not None and told != set_to:
                raise wrong_shop(PLATFORM, "mall_id", set_to, told)
            await require_readable(shop, link, tries=(partial(goods.try_reading, shop.gateway),))
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, SHOP_WORKS, _unnamed(told) if set_to is None else None)


def _unnamed(mall: int | None) -> Text:
    number = "" if mall is None else f" = {mall}"
    return Text(
        f"没有填写 mall_id{number}：平台的消息不会送到本账号，只能每隔几分钟拉取一次",
        f"mall_id{number} is not set: no message of the platform comes to this account, it is only pulled every few "
        "minutes",
    )
