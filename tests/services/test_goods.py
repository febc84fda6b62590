"""Whether goods can be sold, as their shop and the warehouses behind it told last."""

from collections.abc import Mapping

import pytest

from domain.canonical import GoodsData, StockData
from domain.canonical.announcing import announce
from domain.catalog.goods import GoodsCheckArguments, GoodsCheckOutput, GoodsOfVideoArguments
from domain.customers.folding import fold
from domain.customers.records import record_of
from domain.organisation import HEADQUARTERS, Unit
from services.goods import GoodsService
from storage.accounts import AccountRow
from storage.engine import Database
from storage.goods import GoodsRow, StockRow
from storage.organisation import Units
from storage.records import Records
from storage.unit_of_work import UnitOfWork

SHOP = "youzan/demo-apparel"
KEY = {"account_id", "item_id", "sku_id", "recorded_at"}


async def asked(database: Database, sku: str | None = None) -> GoodsCheckOutput:
    request = GoodsCheckArguments(platform="youzan", account="demo-apparel", item_id="coat", sku_id=sku)
    return await GoodsService(database).check(request)


@pytest.mark.parametrize(
    ("told", "sku", "expected"),
    [
        ({}, None, (False, False, None)),
        ({"": (True, 3)}, None, (True, True, 3)),
        ({"": (True, 0)}, None, (True, False, 0)),
        ({"": (True, None)}, None, (True, True, None)),
        ({"": (False, 3), "m": (True, 3)}, None, (True, False, None)),
        ({"": (True, None), "m": (True, 0), "l": (True, 2)}, None, (True, True, 2)),
        ({"": (True, None), "m": (True, 0), "l": (False, 2)}, None, (True, False, 0)),
        ({"m": (True, 0), "l": (True, None)}, None, (True, True, None)),
        ({"": (True, None), "m": (True, 0), "l": (True, 2)}, "m", (True, False, 0)),
        ({"": (True, 3)}, "xl", (False, False, None)),
        ({"": (True, 0)}, "xl", (True, False, 0)),
        ({"": (False, None)}, "xl", (True, False, None)),
        ({"": (True, 0), "m": (True, 4)}, "m", (True, False, 0)),
    ],
)
async def test_goods_can_be_sold_while_listed_and_in_stock(
    database: Database,
    told: Mapping[str, tuple[bool, int | None]],
    sku: str | None,
    expected: tuple[bool, bool, int | None],
) -> None:
    async with UnitOfWork(database) as work:
        for name, (on_sale, available) in told.items():
            article = GoodsRow(account_id=SHOP, item_id="coat", sku_id=name, on_sale=on_sale, recorded_at=work.now)
            work.session.add(article)
            if available is not None:
                work.session.add(StockRow(**article.model_dump(include=KEY), available=available))
        work.session.add(StockRow(account_id="youzan/other", item_id="coat", available=9, recorded_at=work.now))
    found = await asked(database, sku)
    assert (found.known, found.sellable, found.available) == expected


WAREHOUSE = "erp/main"


async def connect(database: Database, *accounts: str, unit: str = HEADQUARTERS, active: bool = True) -> None:
    async with UnitOfWork(database) as work:
        for name in accounts:
            platform, _, slug = name.partition("/")
            row = AccountRow(
                id=name,
                account_id=name,
                platform=platform,
                slug=slug,
                name=slug,
                unit_path=unit,
                active=active,
                credentials={},
                credential_names=[],
                settings={},
                created_at=work.now,
                rotated_at=work.now,
            )
            work.session.add(row)


async def tell(database: Database, *told: GoodsData | StockData) -> None:
    async with UnitOfWork(database) as work:
        records = fold(record for each in told if (record := record_of(announce(each, work.now), work.now)))
        await Records(work).write(records, [None] * len(records), {})


def goods(sku: str | None = None, code: str | None = None, *, version: int = 1) -> GoodsData:
    return GoodsData(
        platform="youzan",
        account="demo-apparel",
        version=version,
        item_id="coat",
        sku_id=sku,
        title="大衣",
        merchant_code=code,
    )


def stock(
    item: str, left: int, sku: str | None = None, *, place: str | None = None, of: str = WAREHOUSE, version: int = 1
) -> StockData:
    platform, _, account = of.partition("/")
    return StockData(
        platform=platform,
        account=account,
        version=version,
        item_id=item,
        sku_id=sku,
        warehouse=place,
        available=left,
    )


