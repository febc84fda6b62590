"""`python -m tests.chaos.outage [--outage-s 3600]`: a platform is away, worker and database die, and nothing is lost.

A Tandem of its own is told of orders by five shops at a steady pace; each is paid a moment after it was placed. One
platform goes away: its shop goes on selling, and tells of it when it is back. Meanwhile the worker is killed, then the
database. The exit code is 1 unless in the end every order is here exactly once, in the state and of the amount that its
platform knows, the one shop really was silent, the others were taken in as fast as before, and all are so afterwards.
The table shows by platform how long it took from the payment until it was taken in.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from psycopg.rows import tuple_row

from tests.chaos.house import House, HouseProblem
from tests.chaos.table import table

PLATFORMS = ("youzan", "douyin", "wechat_store", "meituan", "eleme")
PHASES = ("before", "away", "killed", "after")
_BACK_WITHIN_S = 90.0
_PAID_AFTER_S = 1.0
_LAG_S = 1.0
_LAG_TIMES = 3.0
"""What a shop's median lag may be while another is away, and after: a second, or so many times what it was before."""
_EDGE_S = 2.0
"""Pushes under way when a platform goes away, or waiting when it comes back, are told within this time."""
_TOLD = """
    SELECT split_part(account_id, '/', 1), order_id, status, paid_minor FROM orders WHERE order_id = ANY(%s)
"""
# The instant at which the batch that took an event in began.
_HEARD = """
    SELECT split_part(source, '/', 2), split_part(subjects[1], ':', 2), extract(epoch FROM min(received_at))::float8,
        count(*)
    FROM events WHERE type = 'tandem.order.paid' AND subjects[1] = ANY(%s) GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Sale:
    """An order that was paid: when (Unix), and in which phase."""

    platform: str
    order_id: str
    paid_at: float
    phase: str


@dataclass(slots=True)
class Times:
    """How long the parts take, in seconds. rate: orders a second over all platforms."""

    before: float
    away: float
    after: float
    ends: float
    rate: float


@dataclass(slots=True)
class Story:
    """What happened. phase: that of orders made now. away_at, back_at: when the platform left and was back (Unix)."""

    phase: str = "before"
    away_at: float = 0.0
    back_at: float = 0.0
    sales: list[Sale] = field(default_factory=list)
    kills: list[tuple[str, float | None]] = field(default_factory=list)


class Shops:
    """The simulator's shops, one of each platform, and their buyers."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._shops: dict[str, str] = {}
        self._buyers: list[str] = []

    async def open(self) -> None:
        for account in (await self._call("GET", "/accounts"))["accounts"]:
            if account["platform"] in PLATFORMS:
                self._shops.setdefault(account["platform"], account["account"])
        found = await self._call("GET", "/customers", params={"limit": 1000})
        self._buyers = [customer["id"] for customer in found["customers"]]

    async def sell(self, number: int, story: Story) -> None:
        """One order, at the platforms in turn, and its payment; the pushes of both follow."""
        platform = PLATFORMS[number % len(PLATFORMS)]
        buyer = self._buyers[number % len(self._buyers)]
        wanted = {"shop": self._shops[platform], "customer_id": buyer, "status": "unpaid"}
        made = await self._call("POST", "/orders", json=wanted)
        await asyncio.sleep(_PAID_AFTER_S)
        phase, paid_at = story.phase, time.time()
        await self._call("POST", f"/orders/{made['id']}/steps", json={"step": "pay"})
        story.sales.append(Sale(platform, made["id"], paid_at, phase))

    async def truth(self, sales: Sequence[Sale]) -> dict[str, tuple[str, int]]:
        """Status and amount of each order as its platform knows them now."""
        found = {}
        for sale in sales:
            order = await self._call("GET", f"/orders/{sale.order_id}")
            found[sale.order_id] = (order["status"], order["paid_minor"])
        return found

    async def take_away(self, platform: str, for_s: float) -> None:
        """Nobody reaches the platform for so long, and it tells nobody anything."""
        rule = {"match": {"platform": platform}, "fault": "down", "for_s": for_s}
        await self._call("PUT", "/faults", json={"rules": [rule]})

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        return (await self._http.request(method, f"/_sim{path}", **more)).raise_for_status().json()


