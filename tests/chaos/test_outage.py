"""The judge of `make outage` complains of a loss, a double, a missing amount, a slow shop, and of no outage at all."""

from dataclasses import replace

import pytest

from tests.chaos.outage import PHASES, PLATFORMS, Here, Sale, Story, departures, not_away, slow

AWAY = "douyin"
STORY = Story(
    sales=[
        Sale(platform, f"{platform}-{phase}", 100.0 + 100 * number, phase)
        for platform in PLATFORMS
        for number, phase in enumerate(PHASES)
    ],
    away_at=180.0,
    back_at=380.0,
)
TRUTH = {sale.order_id: ("paid", 9900) for sale in STORY.sales}


def here() -> Here:
    """All of it, within half a second of its payment or of the platform's return."""
    rows: dict[tuple[str, str], tuple[str, int | None]] = {
        (sale.platform, sale.order_id): ("paid", 9900) for sale in STORY.sales
    }
    events = {}
    for sale in STORY.sales:
        silent = sale.platform == AWAY and sale.phase in ("away", "killed")
        events[sale.platform, sale.order_id] = ((STORY.back_at if silent else sale.paid_at) + 0.5, 1)
    return Here(rows, events)


def found(changed: Here, story: Story = STORY) -> list[str]:
    return [
        *departures(story.sales, TRUTH, changed),
        *slow(story.sales, changed, AWAY),
        *not_away(story, changed, AWAY),
    ]


def test_what_is_all_right_is_not_complained_of() -> None:
    assert found(here()) == []


@pytest.mark.parametrize("row", [None, ("paid", None), ("paid", 1), ("unpaid", 9900)])
def test_an_order_that_is_lost_or_otherwise_is_a_complaint(row: tuple[str, int | None] | None) -> None:
    changed = here()
    del changed.rows["eleme", "eleme-away"]
    if row is not None:
        changed.rows["eleme", "eleme-away"] = row
    assert found(changed) == [f"eleme eleme-away: here {row}, in truth paid, 9900"]


def test_a_payment_told_twice_or_by_another_shop_is_a_complaint() -> None:
    changed = here()
    changed.events["youzan", "youzan-killed"] = (300.5, 2)
    assert found(changed) == ["youzan youzan-killed: 2 events tell of its payment"]
    changed = here()
    changed.rows["meituan", "eleme-away"] = changed.rows.pop(("eleme", "eleme-away"))
    assert found(changed) == ["eleme eleme-away: here None, in truth paid, 9900"]


@pytest.mark.parametrize(("shop", "phase"), [("eleme", "away"), ("eleme", "after"), (AWAY, "after")])
def test_a_shop_that_is_slower_than_before_is_a_complaint(shop: str, phase: str) -> None:
    changed = here()
    at, count = changed.events[shop, f"{shop}-{phase}"]
    changed.events[shop, f"{shop}-{phase}"] = (at + 2, count)
    assert found(changed) == [f"{shop}: 2.5 s (median) when paid {phase}, 1.5 s at most"]


def test_a_lag_that_nobody_could_measure_is_a_complaint() -> None:
    without = replace(STORY, sales=[sale for sale in STORY.sales if (sale.platform, sale.phase) != ("eleme", "before")])
    assert [line for line in found(here(), without) if "is not known" in line]


def test_a_platform_that_was_not_away_is_a_complaint() -> None:
    changed = here()
    changed.events[AWAY, f"{AWAY}-away"] = (200.5, 1)
    assert found(changed) == [f"{AWAY} {AWAY}-away: heard of 179.5 s before the platform was back"]
    nothing = replace(STORY, sales=[sale for sale in STORY.sales if sale.platform != AWAY or sale.phase == "before"])
    assert f"{AWAY}: nothing was paid while it was away, so nothing was shown" in found(here(), nothing)