async def test_what_the_warehouse_has_no_more_of_is_sold_out_in_the_shop(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods(), goods("m", "DT-M"), goods("l", "DT-L"))
    await tell(database, stock("coat", 7, "m", of=SHOP), stock("coat", 7, "l", of=SHOP))
    assert (await asked(database)).available == 14
    await tell(database, stock("DT", 0, "DT-M"))
    assert (await asked(database, "m")).sellable is False
    assert ((await asked(database)).sellable, (await asked(database)).available) == (True, 7)
    await tell(database, stock("DT", 2, "DT-L"))
    assert (await asked(database)).available == 2, "neither can give more than it has"
    await tell(database, stock("coat", 0, "l", of=SHOP, version=2))
    assert (await asked(database)).sellable is False, "the shop's own word counts as well"
    await tell(database, stock("DT", 5, "DT-M", version=2), stock("DT", 9, "DT-M", version=1))
    assert (await asked(database, "m")).available == 5, "the newest word, however it comes"


async def test_warehouses_are_summed(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods("m", "DT-M"))
    await tell(database, stock("DT", 0, "DT-M", place="north"), stock("DT", 4, "DT-M", place="south"))
    assert (await asked(database, "m")).available == 4
    await tell(database, stock("DT", 0, "DT-M", place="south", version=2))
    assert (await asked(database, "m")).sellable is False
    await tell(database, stock("DT", 1, "DT-M", place="north", version=3))
    assert (await asked(database, "m")).available == 1


@pytest.mark.parametrize("code", ["DT", "DT-M"])
async def test_an_article_without_variants_goes_by_its_one_code(database: Database, code: str) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods(code=code))
    await tell(database, stock("DT", 0, "DT-M"))
    assert (await asked(database)).sellable is False
    await tell(database, stock("DT", 3, "DT-M", version=2))
    assert (await asked(database)).available == 3


async def test_what_has_no_code_goes_by_the_shop_s_own_numbers(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods("m"), stock("coat", 0, "m"))
    assert (await asked(database, "m")).sellable is False
    assert (await asked(database)).sellable is False
    await tell(database, stock("coat", 0))
    assert (await asked(database, "a new variant")).known is True


async def test_nothing_of_a_whole_article_is_nothing_of_its_variants(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods(code="DT"), goods("m", "DT-M"))
    await tell(database, stock("DT", 5, "DT-M", version=4), stock("DT", 0, version=5))
    assert (await asked(database, "m")).sellable is False
    await tell(database, stock("DT", 5, "DT-M", version=6))
    assert (await asked(database, "m")).available == 5, "it came in again"


@pytest.mark.parametrize(
    ("unit", "active", "counts"),
    [
        ("/", True, True),
        ("/east/", True, True),
        ("/west/", True, False),
        ("/east/store-1/", True, False),
        ("/", False, False),
    ],
)
async def test_only_a_connected_warehouse_of_the_shop_s_unit_speaks_for_it(
    database: Database, unit: str, active: bool, counts: bool
) -> None:
    async with UnitOfWork(database) as work:
        for path in ("/east/", "/west/", "/east/store-1/"):
            await Units(work).add(Unit(path=path, name=path))
    await connect(database, SHOP, unit="/east/")
    await connect(database, WAREHOUSE, unit=unit, active=active)
    await tell(database, goods("m", "DT-M"), stock("DT", 0, "DT-M"))
    assert (await asked(database, "m")).sellable is not counts


async def test_a_video_leads_to_the_goods_it_shows_those_that_can_be_sold_first(database: Database) -> None:
    def shown(item: str, *videos: str) -> GoodsData:
        return goods().model_copy(update={"item_id": item, "title": item, "video_ids": videos})

    await tell(database, shown("a", "v1"), shown("b", "v1", "v2"), shown("c", "v2"), stock("a", 0, of=SHOP))
    asked = GoodsOfVideoArguments(platform="youzan", account="demo-apparel", video_id="v1")
    found = await GoodsService(database).of_video(asked)
    assert [(each.item_id, each.sellable) for each in found.items] == [("b", True), ("a", False)]
    assert found.sellable is True
    for other in ({"video_id": "v3"}, {"account": "other"}):
        found = await GoodsService(database).of_video(asked.model_copy(update=other))
        assert (found.items, found.sellable) == ((), False)
