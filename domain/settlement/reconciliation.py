"""What our books and a platform's bill have in common, and where they differ. Tolerance: nothing.

The ladder, each rung for what the ones before left over:

1. number, amount and direction are the same;
2. the platform's own number, amount and direction are the same, where our books have that number: payouts and shares;
3. several that bear one number come to the same sum; what left and came back is nothing, as ours that never was money;
4. one number, another sum: `amount`; ours never was money, or nobody said that it is: `state`;
5. a number that is matched already: `duplicate`;
6. only the bill has it: `missing-ours`; only the books: `timing` while a later bill may still have it, then
   `missing-theirs`. The hour only suggests what might belong together; it never matches.

What comes of it does not depend on the order of rows.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from domain.settlement.bills import BillKind, Direction, LineKind

Family = Literal["payment", "refund", "transfer", "share", "discount", "fee", "refund-fee"]
"""What is compared with what; coupons and points together are an order's discount. share: of a payment, by profit
sharing; refund-fee: what of the fee comes back with a refund."""
BreakKind = Literal["missing-ours", "missing-theirs", "amount", "state", "duplicate", "timing", "overdue"]
"""overdue: of a payout whose rail has not said for weeks how it ended; no bill finds that."""
BREAK_KINDS: tuple[BreakKind, ...] = (
    "missing-ours",
    "missing-theirs",
    "amount",
    "state",
    "duplicate",
    "timing",
    "overdue",
)
Rule = Literal["number", "channel-number", "sum", "net"]
Standing = Literal["done", "open", "over"]
"""done: money moved; open: the rail is asked, and a bill may be the first to say; over: no money moved as far as we
know."""

FAMILIES: Mapping[LineKind, Family] = {
    "payment": "payment",
    "refund": "refund",
    "transfer": "transfer",
    "share": "share",
}
FEES: Mapping[Family, Family] = {"payment": "fee", "refund": "refund-fee"}
"""What is compared together with what it is the fee of."""
WINDOW_DAYS = 3
NEAR = timedelta(hours=2)
_AFTER_ANY = "\U0010ffff"


class Ours(NamedTuple):
    """Something in our books. shop: the account it is kept at. day: its Shanghai day; None when it never was money.

    group: a number that several of ours are billed under. expected: a bill of the days that are looked at has to have
    it. taken: an earlier or later run found it already.
    """

    family: Family
    shop: str
    number: str
    amount_minor: int
    direction: Direction
    day: date | None
    at: datetime | None = None
    standing: Standing = "done"
    channel_number: str | None = None
    group: str | None = None
    expected: bool = True
    taken: bool = False

    @property
    def signed_minor(self) -> int:
        return self.amount_minor if self.direction == "in" else -self.amount_minor


class Theirs(NamedTuple):
    """A line of a bill, by the bill's number, its row and its kind, which together name it."""

    day: date
    bill: int
    line: int
    kind: LineKind
    family: Family
    direction: Direction
    amount_minor: int
    at: datetime
    number: str | None = None
    channel_number: str | None = None
    fee_minor: int = 0

    @property
    def signed_minor(self) -> int:
        return self.amount_minor if self.direction == "in" else -self.amount_minor


class Match(NamedTuple):
    """What belongs together."""

    ours: tuple[Ours, ...]
    theirs: tuple[Theirs, ...]
    rule: Rule


class Break(NamedTuple):
    """What does not agree. Sums are signed: below nothing for what goes out. suggestion: a number that might belong to
    it."""

    kind: BreakKind
    family: Family
    day: date
    ours: tuple[Ours, ...]
    theirs: tuple[Theirs, ...]
    our_minor: int
    their_minor: int
    suggestion: str | None = None

    @property
    def difference_minor(self) -> int:
        """What the bill has more than the books."""
        return self.their_minor - self.our_minor


