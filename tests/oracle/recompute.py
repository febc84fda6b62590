"""What a scheme pays, recomputed line by line from its YAML: plain, slow, and independent of the engine.

Nothing of Tandem is imported, and nothing is looked up there: percentages, periods, tiers and chains are understood
once more, from the documents. Numbers are decimals, in a context that refuses to round; the one rounding is written
out. `tests/oracle/test_oracle.py` holds that.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext
from functools import cache
from typing import Any, NamedTuple

import yaml

from tests.oracle.books import Books, Noted, Order, Person, Term

Cents = dict[tuple[str, str], int]
"""By payee and component."""
_DEEDS = ("visits", "reviews", "bookings", "count")


class Line(NamedTuple):
    """What an order line comes to: amounts in the merchant's minor units, foreign in the order's own. order: what was
    paid for the whole order; is_kept: whether anything of the line is. bought: the day the order was paid."""

    bought: date
    order: int
    words: Mapping[str, str]
    first: bool | None
    bonded: bool
    currency: str
    paid: int
    kept: int
    foreign: int
    quantity: int
    is_kept: bool


_OF_LINES: Mapping[str, Callable[[Line], int]] = {
    "paid": lambda line: line.paid,
    "kept": lambda line: line.kept,
    "quantity": lambda line: line.quantity,
}
_DECIMALS_ABROAD = {"USD": 2, "JPY": 0, "KWD": 3}
_BOUNDS = "floor-and-cap"
_EXACT = Context(prec=80, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])


def recomputed(text: str, day: date, books: Books, cycle: str | None = None) -> tuple[Cents, int]:
    """Every payee's cents by component for the period that a day is in, and how many order lines that looked at."""
    scheme = yaml.safe_load(text)["scheme"]
    with localcontext(_EXACT):
        found = _Recomputation(scheme, day, books, cycle or scheme["cycle"])
        return found.cents(), found.looked_at


def period(cycle: str, day: date) -> tuple[date, date]:
    """First day, and the first day after."""
    begin = day
    while not _begins(cycle, begin):
        begin -= timedelta(days=1)
    end = day + timedelta(days=1)
    while not _begins(cycle, end):
        end += timedelta(days=1)
    return begin, end


def _begins(cycle: str, day: date) -> bool:
    """Whether a day is the first of a period."""
    return {"day": True, "week": day.isoweekday() == 1, "half-month": day.day in (1, 16), "month": day.day == 1}[cycle]


