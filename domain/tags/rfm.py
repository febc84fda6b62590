"""RFM: how lately, how often and for how much somebody bought, each ranked against everybody else.

    rfm:
      within: P365D
      quantiles: [20, 40, 60, 80]
      segments:
        - { name: 重要价值, r: 4, f: 4, m: 4 }
        - { name: 重要挽留, m: 4 }
        - { name: 一般 }

With four quantiles each score is 1 to 5: it is one more for each value at a quantile that somebody is better than. So
no more than a fifth have 5 for orders or money, however many have the same: where two thirds bought once, they have 1.
Days are counted whole and lie close together, so a day itself counts as better: who bought on it has its score.

Once the values at the quantiles are known, a segment is a stage like any other: so it follows every order, and the mere
passing of time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.dsl.findings import child
from domain.money import HOME_CURRENCY
from domain.problems import Text
from domain.remarks import Remarks
from domain.tags.conditions import Bounds, Group, Leaf, Measure, RecordTest
from domain.tags.facts import PAID_STATUSES
from domain.tags.reading import read_length

MOST_SEGMENTS = 30
_PAID = (RecordTest("status", "in", PAID_STATUSES),)
_PAID_AT_HOME = (*_PAID, RecordTest("currency", "in", (HOME_CURRENCY,)))
_KEYS = ("within", "quantiles", "segments")
_SCORES = ("r", "f", "m")


@dataclass(frozen=True, slots=True)
class Segment:
    """The least scores that belong to a word; 1 asks for nothing."""

    name: str
    r: int = 1
    f: int = 1
    m: int = 1


@dataclass(frozen=True, slots=True)
class Rfm:
    """quantiles: in percent, rising."""

    within: timedelta
    quantiles: tuple[int, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Breaks:
    """The values at the quantiles: days since the last order, falling; orders; kept money in minor units."""

    days: tuple[int, ...]
    orders: tuple[int, ...]
    kept_minor: tuple[int, ...]


def read_rfm(data: Any, place: str, remarks: Remarks) -> Rfm | None:
    """The scheme, None with remarks when it cannot be read."""
    if not isinstance(data, Mapping):
        remarks.error(
            "bad-value", place, Text("rfm 下面要写 within、quantiles、segments", "`rfm` needs its keys below it")
        )
        return None
    before = len(remarks.found)
    remarks.unknown_keys(data, _KEYS, place)
    within = read_length(data.get("within"), child(place, "within"), remarks)
    quantiles = _quantiles(data.get("quantiles"), child(place, "quantiles"), remarks)
    segments = _segments(data.get("segments"), len(quantiles) + 1, child(place, "segments"), remarks)
    if within is None or len(remarks.found) > before:
        return None
    return Rfm(within, quantiles, segments)


def condition_of(segment: Segment, rfm: Rfm, breaks: Breaks) -> Group | None:
    """What a customer has to meet to be in the segment; None for the segment of everybody else."""
    parts: list[Leaf] = []
    if segment.r > 1:
        parts.append(_leaf(rfm, "latest", "at", Bounds(newer=timedelta(days=breaks.days[segment.r - 2]))))
    if segment.f > 1:
        parts.append(_leaf(rfm, "count", "", Bounds(low=breaks.orders[segment.f - 2] + 1)))
    if segment.m > 1:
        parts.append(_leaf(rfm, "sum", "kept", Bounds(low=breaks.kept_minor[segment.m - 2] + 1)))
    return Group("all", tuple(parts)) if parts else None


def _leaf(rfm: Rfm, measure: Measure, of: str, bounds: Bounds) -> Leaf:
    tests = _PAID_AT_HOME if of == "kept" else _PAID
    return Leaf("orders", tests, rfm.within, measure, of, bounds, "/rfm")


def _quantiles(data: Any, place: str, remarks: Remarks) -> tuple[int, ...]:
    given = data if isinstance(data, list) else []
    whole = [each for each in given if isinstance(each, int) and not isinstance(each, bool) and 0 < each < 100]
    if not 1 <= len(given) <= 9 or len(whole) < len(given) or sorted(set(whole)) != whole:
        text = Text(
            "quantiles 要写 1 到 9 个递增的百分位，例如 [20, 40, 60, 80]",
            "`quantiles` is 1 to 9 rising percentages, such as [20, 40, 60, 80]",
        )
        remarks.error("bad-value", place, text)
    return tuple(whole)


def _segments(data: Any, highest: int, place: str, remarks: Remarks) -> tuple[Segment, ...]:
    found: list[Segment] = []
    for index, item in enumerate(data if isinstance(data, list) else ()):
        scores = {key: item.get(key, 1) for key in _SCORES} if isinstance(item, Mapping) else {}
        is_right = bool(scores) and all(type(each) is int and 1 <= each <= highest for each in scores.values())
        if isinstance(item, Mapping):
            remarks.unknown_keys(item, ("name", *_SCORES), child(place, index))
        if is_right and isinstance(item.get("name"), str):
            found.append(Segment(item["name"], **scores))
            continue
        text = Text(
            f"一段要写 name，r、f、m 为 1 到 {highest} 的整数", f"A segment has a name, and r, f, m of 1 to {highest}"
        )
        remarks.error("bad-value", child(place, index), text)
    if not 1 <= len(found) <= MOST_SEGMENTS:
        text = Text(f"segments 要写 1 到 {MOST_SEGMENTS} 段", f"`segments` is a list of 1 to {MOST_SEGMENTS}")
        remarks.error("bad-value", place, text)
    return tuple(found)