class Outcome(NamedTuple):
    """Every line that was compared, and all of ours that a bill has to have, stands in exactly one of these once."""

    matches: Sequence[Match]
    breaks: Sequence[Break]


def reconciled(
    ours: Iterable[Ours], theirs: Iterable[Theirs], through: Mapping[BillKind, date], window_days: int = WINDOW_DAYS
) -> Outcome:
    """The matches and the breaks. through: the last day that there is a bill of, by its kind."""
    ladder = _Ladder(ours, theirs)
    ladder.match_pairs("number")
    ladder.match_pairs("channel-number")
    ladder.match_sums()
    ladder.break_sums()
    ladder.break_leftovers(through, timedelta(days=window_days))
    return Outcome(ladder.matches, ladder.breaks)


def bill_of(family: Family) -> BillKind:
    """Which bill tells of it."""
    return "funds" if family in ("transfer", "share") else "trade"


_Key = tuple[Family, str]


class _Ladder:
    def __init__(self, ours: Iterable[Ours], theirs: Iterable[Theirs]) -> None:
        self._ours = sorted(ours, key=lambda each: (each.family, each.number, each.shop))
        self._lines = sorted(theirs, key=lambda each: (each.day, each.bill, each.line, each.kind))
        self._by: dict[str, dict[_Key, list[int]]] = {
            "number": defaultdict(list),
            "channel-number": defaultdict(list),
            "group": defaultdict(list),
        }
        for place, each in enumerate(self._ours):
            self._by["number"][each.family, each.number].append(place)
            if each.channel_number is not None:
                self._by["channel-number"][each.family, each.channel_number].append(place)
            if each.group is not None:
                self._by["group"][each.family, each.group].append(place)
        self._settled: set[_Key] = set()
        self._free_ours = [True] * len(self._ours)
        self._free_lines = [True] * len(self._lines)
        for place, each in enumerate(self._ours):
            if each.taken:
                self._use_ours(place)
        self.matches: list[Match] = []
        self.breaks: list[Break] = []

    def match_pairs(self, rule: Literal["number", "channel-number"]) -> None:
        for place, line in enumerate(self._lines):
            number = line.number if rule == "number" else line.channel_number
            if number is None or not self._free_lines[place]:
                continue
            for mine in self._by[rule].get((line.family, number), ()):
                each = self._ours[mine]
                same = (each.amount_minor, each.direction) == (line.amount_minor, line.direction)
                if same and self._free_ours[mine] and each.standing != "over":
                    self._match([mine], [place], rule)
                    break

    def match_sums(self) -> None:
        for mine, lines in self._groups():
            if any(self._ours[each].standing == "over" for each in mine):
                if self._sum_of_lines(lines) == 0 and all(self._ours[each].standing == "over" for each in mine):
                    self._match(mine, lines, "net")
                continue
            if len(mine) == len(lines) == 1:
                continue
            if self._sum_of_ours(mine) == self._sum_of_lines(lines):
                self._match(mine, lines, "sum")

    def break_sums(self) -> None:
        for mine, lines in self._groups():
            over = any(self._ours[each].standing == "over" for each in mine)
            self._break("state" if over else "amount", mine, lines)

    def break_leftovers(self, through: Mapping[BillKind, date], window: timedelta) -> None:
        lines = [place for place, free in enumerate(self._free_lines) if free]
        mine = [place for place, free in enumerate(self._free_ours) if free and self._ours[place].expected]
        near = _Nearest([self._ours[each] for each in mine])
        alike = _Nearest([self._lines[each] for each in lines])
        for place in lines:
            line = self._lines[place]
            if any((line.family, number) in self._settled for number in _numbers(line)):
                self._break("duplicate", [], [place])
            else:
                self._break("missing-ours", [], [place], near.to(line))
        for place in mine:
            each = self._ours[place]
            last = through.get(bill_of(each.family))
            late = each.day is not None and last is not None and each.day + window <= last
            self._break("missing-theirs" if late else "timing", [place], [], alike.to(each))

    def _groups(self) -> list[tuple[list[int], list[int]]]:
        """What is left over and bears one number, on both sides; each member in one group only."""
        found: list[tuple[list[int], list[int]]] = []
        seen_ours: set[int] = set()
        seen_lines: set[int] = set()
        for rule in ("number", "channel-number"):
            for key, left in self._left(rule).items():
                lines = [each for each in left if each not in seen_lines]
                mine = [each for each in self._by[rule].get(key, ()) if self._free_ours[each]]
                if not mine and rule == "number":
                    mine = [each for each in self._by["group"].get(key, ()) if self._free_ours[each]]
                mine = [each for each in mine if each not in seen_ours]
                if mine and lines:
                    seen_ours.update(mine)
                    seen_lines.update(lines)
                    found.append((mine, lines))
        return found

    def _left(self, rule: str) -> dict[_Key, list[int]]:
        left: dict[_Key, list[int]] = defaultdict(list)
        for place, line in enumerate(self._lines):
            number = line.number if rule == "number" else line.channel_number
            if number is not None and self._free_lines[place]:
                left[line.family, number].append(place)
        return left

    def _match(self, mine: list[int], lines: list[int], rule: Rule) -> None:
        ours, theirs = tuple(self._ours[each] for each in mine), tuple(self._lines[each] for each in lines)
        self._use(mine, lines)
        self.matches.append(Match(ours, theirs, rule))

    def _break(self, kind: BreakKind, mine: list[int], lines: list[int], suggestion: str | None = None) -> None:
        ours, theirs = tuple(self._ours[each] for each in mine), tuple(self._lines[each] for each in lines)
        self._use(mine, lines)
        family = theirs[0].family if theirs else ours[0].family
        days = [each.day for each in theirs] or [each.day for each in ours if each.day is not None]
        # An order that never was money is a difference of all of the bill's sum.
        our_minor = sum(each.signed_minor for each in ours if each.standing != "over")
        their_minor = sum(each.signed_minor for each in theirs)
        self.breaks.append(Break(kind, family, min(days), ours, theirs, our_minor, their_minor, suggestion))

    def _use(self, mine: list[int], lines: list[int]) -> None:
        for each in mine:
            self._use_ours(each)
        for place in lines:
            self._free_lines[place] = False
            self._settled.update((self._lines[place].family, number) for number in _numbers(self._lines[place]))

    def _use_ours(self, place: int) -> None:
        each = self._ours[place]
        self._free_ours[place] = False
        self._settled.add((each.family, each.number))
        if each.channel_number is not None:
            self._settled.add((each.family, each.channel_number))

    def _sum_of_ours(self, places: list[int]) -> int:
        return sum(self._ours[each].signed_minor for each in places)

    def _sum_of_lines(self, places: list[int]) -> int:
        return sum(self._lines[each].signed_minor for each in places)


class _Nearest:
    """What has the same amount and direction within two hours, when there is only one."""

    def __init__(self, among: Iterable[Ours | Theirs]) -> None:
        self._among: dict[tuple[Family, Direction, int], list[tuple[datetime, str]]] = defaultdict(list)
        for each in among:
            number = each.number or (each.channel_number or "")
            if each.at is not None and number:
                self._among[each.family, each.direction, each.amount_minor].append((each.at, number))
        for one in self._among.values():
            one.sort()

    def to(self, wanted: Ours | Theirs) -> str | None:
        """Its number, as a suggestion."""
        found = self._among.get((wanted.family, wanted.direction, wanted.amount_minor))
        if found is None or wanted.at is None:
            return None
        first = bisect_left(found, (wanted.at - NEAR, ""))
        last = bisect_right(found, (wanted.at + NEAR, _AFTER_ANY))
        return found[first][1] if last - first == 1 else None


def _numbers(line: Theirs) -> list[str]:
    return [each for each in (line.number, line.channel_number) if each is not None]
