"""A period as it might have been: people and chains, order lines with all that happened to them, deeds and scores.

Lines are told in differences, as Tandem keeps them: sold, refunded in part or whole, moved to another payee or channel.
The oracle gets to see only what holds in the end. One seed makes one crowd.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from tests.oracle.books import Books, Cycle, Line, Noted, Person, Term
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
_SHOPS = ("douyin/one", "douyin/two", "youzan/flagship", "tmall/hk-store")
_ABROAD = {"USD": (Decimal("7.1"), 2), "JPY": (Decimal("0.0478"), 0), "KWD": (Decimal("23.1"), 3)}


class Crowd(NamedTuple):
    """books: what holds in the end; told: the differences that led there."""

    books: Books
    told: list[Line]


def a_crowd(lines: int, payees: int, seed: str = "tandem") -> Crowd:
    """So many lines that count in the month, some more around it, and some of `paid` orders beside."""
    pick = Random(seed)
    people = _people(pick, payees)
    rates = _rates(pick)
    final: list[Line] = []
    told: list[Line] = []
    inside = number = 0
    while inside < lines:
        line = _a_line(pick, number, people, rates)
        for each, rows in _with_its_past(pick, line, people):
            final.append(each)
            told += rows
        inside += line.basis == "completed" and line.day.month == MONTH.month
        number += 1
    pick.shuffle(told)
    return Crowd(Books(people, final, _noted(pick, people), rates), told)


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


def _a_line(pick: Random, number: int, people: list[Person], rates: Mapping[tuple[str, date], Decimal]) -> Line:
    paid = pick.choice((0, pick.randrange(1, 2_000), pick.randrange(1, 60_000), pick.randrange(1, 900_000)))
    shop = pick.choice(_SHOPS)
    words = {field: pick.choice(values) for field, values in _WORDS.items()}
    day = MONTH + timedelta(days=pick.randrange(-3, _SPAN - 3))
    currency, foreign = "", 0
    if pick.random() < 0.15:
        currency = pick.choice([*_ABROAD])
        middle, decimals = _ABROAD[currency]
        foreign = int(paid / middle.scaleb(2 - decimals))
    return Line(
        payee=people[int(len(people) * pick.random() ** 1.5)].code,
        number=number,
        basis="completed" if pick.random() < 0.9 else "paid",
        day=day,
        order=paid + pick.choice((0, pick.randrange(1, 90_000))),
        words={"platform": shop.partition("/")[0], "shop": shop, **words},
        first=pick.random() < 0.3,
        bonded=pick.random() < 0.2,
        currency=currency,
        paid=paid,
        kept=paid,
        foreign=foreign,
        quantity=pick.randrange(1, 6),
        orders=int(pick.random() < 0.5),
    )


def _with_its_past(pick: Random, sold: Line, people: list[Person]) -> Iterator[tuple[Line, list[Line]]]:
    """The line as it ends, and the rows that lead there."""
    fate = pick.random()
    if fate < 0.2:
        back = sold.kept if fate < 0.1 else pick.randrange(sold.kept + 1)
        abroad = sold.foreign if back == sold.kept else pick.randrange(sold.foreign + 1)
        pieces = sold.quantity if back == sold.kept else 0
        deals = sold.orders if back == sold.kept else 0
        refund = sold._replace(paid=0, kept=-back, foreign=-abroad, quantity=-pieces, orders=-deals)
        final = sold._replace(
            kept=sold.kept - back,
            foreign=sold.foreign - abroad,
            quantity=sold.quantity - pieces,
            orders=sold.orders - deals,
        )
        yield final, [sold, refund]
    elif fate < 0.25:
        words = {**sold.words, "channel": pick.choice(_WORDS["channel"]), "category": pick.choice(_WORDS["category"])}
        payee = people[pick.randrange(len(people))].code if fate < 0.22 else sold.payee
        final = sold._replace(words=words, payee=payee)
        undone = sold._replace(
            paid=-sold.paid,
            kept=-sold.kept,
            foreign=-sold.foreign,
            quantity=-sold.quantity,
            orders=-sold.orders,
        )
        yield final, [sold, undone, final]
    else:
        yield sold, [sold]


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