async def prove(times: Times, platform: str) -> int:
    """0 when nothing was lost, doubled or changed."""
    began, story = time.monotonic(), Story()
    async with House() as house:
        # A connection for each request: one that lay still is closed by the simulator in the moment it is used again.
        once = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=house.simulator_url, timeout=30, trust_env=False, limits=once) as http:
            shops = Shops(http)
            await shops.open()
            _say(began, f"{len(PLATFORMS)} shops sell {times.rate:g} orders a second")
            selling = asyncio.create_task(_sell(shops, story, times))
            await asyncio.sleep(times.before)
            story.away_at = time.time()
            await shops.take_away(platform, times.away)
            # The simulator counts from when it was told.
            story.back_at = time.time() + times.away
            story.phase = "away"
            _say(began, f"{platform} is away for {times.away:g} s")
            await _kill_meanwhile(house, story, times, began)
            story.phase = "after"
            _say(began, f"{platform} is back")
            await selling
            _say(began, f"{len(story.sales)} orders were paid; waiting for what is under way")
            here, wrong = await _until_all_is_right(house, shops, story.sales, times.ends)
            wrong += slow(story.sales, here, platform)
            wrong += not_away(story, here, platform)
        tail = house.tail()
    if house.leftovers or house.exit_code != 0:
        print(f"stopping: exit code {house.exit_code}, left behind {house.leftovers}\n{tail}")
    _show(story, here, platform)
    for line in wrong[:20]:
        print(f"EXCEPTION {line}")
    if wrong or house.leftovers or any(back is None for _, back in story.kills):
        print(f"\nFAILED in {time.monotonic() - began:.0f} s; its data and logs stay in {house.data_dir}")
        return 1
    house.forget()
    print(f"\nPASSED in {time.monotonic() - began:.0f} s")
    return 0


async def _sell(shops: Shops, story: Story, times: Times) -> None:
    began, total = time.monotonic(), times.before + times.away + times.after
    selling: list[asyncio.Task[None]] = []
    for number in range(round(times.rate * total)):
        await asyncio.sleep(max(0.0, began + number / times.rate - time.monotonic()))
        selling.append(asyncio.create_task(shops.sell(number, story)))
    await asyncio.gather(*selling)


async def _kill_meanwhile(house: House, story: Story, times: Times, began: float) -> None:
    """The first half of the time nothing else happens; then the worker dies, then the database with its backends."""
    end = time.monotonic() + times.away
    await asyncio.sleep(times.away / 2)
    for name in ("worker", "PostgreSQL"):
        story.phase = "killed"
        struck = time.monotonic()
        house.kill(name, with_children=name == "PostgreSQL")
        back = await _back(house, name, struck)
        story.kills.append((name, back))
        _say(began, f"{name} was killed, and back after {back if back is None else round(back, 1)} s")
        await asyncio.sleep(2)
    await asyncio.sleep(max(0.0, end - time.monotonic()))


async def _back(house: House, name: str, struck: float) -> float | None:
    while time.monotonic() < struck + _BACK_WITHIN_S and house.running:
        for each in house.returned:
            if each.name == name and each.at > struck:
                return each.at - struck
        await asyncio.sleep(0.05)
    return None


@dataclass(slots=True)
class Here:
    """What Tandem has. rows: status and amount by platform and order; events: when that of the payment was taken in
    (Unix), and how many tell of it."""

    rows: dict[tuple[str, str], tuple[str, int | None]]
    events: dict[tuple[str, str], tuple[float, int]]


async def _until_all_is_right(
    house: House, shops: Shops, sales: Sequence[Sale], ends_s: float
) -> tuple[Here, list[str]]:
    """What is here in the end, and every departure from the truth; the first moment without any is the end."""
    end = time.monotonic() + ends_s
    while True:
        rows = await _ask(house, _TOLD, [sale.order_id for sale in sales])
        events = await _ask(house, _HEARD, [f"order:{sale.order_id}" for sale in sales])
        here = Here(
            {(platform, order): (status, paid) for platform, order, status, paid in rows},
            {(platform, order): (at, count) for platform, order, at, count in events},
        )
        wrong = list(departures(sales, await shops.truth(sales), here))
        if not wrong or time.monotonic() > end:
            return here, wrong
        await asyncio.sleep(2)


def departures(sales: Sequence[Sale], truth: Mapping[str, tuple[str, int]], here: Here) -> Iterator[str]:
    """Orders that are missing, otherwise than their platform knows them, or whose payment was not told once.

    A platform whose pushes are short tells the amount when it is asked.
    """
    for sale in sales:
        name, (status, paid) = (sale.platform, sale.order_id), truth[sale.order_id]
        found = here.rows.get(name)
        if found != (status, paid):
            yield f"{sale.platform} {sale.order_id}: here {found}, in truth {status}, {paid}"
        if (count := here.events.get(name, (0.0, 0))[1]) != 1:
            yield f"{sale.platform} {sale.order_id}: {count} events tell of its payment"


