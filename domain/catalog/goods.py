"""What a flow can ask about goods before it speaks of them to a customer."""

from pydantic import Field

from domain.calls import Arguments, Call, Result
from domain.problems import Text


class GoodsCheckArguments(Arguments):
    """An article of one shop, or one variant of it."""

    platform: str = Field(min_length=1, max_length=64, description="平台，如 youzan · The platform, e.g. youzan")
    account: str = Field(min_length=1, max_length=64, description="店铺代号 · The shop's slug")
    item_id: str = Field(min_length=1, max_length=128, description="商品编号 · The article's id")
    sku_id: str | None = Field(default=None, min_length=1, max_length=128, description="规格编号 · The variant's id")


class GoodsCheckOutput(Result):
    """sellable: known, on sale, and not known to be out of stock. available: NULL when nobody told the stock."""

    known: bool
    sellable: bool
    on_sale: bool = False
    available: int | None = None


GOODS_CHECK: Call[GoodsCheckArguments, GoodsCheckOutput] = Call(
    name="goods.check",
    title=Text("查询商品可售", "Check whether goods can be sold"),
    input=GoodsCheckArguments,
    output=GoodsCheckOutput,
    timeout_s=10,
    example={"known": True, "sellable": True, "on_sale": True, "available": 12},
)

GOODS_CALLS = (GOODS_CHECK,)
