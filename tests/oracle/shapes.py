"""Every shape that a scheme may have, as schemes: each base by each formula that fits it, and all that goes with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.oracle.books import Cycle

MONTH = date(2026, 11, 1)
"""November: the festival's days of the schemes that come along are in it."""
_SHIPPED = Path("definitions/schemes")
_MONEY, _COUNTS = (
    ("paid", "kept", "fx-difference"),
    ("quantity", "orders", "visits", "reviews", "bookings", "count", "score"),
)
_LINES = ("paid", "kept", "quantity", "orders", "fx-difference")
_MONEY_TIERS = [
    {"from": "0.00", "rate": "5%"},
    {"from": "1000.00", "rate": "6.25%"},
    {"from": "20000.00", "rate": "8.3333%"},
    {"from": "50000.00", "rate": "3%"},
]
_COUNT_TIERS = [{"from": 0, "each": "0.37"}, {"from": 5, "each": "1.00"}, {"from": 40, "each": "0.55"}]
_MONEY_STEPS = [{"from": "500.00", "pays": "5.00"}, {"from": "9999.99", "pays": "88.88"}]
_COUNT_STEPS = [{"from": 3, "pays": "1.50"}, {"from": 30, "pays": "20.00"}, {"from": 90, "pays": "99.99"}]
_ROUNDINGS = ("half-away", "half-even", "down", "up")
_GRAINS = ("0.01", "0.05", "0.10", "1.00")
_FACTOR = {
    "score": "quality",
    "steps": [{"from": 40, "times": "0.8"}, {"from": 70, "times": 1}, {"from": 90, "times": "1.2345"}],
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A scheme, and the periods it is computed for."""

    name: str
    text: str
    days: Sequence[date] = (MONTH,)
    cycle: Cycle | None = None


def all_shapes() -> list[Shape]:
    """In the order of the table."""
    return [*_by_base(), *_by_formula(), *_by_line_tests(), *_by_the_rest(), *_by_rounding(), *_by_cycle(), *_shipped()]


def _by_base() -> Iterator[Shape]:
    for base in (*_MONEY, *_COUNTS):
        how = {"rate": "7.7777%"} if base in _MONEY else {"each": "1.23"}
        yield _shape(f"base {base}", [_of(base, **how)])
    yield _shape("base period", [{"fixed": "3000.00"}])


def _by_formula() -> Iterator[Shape]:
    """Each with every base that it may have; FX differences are earned in proportion only."""
    money = _MONEY[:2]
    yield _shape("rate", [_of(base, rate=rate) for base in _MONEY for rate in ("5%", "0.0001%", "100%", "0%")])
    yield _shape("each", [_of(base, each=each) for base in _COUNTS for each in ("0.01", "8.00")])
    for kind in ("graduated", "volume"):
        yield _shape(
            kind,
            [
                *(_of(base, tiers={kind: _MONEY_TIERS}) for base in money),
                *(_of(base, tiers={kind: _COUNT_TIERS}) for base in _COUNTS),
            ],
        )
    for kind in ("graduated", "volume"):
        of_money, of_counts = {kind: _with_flats(_MONEY_TIERS)}, {kind: _with_flats(_COUNT_TIERS)}
        yield _shape(
            f"{kind} with flat fees",
            [*(_of(base, tiers=of_money) for base in money), *(_of(base, tiers=of_counts) for base in _COUNTS)],
        )
    packages = [{"size": 1, "price": "0.99"}, {"size": 10, "price": "5.00", "free": 7}, {"size": 3, "price": "1.00"}]
    yield _shape("package", [_of(base, package=each) for base in _COUNTS for each in packages])
    for every in (False, True):
        yield _shape(
            "bonus of every step" if every else "bonus of the highest step",
            [
                *(_of(base, bonus={"steps": _MONEY_STEPS, "each": every}) for base in money),
                *(_of(base, bonus={"steps": _COUNT_STEPS, "each": every}) for base in _COUNTS),
            ],
        )
    yield _shape("fixed", [{"fixed": "0.01"}, {"fixed": "88.00", "roles": ["city"]}])


def _by_line_tests() -> Iterator[Shape]:
    tests: dict[str, list[Mapping[str, Any]]] = {
        "platform": [{"platform": "douyin"}, {"platform": ["douyin", "youzan"]}],
        "shop": [{"shop": "douyin/one"}, {"shop": ["douyin/one", "youzan/flagship", "nowhere/none"]}],
        "channel": [{"channel": "live"}, {"channel": ["short_video", "unheard-of"]}, {"channel": ["unheard-of"]}],
        "influencer": [{"influencer": ["douyin/1", "douyin/2"]}],
        "category": [{"category": ["coat", "保税"]}],
        "article": [{"article": ["a1", "a2", "a3"]}],
        "first": [{"first": True}, {"first": False}],
        "bonded": [{"bonded": True}, {"bonded": False}],
        "order-amount": [
            {"order-amount": {"at-least": "500.00"}},
            {"order-amount": {"less-than": "123.45"}},
            {"order-amount": {"at-least": "100.00", "less-than": "1000.00"}},
        ],
        "several": [{"channel": ["live"], "first": True, "order-amount": {"at-least": "50.00"}, "bonded": False}],
    }
    for name, wheres in tests.items():
        bases = [base for base in _LINES for _ in wheres]
        hows = [{"rate": "3.3%"} if base in _MONEY else {"each": "0.77"} for base in bases]
        wanted = [where for _ in _LINES for where in wheres]
        yield _shape(
            f"where {name}",
            [_of(base, where=where, **how) for base, where, how in zip(bases, wanted, hows, strict=True)],
        )


def _by_the_rest() -> Iterator[Shape]:
    weights = [
        {"where": {"first": True, "channel": ["live"]}, "times": "1.5"},
        {"where": {"order-amount": {"at-least": "800.00"}}, "times": "0.3333"},
        {"where": {"category": "shoe"}, "times": 2},
    ]
    days = {"from": date(2026, 11, 3), "until": date(2026, 11, 12)}
    hows: dict[str, Mapping[str, Any]] = {base: {"rate": "4.44%"} for base in _MONEY}
    hows |= {base: {"each": "0.77"} for base in _COUNTS}
    weighted = [_of(base, weights=weights, **hows[base]) for base in _LINES]
    tiered = _of("quantity", weights=weights, tiers={"graduated": _COUNT_TIERS})
    triggers = {"visits": 1, "bookings": "0.5", "reviews": "1.3333", "openings": 2}
    mixed = _of("count", count=triggers, tiers={"graduated": _COUNT_TIERS})
    mixed_within = _of("count", count=triggers, days=days, each="0.77")
    packed = _of("orders", weights=weights, package={"size": 3, "price": "9.00"})
    yield _shape("weights", [*weighted, tiered, mixed, mixed_within, packed])
    yield _shape(
        "days", [_of(base, days=days, **hows[base]) for base in (*_LINES, "visits", "reviews", "bookings", "count")]
    )
    yield _shape("factor", [_of(base, factor=_FACTOR, **hows[base]) for base in (*_LINES, "visits", "score")])
    bounds = {"floor": "3.00", "cap": "45.67"}
    yield _shape("floor and cap of each", [_of(base, **bounds, **hows[base]) for base in (*_MONEY, *_COUNTS)])
    earned, taken = _of("kept", rate="2%"), [_of(each, deducts=True, **hows[each]) for each in (*_MONEY, "orders")]
    capped = _of("orders", each="3.50", cap="7.00", deducts=True)
    yield _shape("deducts", [earned, *taken, {"fixed": "5.00", "deducts": True}, capped])
    yield _shape("floor of the scheme", [earned, *taken], floor="1.00")
    yield _shape("cap of the scheme", [earned, *taken], cap="250.00")
    yield _shape("floor and cap of the scheme", [earned, *taken], floor="0.00", cap="99.99")
    line = [_of(base, grain="line", **hows[base]) for base in _LINES]
    more = [_of(base, grain="line", weights=weights, days=days, factor=_FACTOR, **hows[base]) for base in _LINES]
    yield _shape("grain line", [*line, *more])
    levels = [_of(base, level=1, **hows[base]) for base in ("paid", "kept", "quantity", "orders")]
    tiered = _of("kept", level=1, tiers={"graduated": _MONEY_TIERS}, where={"first": True}, roles=["city"])
    yield _shape("level 1", [*levels, tiered, _of("kept", rate="5%")])
    overrides: list[dict[str, Any]] = [
        {"overrides": {"of": "c0", "levels": ["30%"]}},
        {"overrides": {"of": "c1", "levels": ["12.3456%"]}, "roles": ["city", "city-agent"], "factor": _FACTOR},
        {"overrides": {"of": "c2", "levels": ["50%"]}, "cap": "20.00", "floor": "0.50"},
    ]
    base = [_of("kept", tiers={"graduated": _MONEY_TIERS}), _of("orders", each="1.11", cap="30.00"), {"fixed": "10.00"}]
    yield _shape("overrides", [*base, *overrides])
    deep = [
        {"overrides": {"of": "c0", "levels": ["10%", "5%"]}},
        {"overrides": {"of": "c1", "levels": ["33.3333%", "0%"]}},
        _of("kept", level=2, rate="1%"),
        _of("quantity", level=1, each="0.10"),
    ]
    yield _shape("three levels, allowed by setting", [*base, *deep], levels=3)
    yield _shape("orders that were paid", [_of(base, **hows[base]) for base in _LINES], counts="paid")
    yield _shape("some roles only", [_of("kept", rate="5%", roles="city")], payees={"roles": ["city", "promoter"]})


def _by_rounding() -> Iterator[Shape]:
    for rule in _ROUNDINGS:
        for grain in _GRAINS:
            components = [
                _of("kept", rate="2.5%"),
                _of("kept", rate="2.5%", grain="line"),
                _of("fx-difference", rate="50%"),
                _of("score", score="quality", each="0.15", factor=_FACTOR),
                {"overrides": {"of": "c0", "levels": ["50%"]}},
            ]
            yield _shape(f"rounding {rule} to {grain}", components, rounding={"rule": rule, "grain": grain})


def _by_cycle() -> Iterator[Shape]:
    components = [
        _of("kept", tiers={"graduated": _MONEY_TIERS}),
        _of("fx-difference", rate="100%"),
        _of("visits", each="2.00"),
        {"fixed": "6.66"},
        {"overrides": {"of": "c0", "levels": ["20%"]}},
    ]
    days = {
        "day": [MONTH + timedelta(days=number) for number in range(30)],
        "week": [MONTH + timedelta(days=7 * number) for number in range(6)],
        "half-month": [MONTH, MONTH + timedelta(days=15)],
        "month": [MONTH],
    }
    for cycle, each in days.items():
        yield _shape(f"cycle {cycle}", components, days=each, cycle=cycle)
    own = _shape("cycle of their own", components)
    yield Shape(own.name, own.text, days["week"], "week")


def _shipped() -> Iterator[Shape]:
    """Those that come along, for their own cycle."""
    days = {"week": [MONTH + timedelta(days=7 * number) for number in range(6)]}
    days |= {"half-month": [MONTH, MONTH + timedelta(days=15)], "month": [MONTH]}
    for path in sorted(_SHIPPED.glob("*.yaml")):
        text = path.read_text("utf-8")
        yield Shape(f"definitions/schemes/{path.name}", text, days[yaml.safe_load(text)["scheme"]["cycle"]])


def _of(base: str, **more: Any) -> dict[str, Any]:
    named = {"score": {"score": "quality"}, "count": {"count": "openings"}}
    return {"of": base, **named.get(base, {}), **more}


def _shape(name: str, earns: Sequence[Mapping[str, Any]], *, days: Sequence[date] = (MONTH,), **more: Any) -> Shape:
    head = {
        "name": "".join(each if each.isalnum() else "-" for each in name).strip("-")[:40],
        "title": name,
        "cycle": "month",
        "from": date(2026, 1, 1),
    }
    components = [{"name": f"c{number}", "title": f"c{number}", **each} for number, each in enumerate(earns)]
    text = yaml.safe_dump({"scheme": {**head, **more, "earns": components}}, allow_unicode=True, sort_keys=False)
    return Shape(name, text, days)


def _with_flats(tiers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [{**each, "flat": f"{place}.5{place}"} for place, each in enumerate(tiers, 1)]
