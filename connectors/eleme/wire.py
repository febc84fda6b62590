"""What Ele.me's open platform is taken to be. All of it is unverified: see `UNVERIFIED`."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from connectors.catering.wire import Apis, CateringWire
from connectors.errors import CodeMeaning
from domain.problems import Text

PLATFORM = "eleme"


class Eleme(NamedTuple):
    """The contract, its own parts beside those that caterers' platforms share."""

    base_url: str
    sign_in_path: str
    call_path: str
    acknowledgement: bytes
    codes: Mapping[str, CodeMeaning]
    shared: CateringWire


# [U] Not researched: no official page was read. Addresses, names, words, codes, the token desk, both signatures,
# windows and page sizes are all assumptions, as is that pushes carry whole records.
UNVERIFIED = Eleme(
    base_url="https://open-api.shop.ele.me",
    sign_in_path="/token",
    call_path="/api/v1",
    acknowledgement=b'{"message":"ok","status":"success"}',
    codes=MappingProxyType(
        {
            "UNAUTHORIZED": CodeMeaning("refresh", Text("访问令牌无效", "The access token is not valid")),
            "invalid_client": CodeMeaning(
                "credentials", Text("app_key 或 app_secret 不正确", "Wrong app_key or app_secret")
            ),
            "SIGNATURE_ERROR": CodeMeaning(
                "credentials", Text("app_secret 不正确（签名错误）", "Wrong app_secret (signature)")
            ),
            "TIMESTAMP_ERROR": CodeMeaning(
                "clock", Text("时间戳超出范围：请校准服务器时钟", "The timestamp is off: set the clock right")
            ),
            "ACCESS_DENIED": CodeMeaning(
                "permission", Text("应用没有该接口的权限", "The application may not use this interface")
            ),
            "IP_NOT_ALLOWED": CodeMeaning(
                "address", Text("本机的出口 IP 不在白名单中", "This machine's address is not allowed")
            ),
            "NOT_FOUND": CodeMeaning("not_found", Text("没有这张单", "There is no such order or refund")),
            "STATE_CHANGED": CodeMeaning("conflict", Text("状态已变化", "The state has changed")),
            "VALIDATION_FAILED": CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
            "EXCEED_LIMIT": CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0),
            "SERVER_ERROR": CodeMeaning("busy", Text("平台系统异常", "The platform has a fault"), retry_after_s=2.0),
        }
    ),
    shared=CateringWire(
        platform=PLATFORM,
        apis=Apis(
            get_order="eleme.order.getOrder",
            list_orders="eleme.order.getOrders",
            get_refund="eleme.order.getRefundOrder",
            list_refunds="eleme.order.getRefundOrders",
            agree_refund="eleme.order.agreeRefund",
            refuse_refund="eleme.order.disagreeRefund",
            list_goods="eleme.product.item.queryItemByPage",
        ),
        order=MappingProxyType(
            {
                "order_id": "orderId",
                "status": "status",
                "dining": "orderBusinessType",
                "paid_minor": "totalPrice",
                "postage_minor": "deliverFee",
                "discount_minor": "activityTotal",
                "lines": "groups",
                "buyer_id": "userId",
                "phone_ciphertext": "phone",
                "nickname": "consignee",
                "city": "cityName",
                "address_ciphertext": "address",
                "created_at": "createdAt",
                "paid_at": "activeAt",
                "shipped_at": "deliverAt",
                "completed_at": "completedAt",
                "updated_at": "updatedAt",
            }
        ),
        line=MappingProxyType(
            {
                "line_id": "id",
                "item_id": "extendCode",
                "sku_id": "skuId",
                "merchant_code": "barCode",
                "title": "name",
                "sku": "spec",
                "category": "categoryName",
                "quantity": "quantity",
                "price_minor": "price",
            }
        ),
        refund=MappingProxyType(
            {
                "refund_id": "refundId",
                "order_id": "orderId",
                "status": "refundStatus",
                "amount_minor": "totalPrice",
                "reason": "reason",
                "returns_goods": "returnsGoods",
                "updated_at": "updatedAt",
            }
        ),
        dish=MappingProxyType(
            {
                "item_id": "extendCode",
                "title": "name",
                "category": "categoryName",
                "price_minor": "price",
                "on_sale": "isValid",
                "merchant_code": "barCode",
                "variants": "specs",
            }
        ),
        variant=MappingProxyType(
            {
                "sku_id": "specId",
                "name": "name",
                "price_minor": "price",
                "merchant_code": "barCode",
                "available": "stock",
            }
        ),
        offered="1",
        order_words=MappingProxyType(
            {
                "pending": "unpaid",
                "unprocessed": "paid",
                "valid": "paid",
                "delivering": "shipped",
                "settled": "completed",
                "invalid": "closed",
            }
        ),
        refund_words=MappingProxyType(
            {
                "applied": "requested",
                "returning": "awaiting_return",
                "returned": "returned",
                "rejected": "refused",
                "successful": "refunded",
                "cancelled": "closed",
            }
        ),
        dining_words=MappingProxyType({"0": "takeaway", "1": "dine_in"}),
        pushes=MappingProxyType(
            {
                "10": "order",
                "12": "order",
                "14": "order",
                "15": "order",
                "18": "order",
                "53": "order",
                "30": "refund",
                "31": "refund",
                "32": "refund",
                "33": "refund",
                "34": "refund",
                "35": "refund",
            }
        ),
        amounts="yuan",
        total="total",
        items="list",
        page_size=50,
        window=timedelta(minutes=10),
        widest=timedelta(days=1),
        lag=timedelta(minutes=1),
        reaches_back=timedelta(days=90),
    ),
)
