"""Reports of what payees earned, by component."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reports.expected.parts import Cells, cut
from tests.reports.expected.raw import Books, Change, Frame, Row, changes_of
from tests.reports.expected.schemes import BY_NAME, Component

Chosen = Callable[["Earned"], bool]


@dataclass(frozen=True)
class Earned:
    """What a payee earned by a component in a calculation; sign: less than nothing for one that does not hold."""

    change: Change
    sign: int
    calculation: Row
    member: Row
    component: Component
    number: int
    amount: int
    base: int

    @property
    def payee(self) -> int:
        return int(self.member.payee)

    @property
    def scheme(self) -> str:
        return str(self.calculation.scheme)

    @property
    def currency(self) -> str:
        return str(self.change.origin.currency)


def earned_in(books: Books, frame: Frame, periods: set[int] | None = None) -> Iterator[Earned]:
    """All that was earned in a frame, or in other periods."""
    for change in changes_of(books, frame.inside(books) if periods is None else periods):
        for sign, calculation in change.sides:
            members = books.members[calculation.id]
            for each in books.earnings[calculation.id]:
                if frame.has(each.payee):
                    component = BY_NAME[calculation.scheme].component(calculation, each.component)
                    amount, base = sign * each.amount_minor, sign * each.base * component.base_unit
                    yield Earned(
                        change, sign, calculation, members[each.payee], component, each.component, amount, base
                    )


def payees(books: Books, frame: Frame) -> Cells:
    """Report `payees`."""
    found: Cells = defaultdict(lambda: {"commission": 0, "late": 0, "earned": 0})
    for each in earned_in(books, frame):
        row = found[books.codes[each.payee], each.scheme, each.currency]
        row["late" if each.change.late else "commission"] += each.amount
        row["earned"] += each.amount
    return found


def components(books: Books, frame: Frame) -> Cells:
    """Report `components`."""
    found: Cells = defaultdict(dict)
    of_payee: dict[Any, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for each in earned_in(books, frame):
        key = (each.scheme, each.component.name, each.currency)
        found[key] |= {"title": each.component.title, "sort": each.component.sort}
        of_payee[key][each.payee] += each.amount
    return _counted(found, of_payee)


def roles(books: Books, frame: Frame) -> Cells:
    """Report `roles`."""
    of_payee: dict[Any, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for each in earned_in(books, frame):
        of_payee[each.scheme, each.member.role, each.currency][each.payee] += each.amount
    return _counted(defaultdict(dict), of_payee)


def levels(books: Books, frame: Frame) -> Cells:
    """Report `levels`: a share of what those below earned is cut by how much came from each level."""
    of_payee: dict[Any, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for each in earned_in(books, frame):
        for level, piece in _by_level(books, each):
            of_payee[each.scheme, level, each.currency][each.payee] += piece
    return _counted(defaultdict(dict), of_payee)


def _by_level(books: Books, each: Earned) -> Iterator[tuple[str, int]]:
    if each.component.sort == "bounds":
        yield "—", each.amount
        return
    if each.component.overrides is None:
        yield str(each.component.level), each.amount
        return
    of, shares = each.component.overrides
    number = each.calculation.components.index(of)
    members, weights = books.members[each.calculation.id], {}
    for level, share in enumerate(shares, 1):
        below = {one for one, member in members.items() if member.uplines[level - 1 : level] == [each.payee]}
        rows = books.earnings[each.calculation.id]
        came = sum(row.amount_minor for row in rows if row.payee in below and row.component == number)
        weights[str(level)] = came * share
    yield from cut(each.amount, weights, "—").items()


def _counted(found: Cells, of_payee: dict[Any, dict[int, int]]) -> Cells:
    """With sums, and of how many payees there is anything."""
    for key, amounts in of_payee.items():
        found[key] |= {"payees": sum(amount != 0 for amount in amounts.values()), "amount": sum(amounts.values())}
    return found


def some(books: Books, frame: Frame, chosen: Chosen) -> Cells:
    """The reports of some components."""
    found: Cells = defaultdict(lambda: {"base": 0, "amount": 0})
    for each in filter(chosen, earned_in(books, frame)):
        code, start = books.codes[each.payee], each.change.origin.start
        row = found[code, each.scheme, each.component.name, start, each.currency]
        if each.sign > 0 or "role" not in row:
            row["role"] = each.member.role
        row |= {"title": each.component.title, "measured": each.component.measured}
        row["base"] += each.base
        row["amount"] += each.amount
    return found


def of_sort(sort: str) -> Chosen:
    """Which components are of a sort."""
    return lambda each: each.component.sort == sort


def group_leaders(books: Books, frame: Frame) -> Cells:
    """Report `group-leaders`: all that they earned, with the score that each component goes by."""

    def is_leader(each: Earned) -> bool:
        return bool(each.member.role == "group-leader")

    found = some(books, frame, is_leader)
    for row in found.values():
        row["score"] = None
    for each in filter(is_leader, earned_in(books, frame)):
        if each.sign > 0 and each.component.score:
            key = (books.codes[each.payee], each.scheme, each.component.name, each.change.origin.start, each.currency)
            scored = score(books, each.calculation, each.payee, each.component.score)
            before = found[key]["score"]
            found[key]["score"] = scored if before is None else before if scored is None else max(scored, before)
    return found


def score(books: Books, calculation: Row, payee: int, name: str) -> int | None:
    """The score that was noted last for the period, of what counted."""
    noted = [
        each
        for each in books["payee_facts"]
        if (each.payee, each.name) == (payee, name)
        and calculation.start <= each.day < calculation.end
        and each.seq <= calculation.facts_upto
    ]
    return int(max(noted, key=lambda each: int(each.seq)).amount) if noted else None


def tier_distance(books: Books, frame: Frame) -> Cells:
    """Report `tier-distance`: what was reached of tiers and bonuses in time, and what the next one takes."""

    def has_marks(each: Earned) -> bool:
        return each.component.marks is not None and not each.change.late

    found = some(books, frame, has_marks)
    for (_, scheme, name, _, _), row in found.items():
        marks = [mark * 10_000 for mark in BY_NAME[scheme].components[name].marks or ()]
        row["mark"] = max((mark for mark in marks if mark <= row["base"]), default=None)
        row["next_mark"] = min((mark for mark in marks if mark > row["base"]), default=None)
        row["missing"] = row["next_mark"] - row["base"] if row["next_mark"] is not None else None
    return found


def comparison(books: Books, frame: Frame) -> Cells:
    """Report `comparison`."""
    found: Cells = defaultdict(lambda: {"before": 0, "amount": 0})
    frames: Sequence[tuple[str, set[int]]] = (
        ("amount", frame.inside(books)),
        ("before", frame.span_before(books)),
    )
    for name, periods in frames:
        for each in earned_in(books, frame, periods):
            row = found[each.scheme, each.component.name, each.currency]
            row["title"] = each.component.title
            row[name] += each.amount
    for row in found.values():
        row["change"] = row["amount"] - row["before"]
    return found
