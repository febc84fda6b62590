"""Whether goods can be sold, as their shop told last."""

import pytest

from domain.catalog.goods import GoodsCheckArguments
from services.goods import GoodsService
from storage.engine import Database
from storage.goods import GoodsRow
from storage.unit_of_work import UnitOfWork

SHOP = "youzan/demo-apparel"


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
    ],
)
async def test_goods_can_be_sold_while_listed_and_in_stock(
    database: Database,
    told: dict[str, tuple[bool, int | None]],
    sku: str | None,
    expected: tuple[bool, bool, int | None],
) -> None:
    async with UnitOfWork(database) as work:
        for name, (on_sale, available) in told.items():
            work.session.add(
                GoodsRow(
                    account_id=SHOP,
                    item_id="coat",
                    sku_id=name,
                    on_sale=on_sale,
                    available=available,
                    recorded_at=work.now,
                )
            )
        work.session.add(GoodsRow(account_id="youzan/other", item_id="coat", available=9, recorded_at=work.now))
    asked = GoodsCheckArguments(platform="youzan", account="demo-apparel", item_id="coat", sku_id=sku)
    found = await GoodsService(database).check(asked)
    assert (found.known, found.sellable, found.available) == expected