class _Recomputation:
    def __init__(self, scheme: Mapping[str, Any], day: date, books: Books, cycle: str) -> None:
        self._scheme = scheme
        self._books = books
        self._begin, self._end = period(cycle, day)
        roles = (scheme.get("payees") or {}).get("roles")
        self._members: dict[str, str] = {}
        self._there: set[str] = set()
        for person in books.people:
            term, was_there = _as_they_were(person, self._begin, self._end)
            if (not roles or term.role in roles) and (term.cycle or scheme["cycle"]) == cycle:
                self._members[person.code] = term.role
                self._there |= {person.code} if was_there else set()
        basis = scheme.get("counts", "completed")
        self._orders: dict[str, list[list[Line]]] = defaultdict(list)
        for order in books.orders:
            if order.payee in self._members and order.basis == basis and self._begin <= order.day < self._end:
                self._orders[order.payee].append(_lines_of(order))
        self.looked_at = sum(len(lines) for orders in self._orders.values() for lines in orders)
        self._below = _below(books.people, self._members, self._end - timedelta(days=1))
        self._rates: dict[str, Decimal] = {}
        self._by_name: dict[tuple[str, str], list[Noted]] = defaultdict(list)
        for each in books.noted:
            self._by_name[each.payee, each.name].append(each)
        rounding = scheme.get("rounding") or {}
        self._rule, self._grain = rounding.get("rule", "half-away"), int(_fen(rounding.get("grain", "0.01")))

    def cents(self) -> Cents:
        found: Cents = {}
        for component in self._scheme["earns"]:
            for code, role in self._members.items():
                if component.get("roles") and role not in _listed(component["roles"]):
                    continue
                if code in self._there or self._did_something(component, code):
                    found[code, component["name"]] = self._earned(component, code, found)
        sums: dict[str, int] = dict.fromkeys(self._members, 0)
        for (code, _), amount in found.items():
            sums[code] += amount
        for code, total in sums.items():
            found[code, _BOUNDS] = self._within(self._scheme, code, total) - total
        return found

    def _did_something(self, component: Mapping[str, Any], code: str) -> bool:
        """Whether somebody who was not there sold or did anything that counts all the same."""
        of = component.get("of", "period")
        if component.get("level") or of not in (*_DEEDS, *_OF_LINES, "orders", "fx-difference"):
            return False
        things = self._worths(component, code) if of not in _DEEDS else ()
        by_line = component.get("grain") == "line" and sum(self._rounded(_paid_by(component, each)) for each in things)
        return bool(self._base(component, code) or by_line)

    def _within(self, bounds: Mapping[str, Any], code: str, amount: int) -> int:
        """Floors are for who was there."""
        if "floor" in bounds and code in self._there:
            amount = max(amount, int(_fen(bounds["floor"])))
        return min(amount, int(_fen(bounds["cap"]))) if "cap" in bounds else amount

    def _earned(self, component: Mapping[str, Any], code: str, before: Cents) -> int:
        exact = self._exact(component, code, before)
        if "factor" in component:
            score = self._score(code, component["factor"]["score"])
            reached = [step for step in component["factor"]["steps"] if score >= step["from"]]
            exact *= Decimal(str(reached[-1]["times"])) if reached else 0
        amount = self._within(component, code, self._rounded(exact))
        return -amount if component.get("deducts") else amount

    def _exact(self, component: Mapping[str, Any], code: str, before: Cents) -> Decimal:
        """What a component comes to before it is rounded."""
        if "overrides" in component:
            of, levels = component["overrides"]["of"], component["overrides"]["levels"]
            return sum(
                (
                    before.get((each, of), 0) * _part(rate)
                    for level, rate in enumerate(levels, start=1)
                    for each in self._below.get((code, level), ())
                ),
                Decimal(0),
            )
        level = component.get("level", 0)
        sellers: Iterable[str] = self._below.get((code, level), ()) if level else (code,)
        if component.get("grain") == "line":
            return Decimal(
                sum(
                    self._rounded(_paid_by(component, worth))
                    for each in sellers
                    for worth in self._worths(component, each)
                )
            )
        return _paid_by(component, sum((self._base(component, each) for each in sellers), Decimal(0)))

    def _base(self, component: Mapping[str, Any], code: str) -> Decimal:
        of = component.get("of", "period")
        if of == "period":
            return Decimal(1)
        if of == "score":
            return Decimal(self._score(code, component["score"]))
        if of in _DEEDS:
            counted = component["count"] if of == "count" else of
            weights = {counted: "1"} if isinstance(counted, str) else counted
            return sum(
                (
                    each.amount * Decimal(str(times))
                    for name, times in weights.items()
                    for each in self._noted(code, name)
                    if "days" not in component or component["days"]["from"] <= each.day < component["days"]["until"]
                ),
                Decimal(0),
            )
        return Decimal(sum(self._worths(component, code)))

    def _worths(self, component: Mapping[str, Any], code: str) -> Iterator[Decimal | int]:
        """What each thing counts that a component counts of what somebody sold: orders, or lines."""
        for lines in self._orders.get(code, ()):
            if component["of"] == "orders":
                yield _worth_of_order(component, lines)
            else:
                yield from (self._worth(component, line) for line in lines)

    def _worth(self, component: Mapping[str, Any], line: Line) -> Decimal | int:
        """What a line counts for a component."""
        if not _counts(component, line):
            return 0
        of = component["of"]
        worth = self._gain(line) if of == "fx-difference" else _OF_LINES[of](line)
        for each in component.get("weights", ()):
            if _fits(each.get("where", {}), line):
                return worth * Decimal(str(each["times"]))
        return worth

    def _gain(self, line: Line) -> Decimal | int:
        """What a line in another currency is worth more on the last day than on that of the order."""
        if not line.currency:
            return 0
        return line.foreign * self._rate(line.currency).scaleb(2 - _DECIMALS_ABROAD[line.currency]) - line.kept

    def _rate(self, currency: str) -> Decimal:
        if currency not in self._rates:
            self._rates[currency] = self._looked_up(currency)
        return self._rates[currency]

    def _looked_up(self, currency: str) -> Decimal:
        last = self._end - timedelta(days=1)
        for before in range(10):
            if (rate := self._books.rates.get((currency, last - timedelta(days=before)))) is not None:
                return rate
        raise LookupError(f"{currency} has no rate on {last}")

    def _score(self, code: str, name: str) -> int:
        return next((each.amount for each in reversed(self._noted(code, name))), 0)

    def _noted(self, code: str, name: str) -> list[Noted]:
        return [each for each in self._by_name.get((code, name), ()) if self._begin <= each.day < self._end]

    def _rounded(self, exact: Decimal) -> int:
        """To a multiple of the grain, by the rule."""
        whole, rest = divmod(abs(exact), self._grain)
        up = {
            "half-away": rest * 2 >= self._grain,
            "half-even": rest * 2 > self._grain or (rest * 2 == self._grain and whole % 2 == 1),
            "down": False,
            "up": rest > 0,
        }[self._rule]
        amount = (int(whole) + int(up)) * self._grain
        return amount if exact >= 0 else -amount


def _as_they_were(person: Person, begin: date, end: date) -> tuple[Term, bool]:
    """By the last day of a period on which they were active; who was not on any, by its last day. And whether they
    were."""
    day = end
    while day > begin:
        day -= timedelta(days=1)
        begun = [each for each in person.terms if each.since <= day]
        if begun and begun[-1].active:
            return begun[-1], True
    begun = [each for each in person.terms if each.since < end]
    return (begun or person.terms[:1])[-1], False


