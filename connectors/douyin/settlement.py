"""What Douyin settled with the shop: a day's bill, read by the platform's two-part cursor.

Source: order.getSettleBillDetailV3 [S]; its page is named by an index and a time, and both go back with the next
request: the index alone would begin the day anew.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from connectors.douyin.gateway import PLATFORM, DouyinGateway
from connectors.reading import mapping, text, whole_number
from domain.problems import CommunicationProblem, Text

METHOD = "order.getSettleBillDetailV3"
PAGE_SIZE = 100
_MOST_PAGES = 10_000
_SETTLED = "1"


class SettledLine(NamedTuple):
    """One settled line of an order, in fen; a line that is taken back has negative amounts.

    settled_minor: what the shop gets. commission_minor: what the influencer gets. fee_minor: the platform's.
    """

    order_id: str
    line_id: str
    bill_id: str
    settled_minor: int
    commission_minor: int
    fee_minor: int


async def settled_lines(gateway: DouyinGateway, day: date) -> AsyncIterator[SettledLine]:
    """Every line that was settled on a day in China, the earliest first.

    Raises CommunicationProblem when the platform's cursor stands still.
    """
    place = ("", f"{day.isoformat()} 00:00:00")
    for _ in range(_MOST_PAGES):
        index, start = place
        span = {"start_time": start, "end_time": f"{day.isoformat()} 23:59:59", "time_type": _SETTLED}
        page = await gateway.call(METHOD, {**span, "start_index": index, "size": PAGE_SIZE})
        rows = page.get("data")
        for row in rows if isinstance(rows, list) else ():
            yield _line(mapping(row, "data"))
        if str(page.get("is_end")) == "1" or not rows:
            return
        following = (text(page, "next_start_index", limit=128), text(page, "next_start_time", limit=19))
        if following == place:
            break
        place = following
    raise CommunicationProblem(
        Text("抖店结算账单的翻页没有前进，请人工核对", "Douyin's settlement bill does not move on: check by hand"),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
    )


def _line(row: Mapping[str, Any]) -> SettledLine:
    return SettledLine(
        order_id=text(row, "shop_order_id"),
        line_id=text(row, "order_id"),
        bill_id=text(row, "request_no", limit=128),
        settled_minor=whole_number(row, "settle_amount"),
        commission_minor=whole_number(row, "commission", 0),
        fee_minor=whole_number(row, "platform_service_fee", 0),
    )
