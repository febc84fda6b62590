"""What Tandem holds after it was filled, against what the simulated world knows to be true."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel import select

from connectors.loading import load_connectors
from domain.calls import Catalog
from domain.events import rfc3339
from storage.engine import Database
from storage.identities import IdentityRow
from storage.unit_of_work import UnitOfWork

CONNECTORS = load_connectors(Catalog())
PUSHED = frozenset({"youzan", "douyin", "wechat_store", "meituan", "eleme"})
"""Whose whole past is told by pushes; the others are read as far back as they let one."""


def _reaches_back(platform: str) -> timedelta:
    streams = getattr(CONNECTORS[platform].client, "streams", ())
    return min((stream.reaches_back for stream in streams if stream.name == "orders"), default=timedelta(days=3650))


@dataclass(slots=True)
class Accuracy:
    """Of one platform: how many records are true, and how many of them Tandem has, and has right.

    out_of_reach: true ones that the platform shows nobody any more, or never did; they count nowhere else.
    """

    true: int = 0
    out_of_reach: int = 0
    here: int = 0
    amount: int = 0
    status: int = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, name: str, told: str) -> None:
        if len(self.wrong) < 5:
            self.wrong.append(f"{name}: {told}")


@dataclass(frozen=True, slots=True)
class People:
    """Pairs of strong keys: of those that Tandem holds to be one person's, how many are; of those that are, how many it
    knows. reachable: pairs of one person whose keys platforms show together. unconnected: pairs of one person that no
    record of any platform leads from one to the other: nobody can know that they are one person's.
    """

    precision: float
    recall: float
    pairs: int
    false: int
    reachable: int
    unconnected: int
    missed: dict[str, int]


async def pages(simulator: httpx.AsyncClient, what: str, **wanted: str) -> AsyncIterator[dict[str, Any]]:
    """Every row of a true answer."""
    after: int | None = 0
    while after is not None:
        answer = await simulator.get(f"/_sim/truth/{what}", params={**wanted, "after": after, "limit": 5_000})
        page = answer.raise_for_status().json()
        for row in page["rows"]:
            yield row
        after = page["next_after"]


async def orders(simulator: httpx.AsyncClient, database: Database, platforms: Iterable[str]) -> dict[str, Accuracy]:
    """Orders by platform: present, with the right amount, in the right status."""
    async with UnitOfWork(database) as work:
        found = await work.session.execute(text("SELECT account_id, order_id, paid_minor, status FROM orders"))
        here = {(account, number): (paid, status) for account, number, paid, status in found}
    result: dict[str, Accuracy] = {}
    for platform in platforms:
        accuracy = result[platform] = Accuracy()
        oldest = rfc3339(datetime.now(UTC) - _reaches_back(platform) + timedelta(days=1))
        is_pushed = platform in PUSHED
        async for row in pages(simulator, "orders", platform=platform):
            unpaid = platform == "pinduoduo" and not row["was_paid"]  # the platform shows nobody what was never paid
            if unpaid or (not is_pushed and row["updated_at"] < oldest):
                accuracy.out_of_reach += 1
                continue
            accuracy.true += 1
            held = here.get((f"{platform}/{row['account']}", row["order_id"]))
            if held is None:
                accuracy.note(row["order_id"], "missing")
                continue
            accuracy.here += 1
            # What nobody paid has no paid amount that platforms agree on.
            is_paid = bool(row["was_paid"])
            accuracy.amount += not is_paid or held[0] == row["paid_minor"]
            if is_paid and held[0] != row["paid_minor"]:
                accuracy.note(row["order_id"], f"{held[0]} fen, truly {row['paid_minor']}")
            is_right = held[1] == row["status"]
            accuracy.status += is_right
            if not is_right:
                accuracy.note(row["order_id"], f"{held[1]}, truly {row['status']}")
    return result


async def people(simulator: httpx.AsyncClient, database: Database) -> People:
    """How well keys that tell people apart were put together."""
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(select(IdentityRow))
        customer = {(row.kind, row.scope, row.value): row.customer_id for row in rows}
    person: dict[tuple[str, str, str], str] = {}
    cluster: dict[tuple[str, str, str], str] = {}
    async for row in pages(simulator, "identities"):
        key = (row["kind"], row["scope"], row["value"])
        if row["strong"] and key in customer:
            person[key], cluster[key] = row["person"], row["cluster"]
    together: dict[Any, list[tuple[str, str, str]]] = defaultdict(list)
    for key in person:
        together[customer[key]].append(key)
    pairs = [pair for keys in together.values() for pair in combinations(keys, 2)]
    false = sum(person[one] != person[other] for one, other in pairs)
    sizes = Counter(cluster.values())
    joinable = sum(size * (size - 1) // 2 for size in sizes.values())
    known = sum(cluster[one] == cluster[other] for one, other in pairs)
    persons = Counter(person.values())
    of_one = sum(size * (size - 1) // 2 for size in persons.values())
    hanging: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for key, name in cluster.items():
        hanging[name].append(key)
    apart = Counter(
        " – ".join(sorted((_kind_of(one), _kind_of(other))))
        for keys in hanging.values()
        for one, other in combinations(keys, 2)
        if customer[one] != customer[other]
    )
    return People(
        1 - false / len(pairs) if pairs else 1.0,
        known / joinable if joinable else 1.0,
        len(pairs),
        false,
        joinable,
        of_one - joinable,
        dict(apart.most_common(5)),
    )


def _kind_of(key: tuple[str, str, str]) -> str:
    platform = key[1].partition("/")[0]
    return f"{key[0]} ({platform})" if platform else key[0]
