"""What a flow can ask about goods before it speaks of them to a customer."""

from pydantic import Field

from domain.calls import Arguments, Call, Result
from domain.money import AmountMinor
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


class GoodsOfVideoArguments(Arguments):
    """A short video of one shop, as orders and visits name it."""

    platform: str = Field(min_length=1, max_length=64, description="平台，如 douyin · The platform, e.g. douyin")
    account: str = Field(min_length=1, max_length=64, description="店铺代号 · The shop's slug")
    video_id: str = Field(min_length=1, max_length=64, description="短视频编号 · The video's id")


class ShownGoods(Result):
    """An article that a video shows; `platform`, `account` and `item_id` are as `about` of `send` takes them."""

    platform: str
    account: str
    item_id: str
    title: str
    category: str | None = None
    price_minor: AmountMinor | None = None
    sellable: bool


class GoodsOfVideoOutput(Result):
    """items: at most 20, those that can be sold first. sellable: whether one of them can."""

    items: tuple[ShownGoods, ...] = ()
    sellable: bool = False


_SHOWN = {
    "platform": "douyin",
    "account": "demo-douyin",
    "item_id": "2006000000",
    "title": "胶原修护面膜 20片",
    "category": "面膜",
    "price_minor": 12900,
    "sellable": True,
}
GOODS_OF_VIDEO: Call[GoodsOfVideoArguments, GoodsOfVideoOutput] = Call(
    name="goods.of_video",
    title=Text("查询短视频里的商品", "Find the goods that a video shows"),
    input=GoodsOfVideoArguments,
    output=GoodsOfVideoOutput,
    timeout_s=10,
    example={"items": [_SHOWN], "sellable": True},
)

GOODS_CALLS = (GOODS_CHECK, GOODS_OF_VIDEO)