def _below(people: Sequence[Person], members: Iterable[str], day: date) -> dict[tuple[str, int], list[str]]:
    """By payee and level, which members are below them on a day."""
    above = {
        each.code: next((code for since, code in sorted(each.above, reverse=True) if since <= day), None)
        for each in people
    }
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for code in members:
        level, at = 1, above.get(code)
        while at is not None and level <= 10:
            found[at, level].append(code)
            level, at = level + 1, above.get(at)
    return found


def _lines_of(order: Order) -> list[Line]:
    """What the lines of an order come to, from what was paid, and went back, for each."""
    decimals = _DECIMALS_ABROAD.get(order.currency, 2)

    def at_home(amount: int) -> int:
        whole, rest = divmod(amount * order.rate.scaleb(2 - decimals), 1)
        return int(whole) + (rest * 2 >= 1)

    kept = [0 if order.closed else each.total - each.back for each in order.lines]
    is_kept = any(kept) or not (order.closed or any(each.total for each in order.lines))
    return [
        Line(
            bought=order.bought,
            order=sum(at_home(one.total) for one in order.lines),
            words={**order.words, **each.words},
            first=order.first,
            bonded=each.bonded,
            currency=order.currency,
            paid=at_home(each.total),
            kept=at_home(left),
            foreign=left if order.currency else 0,
            quantity=_pieces(each.quantity, each.total, each.total - left)
            if left or (is_kept and not each.total)
            else 0,
            is_kept=bool(left or (is_kept and not each.total)),
        )
        for each, left in zip(order.lines, kept, strict=True)
    ]


def _pieces(quantity: int, total: int, back: int) -> int:
    """Those whose price, in whole minor units, is not within what went back."""
    gone = 0
    while back and (gone + 1) * total // quantity <= back:
        gone += 1
    return quantity - gone


def _worth_of_order(component: Mapping[str, Any], lines: Sequence[Line]) -> Decimal | int:
    """An order counts once when one of the lines that are kept does; by the first weight that is for one of these."""
    counting = [line for line in lines if line.is_kept and _counts(component, line)]
    if not counting:
        return 0
    for each in component.get("weights", ()):
        if any(_fits(each.get("where", {}), line) for line in counting):
            return Decimal(str(each["times"]))
    return 1


def _counts(component: Mapping[str, Any], line: Line) -> bool:
    """Whether a line is one that a component is for."""
    days = component.get("days")
    if days is not None and not days["from"] <= line.bought < days["until"]:
        return False
    return "where" not in component or _fits(component["where"], line)


def _fits(where: Mapping[str, Any], line: Line) -> bool:
    for field, wanted in where.items():
        if field == "first":
            fits = line.first is wanted
        elif field == "bonded":
            fits = line.bonded is wanted
        elif field == "order-amount":
            fits = _fen(wanted.get("at-least", "0")) <= line.order and (
                "less-than" not in wanted or line.order < _fen(wanted["less-than"])
            )
        else:
            fits = line.words.get(field, "") in _listed(wanted)
        if not fits:
            return False
    return True


def _paid_by(component: Mapping[str, Any], base: Decimal | int) -> Decimal:
    """What a base earns, in minor units."""
    if "rate" in component:
        return base * _part(component["rate"])
    if "each" in component:
        return base * _fen(component["each"])
    if "fixed" in component:
        return _fen(component["fixed"])
    if "package" in component:
        package, paid, begun = component["package"], base - component["package"].get("free", 0), 0
        while begun * package["size"] < paid:
            begun += 1
        return begun * _fen(package["price"])
    if "bonus" in component:
        reached = [_fen(step["pays"]) for step in component["bonus"]["steps"] if base >= _mark(step["from"])]
        if component["bonus"].get("each"):
            return sum(reached, Decimal(0))
        return reached[-1] if reached else Decimal(0)
    return _by_tiers(component["tiers"], Decimal(base))


def _by_tiers(tiers: Mapping[str, Any], base: Decimal) -> Decimal:
    """All at the rate that was reached; or what lies above each mark, at what the rate rises by there. Flat fees: that
    of the tier reached; or of each that something lies in, and the first one's anyway."""
    rows = [
        (_mark(row["from"]), _part(row["rate"]) if "rate" in row else _fen(row["each"]), _fen(row.get("flat", "0.00")))
        for row in next(iter(tiers.values()))
    ]
    if "volume" in tiers:
        reached = [base * rate + flat for mark, rate, flat in rows if base >= mark]
        return reached[-1] if reached else Decimal(0)
    total, last = Decimal(0), Decimal(0)
    for mark, rate, flat in rows:
        total += max(base - mark, Decimal(0)) * (rate - last)
        last = rate
        if mark == 0 or base > mark:
            total += flat
    return total


def _mark(given: str | int) -> Decimal:
    """Marks of amounts are written as such; those of counts are whole numbers."""
    return _fen(given) if isinstance(given, str) else Decimal(given)


@cache
def _part(percentage: str) -> Decimal:
    return Decimal(percentage.removesuffix("%")).scaleb(-2)


@cache
def _fen(amount: str) -> Decimal:
    return Decimal(amount).scaleb(2)


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
