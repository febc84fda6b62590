"""Goods that went back at one shop are the same goods at another, where the merchant gave them one code."""

import pytest

from connectors.loading import load_connectors
from domain.calls import Catalog
from domain.canonical import GoodsData
from domain.catalog.goods import GoodsCheckArguments
from domain.catalog.messages import About, SendArguments
from domain.journeys.reach import ReachPolicy
from domain.problems import UnavailableProblem
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.reach import ReachService
from storage.engine import Database
from tests.services.test_suppressions import CAUSE, CONTACT, ORDER, SHOP, refund, take_in, told


async def test_what_went_back_at_one_shop_is_advertised_at_no_other(database: Database) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))

    def article(account: str, item: str, code: str | None) -> GoodsData:
        shop = {"platform": "wechat_store", "account": account}
        return GoodsData(**shop, version=1, item_id=item, sku_id=f"{item}-m", title="羊毛大衣", merchant_code=code)

    own = GoodsData(**SHOP, version=1, item_id="coat", sku_id="coat-m", title="羊毛大衣", merchant_code="MZ-7")
    others = {"same": "MZ-7", "other": "MZ-8", "MZ-7": None}
    for goods in (own, *(article("store", item, code) for item, code in others.items())):
        await take_in(database, goods__updated=goods)

    async def refused(item: str) -> str | None:
        items = (GoodsCheckArguments(platform="wechat_store", account="store", item_id=item),)
        return await reach.refusal(
            SendArguments(to="wm1", text="新品", purpose="marketing", about=About(items=items)), CAUSE
        )

    assert [await refused(item) for item in others] == [None, None, None]
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))
    await inbox.accept("youzan", "flagship", told(refund("requested", 2)))
    with pytest.raises(UnavailableProblem):
        await refused("same")
    assert (await inbox.drain()).quarantined == 0
    assert [await refused(item) for item in others] == ["suppressed", None, None]
