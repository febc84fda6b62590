"""A customer from all sides, over HTTP, while a merchant's whole history is stored."""

import os
import time
from random import Random
from typing import Any

from benchmarks.figures import Figure, percentile
from benchmarks.house import House
from benchmarks.pushes import has_phone, phone_of
from benchmarks.stored import Stored

ORDERS = int(os.environ.get("BENCH_ORDERS", "1000000"))
TITLE = f"Profiles: one customer from all sides over HTTP, {ORDERS:,} orders stored"
NOTE = (
    "ten orders with a line each a customer, half with a coupon; another customer at each call, one call at a time; "
    "BENCH_ORDERS sets how many (10000000 takes some five minutes to fill)"
)
_ORDERS_EACH = 10
_CALLS = 150
_WARM = 10
_AIM_MS = 3_000.0


async def measure(house: House) -> list[Figure]:
    """The profile, a page of its timeline, and searches."""
    begun = time.perf_counter()
    stored = Stored(house.application.database, house.settings.required_database_url(), events=False)
    await stored.grow(ORDERS // _ORDERS_EACH, _ORDERS_EACH)
    filled = time.perf_counter() - begun
    pick = Random(1)
    numbers = [pick.randrange(stored.people // 3) * 3 for _ in range(_CALLS + _WARM)]
    by_phone = await _times(house, [{"phone": phone_of(number)} for number in numbers if has_phone(number)])
    by_order = await _times(house, [{"order": f"P{number}-1"} for number in numbers])
    customers = [await _customer(house, number) for number in numbers]
    profile = await _times(house, [f"/{customer}" for customer in customers])
    timeline = await _times(house, [f"/{customer}/timeline" for customer in customers])
    return [
        *_figures("profile", profile, _AIM_MS),
        *_figures("a page of the timeline", timeline, _AIM_MS),
        *_figures("search by phone", by_phone),
        *_figures("search by order number", by_order),
        Figure("filled by COPY and SQL", [ORDERS / filled], "orders/s"),
    ]


def _figures(name: str, times: list[float], aim: float | None = None) -> list[Figure]:
    return [
        Figure(f"{name}, p50", [percentile(times, 0.5)], "ms", "lower"),
        Figure("  p95", [percentile(times, 0.95)], "ms", "lower", aim=aim),
    ]


async def _times(house: House, asked: list[Any]) -> list[float]:
    """Milliseconds of each call, the first ones left out; a path, or the words of a search."""
    times = []
    for each in asked:
        path, params = (each, None) if isinstance(each, str) else ("", each)
        begun = time.perf_counter()
        (await house.api.get(f"/api/v1/customers{path}", params=params)).raise_for_status()
        times.append((time.perf_counter() - begun) * 1_000)
    return times[_WARM:]


async def _customer(house: House, number: int) -> str:
    answer = await house.api.get("/api/v1/customers", params={"phone": phone_of(number)})
    return str(answer.raise_for_status().json()["items"][0]["customer"])
