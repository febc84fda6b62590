"""What Tandem holds after it was filled, against what the simulated world knows to be true."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, NamedTuple

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
_PUSHES_NAME_NOBODY = frozenset({"douyin"})
"""Whose pushes tell all of an order but its buyer: the list does, as far as it reaches back."""
_COUPONS_TELL_NOBODY_ELSE = frozenset({"wechat_store"})
"""Whose pushes about coupons name the buyer within the shop alone, and who answer no question about buyers."""
_NO_SHOPS = frozenset({"official_account", "wecom"})


def _reaches_back(platform: str) -> timedelta:
    streams = getattr(CONNECTORS[platform].client, "streams", ())
    return min((stream.reaches_back for stream in streams if stream.name == "orders"), default=timedelta(days=3650))


def listed_since(platform: str, now: datetime) -> datetime:
    """From when on a platform's list of orders shows what changed, a day left for reading it."""
    return now - _reaches_back(platform) + timedelta(days=1)


@dataclass(slots=True)
class Judged:
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


@dataclass(slots=True)
class Accuracy(Judged):
    """Of orders. owner: how many belong to the person who bought, and to nobody else; where a platform does not tell
    who that is, to nobody else."""

    owner: int = 0


class Held(NamedTuple):
    """An order as Tandem holds it; customer: whose it is."""

    account: str
    order_id: str
    paid_minor: int | None
    status: str
    customer: Any = None


Key = tuple[str, str, str]
"""Kind, scope and value of an identity."""


class Joined(NamedTuple):
    """Of pairs of strong keys one of which is a platform's own: those held to be one person's, those among them that
    are, those that are and that platforms show together, and how many of these are known."""

    pairs: int
    true: int
    reachable: int
    known: int


@dataclass(frozen=True, slots=True)
class People:
    """Pairs of strong keys: of those that Tandem holds to be one person's, how many are; of those that are, how many it
    knows. reachable: pairs of one person whose keys platforms show together, be the keys here or not. absent: keys of
    such pairs that Tandem does not hold. unconnected: pairs of one person that no record of any platform leads from one
    to the other: nobody can know that they are one person's. out_of_reach: keys that only orders or
    visits out of reach show: they count nowhere.
    """

    precision: float
    recall: float
    pairs: int
    false: int
    reachable: int
    absent: int
    unconnected: int
    out_of_reach: int
    missed: dict[str, int]
    by_platform: dict[str, Joined]


async def pages(simulator: httpx.AsyncClient, what: str) -> AsyncIterator[dict[str, Any]]:
    """Every row of a true answer."""
    after: int | None = 0
    while after is not None:
        answer = await simulator.get(f"/_sim/truth/{what}", params={"after": after, "limit": 5_000})
        page = answer.raise_for_status().json()
        for row in page["rows"]:
            yield row
        after = page["next_after"]


async def held_orders(database: Database) -> list[Held]:
    """Every order that Tandem holds."""
    async with UnitOfWork(database) as work:
        found = await work.session.execute(
            text(
                "SELECT o.account_id, o.order_id, o.paid_minor, o.status, i.customer_id FROM orders o "
                "LEFT JOIN identities i ON i.id = o.identity_id"
            )
        )
        return [Held(*row) for row in found]


async def held_keys(database: Database) -> dict[Key, Any]:
    """Every key that Tandem holds, with its customer."""
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(select(IdentityRow))
        return {(row.kind, row.scope, row.value): row.customer_id for row in rows}


