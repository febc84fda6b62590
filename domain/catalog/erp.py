"""What a flow can ask of an ERP or warehouse through the ERP port: send an order out, and see what became of it."""

from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from domain.calls import Arguments, Call, Result
from domain.canonical import LONGEST_ORDER_ID
from domain.catalog.platforms import PlatformArguments, changing, platform_queue, reading
from domain.problems import Text

ERP_QUEUE = platform_queue("erp")
ShippingState = Literal["accepted", "picking", "shipped", "signed", "cancelled", "unknown"]


class ShippingLine(Arguments):
    """One article to be sent. sku: the merchant's own code of it, as the warehouse knows it."""

    sku: str = Field(min_length=1, max_length=64, description="商家编码 · The merchant's own code")
    quantity: int = Field(gt=0, le=100_000, description="件数 · How many")
    title: str | None = Field(default=None, max_length=200, description="商品名 · What it is")
    line_id: str | None = Field(
        default=None, max_length=LONGEST_ORDER_ID, description="平台子单号 · The platform's line"
    )


class ShippingReceiver(Arguments):
    """Where to. What a platform gives out as ciphertext only goes on as ciphertext: the warehouse prints by it."""

    province: str | None = Field(default=None, max_length=64)
    city: str | None = Field(default=None, max_length=64)
    name_ciphertext: str | None = Field(default=None, max_length=2_048)
    phone_ciphertext: str | None = Field(default=None, max_length=2_048)
    address_ciphertext: str | None = Field(default=None, max_length=2_048)


class CreateShippingOrderArguments(PlatformArguments):
    """The order that the warehouse is to send. shop: the account it was bought at, as `douyin/flagship`."""

    order_id: str = Field(min_length=1, max_length=LONGEST_ORDER_ID, description="平台订单号 · The platform's order")
    shop: str = Field(min_length=3, max_length=129, description="来源店铺，如 douyin/flagship · Where it was bought")
    lines: tuple[ShippingLine, ...] = Field(min_length=1, max_length=200, description="商品 · What to send")
    receiver: ShippingReceiver = Field(default=ShippingReceiver(), description="收货人 · Where to")
    warehouse: str | None = Field(default=None, max_length=64, description="仓库 · Which warehouse")
    remark: str | None = Field(default=None, max_length=500, description="备注 · A note")


class ShippedParcel(Result):
    """A parcel that left. line_ids: what is in it, empty when the ERP does not say."""

    waybill: str
    company: str | None = None
    line_ids: tuple[str, ...] = ()


class ShippingOrderOutput(Result):
    """A shipping order as the ERP has it. number: ours, by which it is asked for again. waybill, company: of its first
    parcel. parcels: all that left so far, empty from an ERP that shows only one waybill."""

    number: str
    order_id: str
    shop: str
    state: ShippingState
    waybill: str | None = None
    company: str | None = None
    parcels: tuple[ShippedParcel, ...] = ()
    changed_at: AwareDatetime | None = None


class CreateShippingOrderOutput(ShippingOrderOutput):
    """The shipping order; `already` when an earlier attempt had made it."""

    already: bool = False


class ShippingOrderArguments(PlatformArguments):
    """One shipping order, by its own number, or the newest of a platform's order."""

    number: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="发货单号 · The shipping order's number",
    )
    order_id: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_ORDER_ID, description="或平台订单号 · Or the platform's order"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.number is None) == (self.order_id is None):
            raise ValueError("number 与 order_id 二选一 · either number or order_id is needed")
        return self


class CancelShippingOrderArguments(PlatformArguments):
    """The shipping order that is not to go out any more, by its own number."""

    number: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="发货单号 · The shipping order's number",
    )
    reason: str | None = Field(default=None, max_length=200, description="原因 · Why")


class CancelShippingOrderOutput(ShippingOrderOutput):
    """The shipping order, cancelled; `already` when it was so before."""

    already: bool = False


_EXAMPLE = {
    "number": "8c0f6a52-7f0e-5c7e-9d55-0a9f3f1c2b11",
    "order_id": "6912345678901234567",
    "shop": "douyin/flagship",
    "state": "shipped",
    "waybill": "SF1234567890123",
    "company": "顺丰速运",
    "parcels": [{"waybill": "SF1234567890123", "company": "顺丰速运", "line_ids": ["6912345678901234568"]}],
    "changed_at": "2026-11-23T02:00:00Z",
}

ERP_CREATE_SHIPPING_ORDER: Call[CreateShippingOrderArguments, CreateShippingOrderOutput] = changing(
    "erp.create_shipping_order",
    Text("向 ERP 下发发货单", "Have the warehouse send an order"),
    CreateShippingOrderArguments,
    CreateShippingOrderOutput,
    {**_EXAMPLE, "state": "accepted", "waybill": None, "company": None, "parcels": [], "already": False},
)

ERP_GET_SHIPPING_ORDER: Call[ShippingOrderArguments, ShippingOrderOutput] = reading(
    "erp.get_shipping_order",
    Text("查询 ERP 发货单", "Read a shipping order"),
    ShippingOrderArguments,
    ShippingOrderOutput,
    _EXAMPLE,
)

ERP_CANCEL_SHIPPING_ORDER: Call[CancelShippingOrderArguments, CancelShippingOrderOutput] = changing(
    "erp.cancel_shipping_order",
    Text("取消 ERP 发货单", "Have the warehouse keep an order"),
    CancelShippingOrderArguments,
    CancelShippingOrderOutput,
    {**_EXAMPLE, "state": "cancelled", "waybill": None, "company": None, "parcels": [], "already": False},
)

ERP_CALLS = (ERP_CREATE_SHIPPING_ORDER, ERP_GET_SHIPPING_ORDER, ERP_CANCEL_SHIPPING_ORDER)
