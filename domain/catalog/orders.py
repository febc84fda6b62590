"""What a flow can ask about an order that it only knows by number: many platforms push nothing more."""

from pydantic import AwareDatetime, Field

from domain.calls import Arguments, Call, Result
from domain.canonical import LONGEST_ORDER_ID
from domain.catalog.goods import GoodsCheckArguments
from domain.problems import Text


class OrderGetArguments(Arguments):
    """An order of one shop."""

    platform: str = Field(min_length=1, max_length=64, description="平台，如 douyin · The platform, e.g. douyin")
    account: str = Field(min_length=1, max_length=64, description="店铺代号 · The shop's slug")
    order_id: str = Field(min_length=1, max_length=LONGEST_ORDER_ID, description="订单号 · The order's number")


class OrderGetOutput(Result):
    """An order as its shop told it last, whoever told what of it; nothing personal. known: whether anybody did.

    status: `unpaid`, `paid`, `shipped`, `completed`, `closed`, `unknown`. customer_id: whose it is, None while nobody
    knows. amount_minor: what is paid or to be paid. title: of its first article. items: its goods, as `goods.check` and
    the `about` of `send` take them.
    """

    known: bool
    status: str = "unknown"
    customer_id: str | None = None
    amount_minor: int | None = None
    currency: str = "CNY"
    created_at: AwareDatetime | None = None
    paid_at: AwareDatetime | None = None
    title: str | None = None
    items: tuple[GoodsCheckArguments, ...] = ()


ORDER_GET: Call[OrderGetArguments, OrderGetOutput] = Call(
    name="order.get",
    title=Text("读取已同步的订单", "Read an order as it was told"),
    input=OrderGetArguments,
    output=OrderGetOutput,
    timeout_s=10,
    example={
        "known": True,
        "status": "unpaid",
        "customer_id": "0199d0f0-0000-7000-8000-000000000001",
        "amount_minor": 29_900,
        "currency": "CNY",
        "created_at": "2026-11-11T02:00:00Z",
        "paid_at": None,
        "title": "羊毛大衣",
        "items": [{"platform": "youzan", "account": "demo-apparel", "item_id": "2019000001"}],
    },
)

ORDER_CALLS = (ORDER_GET,)
