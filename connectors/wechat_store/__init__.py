"""WeChat Stores (微信小店): orders and refunds of buyers whose unionid is known."""

from functools import partial

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.readable_streams import SHOP_WORKS, require_readable
from connectors.webhooks import Verified
from connectors.wechat.answering import TakesCallbacks
from connectors.wechat.settings import nobodys_account
from connectors.wechat_store import goods
from connectors.wechat_store.client import PLATFORM, WechatStore
from connectors.wechat_store.events import store_events, uses_push
from connectors.wechat_store.goods import GOODS_KIND, goods_events
from connectors.wechat_store.settings import WechatStoreSettings
from domain.calls import AnyCall
from domain.catalog.wechat_store import WECHAT_STORE_CALLS, WECHAT_STORE_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text("核对小店的 app_id 与 app_secret", "Check the store's app_id and app_secret"),
    ConnectionFault.PERMISSION: Text(
        "在微信小店后台授予订单、售后与商品接口权限",
        "Grant orders, after-sale and products in the store's console",
    ),
}


class WechatStoreConnector(TakesCallbacks):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("微信小店", "WeChat Store")
    queue = WECHAT_STORE_QUEUE
    settings = WechatStoreSettings
    # No published figure [U]; a page of orders takes one request for each of them.
    requests_per_second = 50.0
    nobody = nobodys_account(PLATFORM)
    calls: tuple[AnyCall, ...] = WECHAT_STORE_CALLS
    client = WechatStore

    def uses(self, kind: str) -> bool:
        return uses_push(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return goods_events(record, account) if record.kind == GOODS_KIND else store_events(record, account)

    def open(self, account: Account, link: Link) -> WechatStore:
        return WechatStore(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches a token, lists a minute of orders and of refunds, and the goods, and reads one of each."""
        try:
            store = WechatStore(account, link.without_tokens(), most=1)
            await require_readable(store, link, tries=(partial(goods.try_reading, store.api, PLATFORM),))
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, SHOP_WORKS)
