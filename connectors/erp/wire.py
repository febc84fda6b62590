"""The ERP port: the one contract that ERPs are spoken to by. An ERP that speaks otherwise gets a small adapter, which
serves these addresses in front of it.

Requests of ours and pushes of theirs are signed by Standard Webhooks. A request's signature covers
`METHOD /path?query\n` before the body, so that one cannot be made into another.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from connectors.errors import CodeMeaning
from domain.canonical import ParcelState
from domain.catalog.erp import ShippingState
from domain.problems import Text

PLATFORM = "erp"


class Port(NamedTuple):
    """Addresses, names and words of the port."""

    order: str
    cancel: str
    orders: str
    waybills: str
    stock: str
    page_size: int
    states: Mapping[str, ShippingState]
    parcel_states: Mapping[str, ParcelState]


# [U] No ERP was looked at: the whole port is ours, and no product is known to speak it as it stands.
UNVERIFIED = Port(
    order="/v1/shipping-orders/{number}",
    cancel="/v1/shipping-orders/{number}/cancel",
    orders="/v1/shipping-orders",
    waybills="/v1/waybills",
    stock="/v1/stock",
    page_size=200,
    states=MappingProxyType(
        {
            "accepted": "accepted",
            "picking": "picking",
            "shipped": "shipped",
            "signed": "signed",
            "cancelled": "cancelled",
        }
    ),
    parcel_states=MappingProxyType(
        {
            "shipped": "shipped",
            "in_transit": "in_transit",
            "delivering": "delivering",
            "signed": "signed",
            "returned": "returned",
            "lost": "lost",
        }
    ),
)

CODES: Mapping[str, CodeMeaning] = {
    "unknown_client": CodeMeaning("credentials", Text("client_id 不正确", "Wrong client_id")),
    "wrong_signature": CodeMeaning("credentials", Text("secret 不正确", "Wrong secret")),
    "clock_skew": CodeMeaning(
        "clock", Text("请求时间与 ERP 相差超过 5 分钟：请校准服务器时钟", "The clocks differ by over 5 minutes")
    ),
    "address_not_allowed": CodeMeaning(
        "address", Text("本机的出口 IP 不在 ERP 白名单中", "This machine's address is not on the ERP's list")
    ),
    "not_allowed": CodeMeaning("permission", Text("ERP 未开放该权限", "The ERP does not permit this")),
    "not_found": CodeMeaning("not_found", Text("ERP 中没有这张单", "The ERP has no such order")),
    "conflict": CodeMeaning("conflict", Text("单号已用于另一张发货单", "The number is another shipping order's")),
    "too_late": CodeMeaning("conflict", Text("货已出库，不能取消", "The goods have left, it cannot be cancelled")),
    "invalid": CodeMeaning("invalid", Text("ERP 不接受该内容", "The ERP does not take this")),
    "too_many": CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0),
    "busy": CodeMeaning("busy", Text("ERP 系统繁忙", "The ERP is busy"), retry_after_s=2.0),
}
