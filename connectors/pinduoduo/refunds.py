"""An after-sale application of Pinduoduo by itself, which tells what rows of the increments do not."""

from collections.abc import Mapping
from typing import Any

from connectors.pinduoduo.gateway import PinduoduoGateway


async def refund_information(gateway: PinduoduoGateway, refund_id: str, order_id: str | None) -> Mapping[str, Any]:
    """The answer of refund.information.get.

    Documents list the order's number as required [S]; whether one is found without it is not known [U].
    """
    params = {"after_sales_id": refund_id}
    if order_id is not None:
        params["order_sn"] = order_id
    return await gateway.call("pdd.refund.information.get", params, "refund_information_get_response")