def in_reach(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether its platform shows a true order to anybody who asks, or told of it."""
    platform = row["platform"]
    if platform == "pinduoduo" and not row["was_paid"]:
        return False  # the platform shows nobody what was never paid
    return platform in PUSHED or _is_listed(row, now)


def _is_listed(row: Mapping[str, Any], now: datetime) -> bool:
    return bool(row["updated_at"] >= rfc3339(listed_since(row["platform"], now)))


def compare_orders(
    rows: Sequence[Mapping[str, Any]],
    held: Sequence[Held],
    owners: Mapping[Any, Collection[str]],
    buyers: Collection[tuple[str, str]],
    now: datetime,
) -> Accuracy:
    """True orders of one platform: present, of the right amount, in the right status, of the right person.

    owners: the persons behind a customer's strong keys; buyers: as `buyers` says.
    """
    here = {(each.account, each.order_id): each for each in held}
    accuracy = Accuracy()
    for row in rows:
        found = here.get((f"{row['platform']}/{row['account']}", row["order_id"]))
        if not in_reach(row, now):
            accuracy.out_of_reach += 1
            continue
        accuracy.true += 1
        if found is None:
            accuracy.note(row["order_id"], "missing")
            continue
        accuracy.here += 1
        # Before anybody pays, platforms say nothing, nothing paid, or what is to be paid; the truth has the last.
        rightly = {row["paid_minor"]} if row["was_paid"] else {None, 0, row["paid_minor"]}
        accuracy.amount += found.paid_minor in rightly
        if found.paid_minor not in rightly:
            told = f"{found.paid_minor} fen, truly {row['paid_minor']}"
            accuracy.note(row["order_id"], told if row["was_paid"] else f"{told} to be paid")
        accuracy.status += found.status == row["status"]
        if found.status != row["status"]:
            accuracy.note(row["order_id"], f"{found.status}, truly {row['status']}")
        whose = set(owners.get(found.customer, ()))
        is_told = (row["platform"], row["person"]) in buyers
        if row["platform"] in _PUSHES_NAME_NOBODY and not _is_listed(row, now):
            is_told = False
        is_right = whose == {row["person"]} or (not whose and not is_told)
        accuracy.owner += is_right
        if not is_right:
            accuracy.note(row["order_id"], f"of {', '.join(sorted(whose)) or 'nobody'}, truly of {row['person']}")
    return accuracy


def phantoms(rows: Iterable[Mapping[str, Any]], held: Sequence[Held]) -> list[str]:
    """Stored orders that are in no truth, and those stored more than once."""
    true = {(f"{row['platform']}/{row['account']}", row["order_id"]) for row in rows}
    stored = Counter((each.account, each.order_id) for each in held)
    return [
        f"{account} {number}"
        for (account, number), count in stored.items()
        if (account, number) not in true or count > 1
    ]


def owners(identities: Iterable[Mapping[str, Any]], customer: Mapping[Key, Any]) -> dict[Any, set[str]]:
    """The persons behind the strong keys of each customer."""
    found: dict[Any, set[str]] = defaultdict(set)
    for row in identities:
        if row["strong"] and (key := _key(row)) in customer:
            found[customer[key]].add(row["person"])
    return found


def buyers(identities: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Platform and person: whom a platform has a key of its own for, which it tells with whatever they buy."""
    return {(row["platform"], row["person"]) for row in identities if row["strong"] and row["kind"] == "buyer"}


def compare_people(
    identities: Iterable[Mapping[str, Any]],
    customer: Mapping[Key, Any],
    orders: Iterable[Mapping[str, Any]],
    now: datetime,
) -> People:
    """How well keys that tell people apart were put together, those that should be here and are not included.

    A shop's own key counts when an order within reach shows it, or when it is here; a site's when it is here. One that
    only a coupon told, without anything that ties it to another, stands by itself.
    """
    bought = {shown for row in orders if in_reach(row, now) for shown in _shown_by(row)}
    person: dict[Key, str] = {}
    cluster: dict[Key, str] = {}
    out_of_reach = 0
    for row in identities:
        if not row["strong"]:
            continue
        key = _key(row)
        is_shown = row["platform"] not in CONNECTORS or _is_shown(row, bought)
        if key not in customer and not is_shown:
            out_of_reach += 1
            continue
        person[key], cluster[key] = row["person"], row["cluster"]
        if row["platform"] in _COUPONS_TELL_NOBODY_ELSE and not is_shown:
            cluster[key] = f"{row['cluster']}/{key}"
    together: dict[Any, list[Key]] = defaultdict(list)
    for key in person:
        if key in customer:
            together[customer[key]].append(key)
    pairs = [pair for keys in together.values() for pair in combinations(keys, 2)]
    false = sum(person[one] != person[other] for one, other in pairs)
    known = sum(cluster[one] == cluster[other] for one, other in pairs)
    hanging: dict[str, list[Key]] = defaultdict(list)
    for key, name in cluster.items():
        hanging[name].append(key)
    joinable = _pairs(Counter(cluster.values()))
    apart = Counter(
        " – ".join(sorted(_kind_of(each) + ("" if each in customer else ", absent") for each in (one, other)))
        for keys in hanging.values()
        for one, other in combinations(keys, 2)
        if one not in customer or other not in customer or customer[one] != customer[other]
    )
    return People(
        1 - false / len(pairs) if pairs else 0.0,
        known / joinable if joinable else 0.0,
        len(pairs),
        false,
        joinable,
        sum(key not in customer for keys in hanging.values() if len(keys) > 1 for key in keys),
        _pairs(Counter(person.values())) - joinable,
        out_of_reach,
        dict(apart.most_common(10)),
        _by_platform(pairs, person, cluster, hanging.values()),
    )


def _by_platform(
    held: Iterable[tuple[Key, Key]],
    person: Mapping[Key, str],
    cluster: Mapping[Key, str],
    hanging: Iterable[Sequence[Key]],
) -> dict[str, Joined]:
    pairs, true, reachable, known = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for one, other in held:
        named = _platforms_of(one, other)
        pairs.update(named)
        if person[one] == person[other]:
            true.update(named)
        if cluster[one] == cluster[other]:
            known.update(named)
    for keys in hanging:
        for one, other in combinations(keys, 2):
            reachable.update(_platforms_of(one, other))
    return {
        name: Joined(pairs[name], true[name], reachable[name], known[name])
        for name in sorted(pairs.keys() | reachable.keys())
    }


def _platforms_of(*keys: Key) -> set[str]:
    return {platform for each in keys if (platform := each[1].partition("/")[0])}


def _shown_by(order: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return (order["platform"], order["buyer_id"]), (f"{order['platform']}/{order['account']}", order["person"])


def _is_shown(row: Mapping[str, Any], bought: Collection[tuple[str, str]]) -> bool:
    """Whether orders within reach show a shop's key; chat accounts show all of theirs."""
    if row["platform"] == "site":
        return False  # a site's visits are taken within a day, and the past is older
    if row["platform"] in _NO_SHOPS or row["kind"] not in ("buyer", "openid"):
        return True
    return (row["scope"], row["value"] if row["kind"] == "buyer" else row["person"]) in bought


def _pairs(sizes: Counter[str]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def _key(row: Mapping[str, Any]) -> Key:
    return row["kind"], row["scope"], row["value"]


def _kind_of(key: Key) -> str:
    platform = key[1].partition("/")[0]
    return f"{key[0]} ({platform})" if platform else key[0]
