"""What a warehouse's word on stock means for the shops: told as the stock of their articles.

Flows and subscribers wait for the shop's article, which the warehouse knows by the merchant's code only. What they hear
is what can be sold now by every voice (`services.goods`), for each variant concerned and for the article as a whole.
"""

from collections.abc import Sequence

from domain.canonical import StockData
from domain.canonical.announcing import announce
from domain.events import Event
from domain.goods_stock import WAREHOUSE_PLATFORM
from domain.ids import bucket, derived_id
from services.goods import availability, told_of
from storage.goods import Goods
from storage.locks import lock_all
from storage.unit_of_work import UnitOfWork

_STOCK = "tandem.stock.changed"
_LOCKS = 1_024


async def shop_stock_events(work: UnitOfWork, events: Sequence[Event]) -> list[Event]:
    """`tandem.stock.changed` of the shops' articles that warehouses told of in these events, one of each.

    After the words were written. An id follows from the newest word on the article and its name, so that the same word
    is told once, however often it comes.
    """
    words = [(event, StockData.model_validate(event.data)) for event in events if event.type == _STOCK]
    words = [(event, data) for event, data in words if data.platform == WAREHOUSE_PLATFORM]
    newest: dict[tuple[str, str], tuple[Event, StockData]] = {}
    for event, data in sorted(words, key=lambda word: (word[1].version, word[0].id)):
        for code in (data.item_id, data.sku_id):
            if code:
                newest[data.account_id, code] = event, data
    if not newest:
        return []
    causes: dict[tuple[str, str, str], tuple[Event, StockData]] = {}
    for account_id, code, row in await Goods(work).with_codes(newest):
        word = newest[account_id, code]
        for sku_id in {row.sku_id, ""}:
            known = causes.get((row.account_id, row.item_id, sku_id))
            if known is None or _newness(known) < _newness(word):
                causes[row.account_id, row.item_id, sku_id] = word
    articles = {(account_id, item_id) for account_id, item_id, _ in causes}
    # What two warehouses say at one moment comes to what the second of them sees.
    await lock_all(work, {f"shop-stock:{bucket('/'.join(each), 'shop-stock', size=_LOCKS)}" for each in articles})
    told = await told_of(work, articles)
    found = []
    for (account_id, item_id, sku_id), (event, data) in sorted(causes.items(), key=lambda each: each[0]):
        article, (platform, _, account) = told[account_id, item_id], account_id.partition("/")
        available = availability(article, sku_id or None).available
        if available is None:
            continue
        own = data.model_copy(
            update={
                "platform": platform,
                "account": account,
                "item_id": item_id,
                "sku_id": sku_id or None,
                "warehouse": None,
                "available": available,
            }
        )
        said = announce(own, event.time or work.now)
        keys = said.tandemkeys
        if available == 0 and not sku_id:
            # A variant that no word named is gone with the rest.
            unnamed = (each for each in article.variant_codes if (account_id, item_id, each) not in causes)
            keys = tuple(f"sku:{platform}/{each}" for each in unnamed)
        number = derived_id("warehouse", event.source, event.id, account_id, item_id, sku_id)
        found.append(said.model_copy(update={"id": number, "tandemkeys": keys}))
    return found


def _newness(word: tuple[Event, StockData]) -> tuple[int, str]:
    return word[1].version, word[0].id
