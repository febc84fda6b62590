"""What a `count` adds up: facts of one name, or of several, each by its weight.

count: openings
count: { visits: 1, bookings: '0.5', reviews: 2 }
"""

from collections.abc import Mapping
from typing import Any

from domain.dsl.findings import child
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.exact import WEIGHT
from domain.settlement.scalars import NAME, read_times
from domain.settlement.scheme import DEEDS

MOST_COUNTED = 10


def read_counted(component: Mapping[str, Any], pointer: str, remarks: Remarks) -> tuple[tuple[str, int], ...]:
    """The names and how many ten-thousandths each counts; none with a remark.

    component: as it is written, with or without `count`.
    """
    data, place = component.get("count"), child(pointer, "count")
    if isinstance(data, str) and NAME.fullmatch(data) is not None:
        if data not in DEEDS:
            return ((data, WEIGHT),)
        remarks.error("bad-count", place, Text(f"{data} 直接写 of: {data}", f"Write `of: {data}`"))
        return ()
    if not isinstance(data, Mapping) or not 0 < len(data) <= MOST_COUNTED or not all(map(_is_name, data)):
        text = Text(
            "还要写 count：累计哪一项，例如 openings；几项按权重相加，例如 { visits: 1, bookings: '0.5' }",
            "Say what is counted: `count: openings`, or several by their weights: "
            "`count: { visits: 1, bookings: '0.5' }`",
        )
        remarks.error("bad-count", place if "count" in component else pointer, text)
        return ()
    read = {name: read_times(times, child(place, name), remarks) for name, times in data.items()}
    return tuple((name, weight) for name, weight in read.items() if weight is not None)


def _is_name(said: object) -> bool:
    return isinstance(said, str) and NAME.fullmatch(said) is not None