def slow(sales: Sequence[Sale], here: Here, away: str) -> Iterator[str]:
    """Shops that were slower while another was away, and those, the one that was away too, that are slow after."""
    lags = _lags(sales, here)
    for platform in PLATFORMS:
        phases = ("after",) if platform == away else ("away", "after")
        if missing := [phase for phase in ("before", *phases) if not lags[platform, phase]]:
            yield f"{platform}: no order of the time {' and '.join(missing)} was taken in, so its lag is not known"
            continue
        most = max(_LAG_S, _LAG_TIMES * statistics.median(lags[platform, "before"]))
        for phase in phases:
            if (median := statistics.median(lags[platform, phase])) > most:
                yield f"{platform}: {median:.1f} s (median) when paid {phase}, {most:.1f} s at most"


def not_away(story: Story, here: Here, away: str) -> Iterator[str]:
    """What was heard of a platform while nobody should have heard of it."""
    silent = [
        sale
        for sale in story.sales
        if sale.platform == away and story.away_at + _EDGE_S < sale.paid_at < story.back_at - _EDGE_S
    ]
    if not silent:
        yield f"{away}: nothing was paid while it was away, so nothing was shown"
    for sale in silent:
        heard = here.events.get((away, sale.order_id))
        if heard is not None and heard[0] < story.back_at - _EDGE_S:
            yield f"{away} {sale.order_id}: heard of {story.back_at - heard[0]:.1f} s before the platform was back"


def _lags(sales: Sequence[Sale], here: Here) -> dict[tuple[str, str], list[float]]:
    """Seconds from a payment until it was taken in, by platform and phase."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for sale in sales:
        if (heard := here.events.get((sale.platform, sale.order_id))) is not None:
            found[sale.platform, sale.phase].append(max(0.0, heard[0] - sale.paid_at))
    return found


async def _ask(house: House, statement: str, values: list[str]) -> list[tuple[Any, ...]]:
    url = house.addresses().database_url
    async with await psycopg.AsyncConnection.connect(url, row_factory=tuple_row) as connection:
        return await (await connection.execute(statement.encode(), (values,))).fetchall()


def _show(story: Story, here: Here, away: str) -> None:
    rows: list[list[object]] = []
    for platform in PLATFORMS:
        sales = [sale for sale in story.sales if sale.platform == platform]
        names = [(platform, sale.order_id) for sale in sales]
        stored = sum(name in here.rows for name in names)
        doubled = sum(here.events.get(name, (0.0, 0))[1] > 1 for name in names)
        lags = _lags(sales, here)
        shown = [_quantiles(lags[platform, phase]) for phase in PHASES]
        shop = f"{platform} (away)" if platform == away else platform
        rows.append([shop, len(sales), stored, len(sales) - stored, doubled, *shown])
    print("\norders, and seconds from payment to being taken in (median / slowest), by when they were paid")
    print(table(["platform", "paid", "stored", "lost", "doubled", *PHASES], rows))
    print("\nkills: " + ", ".join(f"{name} back after {back or 0:.1f} s" for name, back in story.kills))


def _quantiles(lags: Sequence[float]) -> str:
    if not lags:
        return "-"
    ordered = sorted(lags)
    return f"{ordered[len(ordered) // 2]:.1f} / {ordered[-1]:.1f}"


def _say(began: float, sentence: str) -> None:
    print(f"[{time.monotonic() - began:6.1f}s] {sentence}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos.outage", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--platform", choices=PLATFORMS, default="douyin", help="who goes away")
    parser.add_argument("--outage-s", type=float, default=60, help="for how long (an hour: 3600; default 60)")
    parser.add_argument("--around-s", type=float, default=30, help="how long before and after (default 30)")
    parser.add_argument("--rate", type=float, default=10, help="orders a second over all platforms (default 10)")
    parser.add_argument("--ends-s", type=float, default=600, help="how long to wait for the last order (default 600)")
    chosen = parser.parse_args()
    times = Times(chosen.around_s, chosen.outage_s, chosen.around_s, chosen.ends_s, chosen.rate)
    try:
        return asyncio.run(prove(times, chosen.platform))
    except HouseProblem as problem:
        print(problem)
        return 1


if __name__ == "__main__":
    sys.exit(main())
