"""What Meituan's open platform for caterers is taken to be. All of it is unverified: see `UNVERIFIED`."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from connectors.catering.wire import Apis, CateringWire
from connectors.errors import CodeMeaning
from domain.problems import Text

PLATFORM = "meituan"


class Meituan(NamedTuple):
    """The contract, its own parts beside those that caterers' platforms share."""

    base_url: str
    prefix: str
    acknowledgement: bytes
    codes: Mapping[int, CodeMeaning]
    shared: CateringWire


# [U] Not researched: no official page was read. Addresses, names, words, codes, the signature and its order of parts,
# windows and page sizes are all assumptions, as is that pushes carry whole records.
UNVERIFIED = Meituan(
    base_url="https://waimaiopen.meituan.com",
    prefix="/api/v1/",
    acknowledgement=b'{"data":"ok","msg":"success"}',
    codes=MappingProxyType(
        {
            701: CodeMeaning("credentials", Text("app_secret 不正确（签名错误）", "Wrong app_secret (signature)")),
            702: CodeMeaning("credentials", Text("app_id 不正确", "Wrong app_id")),
            703: CodeMeaning(
                "clock",
                Text("时间戳超出范围：请校准服务器时钟", "The timestamp is off: set this machine's clock"),
            ),
            704: CodeMeaning("permission", Text("应用没有该接口的权限", "The application may not use this interface")),
            705: CodeMeaning("address", Text("本机的出口 IP 不在白名单中", "This machine's address is not allowed")),
            808: CodeMeaning("not_found", Text("没有这张单", "There is no such order or refund")),
            809: CodeMeaning("conflict", Text("状态已变化", "The state has changed")),
            801: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
            1026: CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0),
            700: CodeMeaning("busy", Text("平台系统异常", "The platform has a fault"), retry_after_s=2.0),
        }
    ),
    shared=CateringWire(
        platform=PLATFORM,
        apis=Apis(
            get_order="order/getOrderDetail",
            list_orders="order/list",
            get_refund="order/refund/get",
            list_refunds="order/refund/list",
            agree_refund="order/refund/agree",
            refuse_refund="order/refund/reject",
            list_goods="food/list",
        ),
        order=MappingProxyType(
            {
                "order_id": "order_id",
                "status": "status",
                "dining": "delivery_type",
                "paid_minor": "total",
                "postage_minor": "shipping_fee",
                "discount_minor": "discount",
                "lines": "detail",
                "buyer_id": "user_id",
                "phone_ciphertext": "recipient_phone",
                "nickname": "recipient_name",
                "city": "city_name",
                "address_ciphertext": "recipient_address",
                "created_at": "ctime",
                "paid_at": "pay_time",
                "shipped_at": "dispatch_time",
                "completed_at": "finish_time",
                "updated_at": "utime",
            }
        ),
        line=MappingProxyType(
            {
                "line_id": "item_id",
                "item_id": "app_food_code",
                "sku_id": "sku_id",
                "merchant_code": "upc",
                "title": "food_name",
                "sku": "spec",
                "category": "category_name",
                "quantity": "quantity",
                "price_minor": "price",
            }
        ),
        refund=MappingProxyType(
            {
                "refund_id": "refund_id",
                "order_id": "order_id",
                "status": "res_type",
                "amount_minor": "money",
                "reason": "reason",
                "returns_goods": "returns_goods",
                "updated_at": "utime",
            }
        ),
        dish=MappingProxyType(
            {
                "item_id": "app_food_code",
                "title": "name",
                "category": "category_name",
                "price_minor": "price",
                "on_sale": "is_sold_out",
                "merchant_code": "upc",
                "variants": "skus",
            }
        ),
        variant=MappingProxyType(
            {
                "sku_id": "sku_id",
                "name": "spec",
                "price_minor": "price",
                "merchant_code": "upc",
                "available": "stock",
            }
        ),
        offered="0",
        order_words=MappingProxyType(
            {"1": "unpaid", "2": "paid", "4": "paid", "6": "shipped", "8": "completed", "9": "closed"}
        ),
        refund_words=MappingProxyType(
            {"0": "requested", "1": "refused", "2": "refunded", "3": "closed", "4": "awaiting_return", "5": "returned"}
        ),
        dining_words=MappingProxyType({"0": "takeaway", "1": "takeaway", "2": "dine_in"}),
        pushes=MappingProxyType({"order": "order", "refund": "refund"}),
        amounts="yuan",
        total="total_count",
        items="list",
        page_size=50,
        window=timedelta(minutes=10),
        widest=timedelta(days=1),
        lag=timedelta(minutes=1),
        reaches_back=timedelta(days=90),
    ),
)
