"""Who goes through which journey, what is told of them, how often and in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from domain.events import rfc3339

Act = Literal["none", "acts", "silenced", "refunds", "merges", "withdraws"]
CONSUMABLE = "猫粮"
ARTICLE = "kibble-1"
SHOP = {"platform": "generic", "account": "crowd"}
# What people do while the journey waits, by the last digit of their number.
_ACTS: dict[str, dict[int, Act]] = {
    "new-customer-gift": {7: "silenced"},
    "third-order": {3: "merges"},
    "unpaid-order": {1: "acts", 4: "acts", 7: "silenced", 9: "withdraws"},
    "live-coupon": {1: "acts", 4: "acts", 7: "silenced"},
    "run-out": {1: "acts", 3: "merges", 7: "silenced", 8: "refunds"},
    # Before their time is over: whoever buys need not enter at all, and who is silenced gets nothing.
    "cart-waiting": {1: "acts", 7: "silenced"},
}


@dataclass
class Person:
    """One customer in one journey. number: within the journey. external_userid: where messages arrive."""

    journey: str
    number: int
    customer_id: str
    unionid: str
    external_userid: str
    act: Act = field(init=False)

    def __post_init__(self) -> None:
        self.act = _ACTS[self.journey].get(self.number % 10, "none")

    @property
    def name(self) -> str:
        return f"{self.journey}-{self.number:05d}"

    @property
    def must_enter(self) -> bool:
        """Whether the journey has to take them in: an order before the tag may keep it from them."""
        return self.journey != "cart-waiting" or self.act != "acts"

    @property
    def buyer(self) -> dict[str, str]:
        return {"unionid": self.unionid}

    @property
    def other_buyer(self) -> dict[str, str]:
        """Who they are at another counter, until somebody finds out."""
        return {"buyer_id": f"other-{self.name}"}


RUNS_OUT_AFTER = 5
"""How many pauses before its time is over the order of who runs out is told.

It has to be read by then, also when the worker is killed over it: what is learned of an order whose time was over long
ago is a shop's past, and sends nobody anything.
"""


def told_of(person: Person, pause_s: int, now: datetime) -> Iterator[dict[str, Any]]:
    """The records that bring a person into their journey; some things are told in two versions."""
    match person.journey:
        case "third-order":
            for number in range(3):
                yield from _order(person, f"a{number}", person.buyer, now - timedelta(minutes=9 - number))
            if person.act == "merges":
                for number in range(3):
                    yield from _order(person, f"b{number}", person.other_buyer, now - timedelta(minutes=5 - number))
        case "unpaid-order":
            for version in (1, 2):
                yield _record("order", _of_order(person, "u", person.buyer, now), version, now, status="unpaid")
        case "live-coupon":
            yield _coupon(person, 1, now, "taken")
            yield _coupon(person, 2, now, "taken")
        case "cart-waiting":
            for version in (1, 2):
                yield _cart(person, version, now)
        case "run-out":
            long_ago = now - timedelta(days=30) + timedelta(seconds=RUNS_OUT_AFTER * pause_s)
            yield from _order(person, "r", person.buyer, long_ago)
            if person.act == "merges":
                yield from _order(person, "x", person.other_buyer, long_ago)


def regulars(count: int, now: datetime) -> Iterator[dict[str, Any]]:
    """Two orders each of other customers, who buy the consumable every 20 days, as the rule 断粮 assumes.

    More of them than of those who buy again in `run-out` keep the usual interval what it is: measured in the midst of
    the run, it moves nobody.
    """
    for number in range(count):
        for which, days in (("first", 21), ("second", 1)):
            at = now - timedelta(days=days)
            name = f"regular-{number}-{which}"
            line = _line(f"{name}-1", CONSUMABLE)
            data = {"order_id": name, "paid_minor": 9900, "created_at": rfc3339(at), "paid_at": rfc3339(at)}
            data |= {"lines": [line], "buyer": {"buyer_id": f"regular-{number}"}}
            yield _record("order", data, 1, at, status="paid")


def acted_by(person: Person, now: datetime) -> Iterator[dict[str, Any]]:
    """What a person does while their journey waits, as far as it is told by records."""
    if person.act == "merges":
        both = {**person.buyer, **person.other_buyer}
        yield from _order(person, "m", both, now - timedelta(days=200), status="completed")
    elif person.act == "withdraws":
        yield _record("consent", {"source": "小程序", "buyer": person.buyer}, 5, now, state="withdrawn")
    elif person.act == "refunds":
        refund = {"refund_id": f"R-{person.name}", "order_id": f"{person.name}-r", "amount_minor": 9900}
        yield _record("refund", {**refund, "buyer": person.buyer}, 5, now, status="requested")
    elif person.act == "acts":
        match person.journey:
            case "unpaid-order":
                status = "paid" if person.number % 10 == 1 else "closed"
                more = {"paid_at": rfc3339(now)} if status == "paid" else {}
                yield _record("order", {**_of_order(person, "u", person.buyer, now), **more}, 5, now, status=status)
            case "live-coupon":
                yield _coupon(person, 5, now, "used" if person.number % 10 == 1 else "returned")
            case "run-out":
                yield from _order(person, "again", person.buyer, now)
            case "cart-waiting":
                yield from _order(person, "c", person.buyer, now)


def _order(
    person: Person, which: str, buyer: dict[str, str], at: datetime, status: str = "paid"
) -> Iterator[dict[str, Any]]:
    """A paid order in two versions."""
    for version in (1, 2):
        data = {**_of_order(person, which, buyer, at), "paid_at": rfc3339(at)}
        yield _record("order", data, version, at, status=status)


def _of_order(person: Person, which: str, buyer: dict[str, str], at: datetime) -> dict[str, Any]:
    category = CONSUMABLE if person.journey == "run-out" and which != "m" else "coat"
    line = _line(f"{person.name}-{which}-1", category)
    number = f"{person.name}-{which}"
    return {"order_id": number, "paid_minor": 9900, "created_at": rfc3339(at), "lines": [line], "buyer": buyer}


def _line(number: str, category: str) -> dict[str, Any]:
    line = {"line_id": number, "item_id": ARTICLE, "title": "冻干猫粮", "category": category, "quantity": 1}
    return {**line, "price_minor": 9900, "total_minor": 9900}


def _coupon(person: Person, version: int, at: datetime, state: str) -> dict[str, Any]:
    data = {"coupon_id": f"C-{person.name}", "batch_id": "live-1", "source": "live", "buyer": person.buyer}
    return _record("coupon", data, version, at, state=state)


def _cart(person: Person, version: int, at: datetime) -> dict[str, Any]:
    order = _of_order(person, "cart", person.buyer, at)
    data = {"cart_id": f"K-{person.name}", "lines": order["lines"], "buyer": person.buyer}
    return _record("cart", data, version, at, state="open")


def _record(kind: str, data: dict[str, Any], version: int, at: datetime, **state: str) -> dict[str, Any]:
    return {"type": kind, "data": {**data, **state, "version": version, "occurred_at": rfc3339(at)}}


def muddled(records: Sequence[dict[str, Any]], pick: Random) -> list[dict[str, Any]]:
    """The records out of order, a third of them twice."""
    mixed = [*records, *pick.sample(list(records), len(records) // 3)]
    pick.shuffle(mixed)
    return mixed


def now() -> datetime:
    return datetime.now(UTC)
