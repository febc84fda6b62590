"""After-sale applications of Pinduoduo, one or those of an order: they tell what rows of the increments do not."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.listed_rows import listed_rows
from connectors.pinduoduo.gateway import PLATFORM, PinduoduoGateway
from connectors.pinduoduo.records import read_listed_refund

_MOST = 100


async def refund_information(gateway: PinduoduoGateway, refund_id: str, order_id: str | None) -> Mapping[str, Any]:
    """The answer of refund.information.get.

    Documents list the order's number as required [S]; whether one is found without it is not known [U].
    """
    params = {"after_sales_id": refund_id}
    if order_id is not None:
        params["order_sn"] = order_id
    return await gateway.call("pdd.refund.information.get", params, "refund_information_get_response")


async def refunded_minor(gateway: PinduoduoGateway, order_id: str) -> int:
    """How much went back of an order, in fen, by its applications: of an order there are few.

    Asked with an order's number, the increments show all of its applications; the rest has to be said all the same
    [S].
    """
    now = gateway.now()
    params = {
        "order_sn": order_id,
        "after_sales_status": "1",
        "after_sales_type": "1",
        "start_updated_at": str(int((now - timedelta(minutes=10)).timestamp())),
        "end_updated_at": str(int(now.timestamp())),
        "page": "1",
        "page_size": str(_MOST),
        "use_has_next": "true",
    }
    found = await gateway.call("pdd.refund.list.increment.get", params, "refund_increment_get_response")
    refunds = [read_listed_refund(row) for row in listed_rows(found, "refund_list", PLATFORM)]
    return sum(each.amount_minor or 0 for each in refunds if each.status == "refunded" and each.order_id == order_id)
