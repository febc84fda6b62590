"""A period as it might have been: people and chains, order lines with all that happened to them, deeds and scores.

Orders have a past: sold, refunded in part or whole, closed, moved to another payee, channel or category. The oracle
gets to see only what holds in the end. One seed makes one crowd.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from tests.oracle.books import Books, Cycle, Noted, Order, Person, Sold, Term
from tests.oracle.shapes import MONTH

ROLES = {
    "city-agent": 0.06,
    "city": 0.06,
    "member": 0.2,
    "promoter": 0.3,
    "influencer": 0.1,
    "flagship-store": 0.05,
    "community-store": 0.05,
    "group-leader": 0.08,
    "cross-border-agent": 0.1,
}
_CYCLES: tuple[Cycle, ...] = ("day", "week", "half-month", "month")
_HEADS = ("city-agent", "city")
_YEAR = date(2026, 1, 1)
_SPAN = 37
"""Days of sales, from three before the month on."""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "channel": ("live", "short_video", "shelf", ""),
    "influencer": ("douyin/1", "douyin/2", "douyin/3", ""),
    "category": ("coat", "shoe", "保税", ""),
    "article": ("a1", "a2", "a3", "a4", "a5"),
}
_OF_ORDERS, _OF_LINES = ("channel", "influencer"), ("category", "article")
_SHOPS = ("douyin/one", "douyin/two", "youzan/flagship", "tmall/hk-store")
_ABROAD = {"USD": (Decimal("7.1"), 2), "JPY": (Decimal("0.0478"), 0), "KWD": (Decimal("23.1"), 3)}


class Crowd(NamedTuple):
    """books: what holds in the end; pasts: of every order all that was ever told, as it ends last."""

    books: Books
    pasts: list[list[Order]]

    @property
    def lines(self) -> int:
        """How many order lines there are."""
        return sum(len(each.lines) for each in self.books.orders)


def a_crowd(lines: int, payees: int, seed: str = "tandem") -> Crowd:
    """So many lines that count in the month, some more around it, and some of `paid` orders beside."""
    pick = Random(seed)
    people = _people(pick, payees)
    rates = _rates(pick)
    pasts: list[list[Order]] = []
    inside = 0
    while inside < lines:
        order = _an_order(pick, len(pasts), people)
        pasts.append(_with_its_past(pick, order, people))
        inside += len(order.lines) if order.basis == "completed" and order.day.month == MONTH.month else 0
    final = [past[-1] for past in pasts]
    pick.shuffle(pasts)
    return Crowd(Books(people, final, _noted(pick, people), rates), pasts)


def _people(pick: Random, count: int) -> list[Person]:
    """Heads first; everybody else is below somebody before them or nobody, and some change, come or go."""
    roles = pick.choices([*ROLES], [*ROLES.values()], k=count)
    roles.sort(key=lambda role: role not in _HEADS)
    made: list[Person] = []
    for number, role in enumerate(roles):
        above: list[tuple[date, str | None]] = []
        if number and pick.random() < (0.1 if role in _HEADS else 0.9):
            above.append((_YEAR, made[pick.randrange(min(number, max(count // 4, 1)))].code))
        if above and pick.random() < 0.1:
            later = MONTH + timedelta(days=pick.randrange(-20, 45))
            above.append((later, pick.choice([None, made[pick.randrange(number)].code])))
        made.append(Person(f"P{number:05}", tuple(_terms(pick, role)), tuple(above)))
    return made


def _terms(pick: Random, role: str) -> list[Term]:
    """Mostly one for ever; some begin or end about the month, some become something else or pass to another cycle."""
    cycle = pick.choice(_CYCLES) if pick.random() < 0.08 else None
    first = Term(_YEAR, role, cycle, pick.random() > 0.02)
    later = MONTH + timedelta(days=pick.randrange(-10, 40))
    fate = pick.random()
    if fate < 0.04:
        return [first._replace(since=later)]
    if fate < 0.08:
        return [first, first._replace(since=later, active=False)]
    if fate < 0.1:
        back = later + timedelta(days=pick.randrange(1, 20))
        return [first, first._replace(since=later, active=False), first._replace(since=back)]
    if fate < 0.14:
        return [first, first._replace(since=later, role=pick.choice([*ROLES]))]
    if fate < 0.18:
        return [first._replace(cycle="day"), first._replace(since=MONTH, cycle=pick.choice((None, "half-month")))]
    return [first]


def _an_order(pick: Random, number: int, people: list[Person]) -> Order:
    shop = pick.choice(_SHOPS)
    words = {field: pick.choice(_WORDS[field]) for field in _OF_ORDERS}
    currency, rate, decimals = "", Decimal(1), 2
    if pick.random() < 0.15:
        currency = pick.choice([*_ABROAD])
        middle, decimals = _ABROAD[currency]
        rate = (middle * (950_000_000 + pick.randrange(100_000_000)) / 10**9).quantize(Decimal(1).scaleb(-10))
    worth = int(rate.scaleb(2 - decimals) * 1_000)
    lines = tuple(_a_line(pick, place, worth) for place in range(1, pick.choice((2, 2, 3, 4, 5))))
    basis = "completed" if pick.random() < 0.9 else "paid"
    day = MONTH + timedelta(days=pick.randrange(-3, _SPAN - 3))
    return Order(
        payee=people[int(len(people) * pick.random() ** 1.5)].code,
        number=number,
        basis=basis,
        day=day,
        bought=day - timedelta(days=pick.choice((0, 1, 3, pick.randrange(20)))) if basis == "completed" else day,
        words={"platform": shop.partition("/")[0], "shop": shop, **words},
        first=pick.choice((True, True, True, False, False, False, False, None)),
        lines=lines,
        currency=currency,
        rate=rate,
    )


def _a_line(pick: Random, place: int, worth: int) -> Sold:
    """worth: of a minor unit of its currency, in thousandths of the merchant's."""
    at_home = pick.choice((0, pick.randrange(1, 2_000), pick.randrange(1, 60_000), pick.randrange(1, 900_000)))
    words = {field: pick.choice(_WORDS[field]) for field in _OF_LINES}
    return Sold(place, words, pick.random() < 0.2, pick.randrange(1, 6), at_home * 1_000 // max(worth, 1))


def _with_its_past(pick: Random, sold: Order, people: list[Person]) -> list[Order]:
    """All that is told of an order, one after the other."""
    fate = pick.random()
    if fate < 0.3:
        lines = tuple(_after_a_refund(pick, each) for each in sold.lines)
        return [sold, sold._replace(lines=lines)]
    if fate < 0.33:
        lines = tuple(_after_a_refund(pick, each) for each in sold.lines)
        return [sold, sold._replace(lines=lines), sold._replace(lines=lines, closed=True)]
    if fate < 0.4:
        channel = {**sold.words, "channel": pick.choice(_WORDS["channel"])}
        lines = tuple(
            each._replace(words={**each.words, "category": pick.choice(_WORDS["category"])}) for each in sold.lines
        )
        payee = people[pick.randrange(len(people))].code if fate < 0.37 else sold.payee
        return [sold, sold._replace(words=channel, lines=lines, payee=payee)]
    return [sold]


def _after_a_refund(pick: Random, line: Sold) -> Sold:
    """As it stands when nothing, all, some, or the price of some of its pieces went back."""
    pieces = line.total * pick.randrange(line.quantity + 1) // line.quantity
    return line._replace(back=pick.choice((0, line.total, pick.randrange(line.total + 1), pieces)))


def _noted(pick: Random, people: list[Person]) -> list[Noted]:
    """Deeds, taken back ones too, and scores, of which the last counts."""
    found = []
    for person in people:
        for name in ("visits", "reviews", "bookings"):
            for _ in range(pick.choice((0, 0, 1, 4))):
                day = MONTH + timedelta(days=pick.randrange(-3, _SPAN - 3))
                found.append(Noted(person.code, name, day, pick.choice((1, 3, 40, -1))))
        for name, most in (("quality", 110), ("after-sale", 100), ("openings", 14)):
            for _ in range(pick.choice((0, 1, 2))):
                day = MONTH + timedelta(days=pick.randrange(-3, _SPAN - 3))
                found.append(Noted(person.code, name, day, pick.randrange(most)))
    pick.shuffle(found)
    return found


def _rates(pick: Random) -> dict[tuple[str, date], Decimal]:
    """Of every fifth day, as fine as they may be."""
    found = {}
    for currency, (middle, _) in _ABROAD.items():
        for number in range(-2, 10):
            moved = middle * (900_000_000 + pick.randrange(200_000_000)) / 10**9
            found[currency, MONTH + timedelta(days=5 * number)] = moved.quantize(Decimal(1).scaleb(-10))
    return found
