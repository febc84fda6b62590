"""Whether an order counts no less as more is sold: what filters and weights do to `promise: rising`.

An order that grows passes marks of its amount, and has more lines. By neither may it come to count less. Which weight
holds is decided by the first that fits, so every fall is between two of them, or one and none: those are tried.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from domain.dsl.findings import child
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.exact import WEIGHT
from domain.settlement.scheme import FIELDS_OF_LINES, Base, LineTest, Weighting

_AMOUNT = "order-amount"
_Fits = tuple[int, ...]
"""Places of weights whose tests hold, but for those of the amount."""


def refuse_fewer_counted(
    base: Base,
    tests: Sequence[LineTest],
    weightings: Sequence[Weighting],
    shown: Callable[[int], str],
    pointer: str,
    remarks: Remarks,
) -> None:
    """An error for each filter and weight of a component by which an order that grows comes to count less.

    shown: an amount, for people; pointer: of the component.
    """
    bounds = [(_bounds(tests), child(pointer, "where", _AMOUNT))]
    bounds += [(_bounds(w.tests), child(pointer, "weights", place)) for place, w in enumerate(weightings)]
    if base == "fx-difference":
        for (low, high), at in bounds:
            if low or high is not None:
                _refuse(
                    "汇兑差额可为负，不能让大单计得与小单不同",
                    "An FX difference may be negative: large orders cannot count otherwise than small ones",
                    at,
                    remarks,
                )
        return
    (low, high), at = bounds[0]
    if high is not None:
        _refuse(
            f"整单金额达到 {shown(high)} 就不再计：订单大一点，收入反而减少",
            f"An order that reaches {shown(high)} counts no more: who sells a little more earns less",
            at,
            remarks,
        )
    for place, fall in _Weights(base, tests, weightings).falls(low).items():
        before, after = f"{fall.before / WEIGHT:g}", f"{fall.after / WEIGHT:g}"
        _refuse(
            f"整单金额达到 {shown(fall.mark)} 后由 {before} 倍降为 {after} 倍：订单大一点，收入反而减少"
            if fall.mark is not None
            else f"一单里再有一行符合，就由 {before} 倍降为 {after} 倍：多卖一件，收入反而减少",
            f"An order that reaches {shown(fall.mark)} counts {after} times, and {before} below: who sells a little "
            "more earns less"
            if fall.mark is not None
            else f"One more line that fits, and an order counts {after} times instead of {before}: who sells more "
            "earns less",
            child(pointer, "weights", place),
            remarks,
        )


class _Fall(NamedTuple):
    """Of which weight to which other one an order falls: at a mark of its amount, or, without one, by a line more."""

    mark: int | None
    before: int
    after: int


class _Weights:
    """The weights of a component. Lines that are counted one by one pass all tests of a weight themselves; of an order
    that is counted as a whole each weight may have a line of its own."""

    def __init__(self, base: Base, tests: Sequence[LineTest], weightings: Sequence[Weighting]) -> None:
        self._of_orders = base == "orders"
        self._tests = tests
        self._all = weightings
        self._bounds = [_bounds(each.tests) for each in weightings]

    def falls(self, least: int) -> Mapping[int, _Fall]:
        """The first fall by each weight. least: the amount from which on orders count at all."""
        marks = sorted({least, *(mark for each in self._bounds for mark in each if mark is not None and mark > least)})
        found: dict[int, _Fall] = {}
        for fits in self._all_fits():
            for lower, upper in pairwise(marks):
                self._note(found, upper, self._first(fits, lower), self._first(fits, upper))
        if self._of_orders:
            for before, after in self._grown():
                for mark in marks:
                    self._note(found, None, self._first(before, mark), self._first(after, mark))
        return dict(sorted(found.items()))

    def _note(self, found: dict[int, _Fall], mark: int | None, before: int | None, after: int | None) -> None:
        fall = _Fall(mark, self._weight(before), self._weight(after))
        place = before if after is None else after
        if place is not None and fall.after < fall.before:
            found.setdefault(place, fall)

    def _weight(self, place: int | None) -> int:
        return WEIGHT if place is None else self._all[place].weight

    def _first(self, fits: _Fits, amount: int) -> int | None:
        """Which weight holds for an order of this amount."""
        for place in fits:
            low, high = self._bounds[place]
            if low <= amount and (high is None or amount < high):
                return place
        return None

    def _all_fits(self) -> Iterator[_Fits]:
        """What may hold together: any two weights, with all that hold wherever they do."""
        places = range(len(self._all))
        for some in ((), *((each,) for each in places), *combinations(places, 2)):
            if self._may_hold(some):
                yield self._with_implied(some)

    def _grown(self) -> Iterator[tuple[_Fits, _Fits]]:
        """What holds of an order, and what does once it has a line more that makes another weight hold."""
        places = range(len(self._all))
        for more in places:
            if any(test.field in FIELDS_OF_LINES for test in self._all[more].tests):
                for some in ((), *((each,) for each in places if each != more)):
                    if self._may_hold((more, *some)):
                        yield self._with_implied(some, more), self._with_implied((more, *some))

    def _may_hold(self, places: _Fits) -> bool:
        return all(passes for known in self._known(places) for passes in known.values())

    def _with_implied(self, places: _Fits, *beside: int) -> _Fits:
        """With all that hold wherever these do. beside: places that the order itself fits, and no line of it yet."""
        known = self._known(places, beside)
        implied = (
            place
            for place, each in enumerate(self._all)
            if place in places or any(_implies(one, each.tests) for one in known)
        )
        return tuple(implied)

    def _known(self, places: _Fits, beside: _Fits = ()) -> list[Mapping[str, frozenset[object]]]:
        """What is known of each line by which these weights hold: of each field, what it may be."""
        own = [self._all[place].tests for place in places]
        if not self._of_orders:
            return [_allowed([*self._tests, *(test for each in own for test in each)])]
        all_of_order = [*own, *(self._all[place].tests for place in beside)]
        shared = [test for each in all_of_order for test in each if test.field not in FIELDS_OF_LINES]
        return [_allowed([*self._tests, *shared, *each]) for each in own or [()]]


def _allowed(tests: Sequence[LineTest]) -> Mapping[str, frozenset[object]]:
    """Of each field that is tested what passes all its tests; amounts are looked at by themselves."""
    found: dict[str, frozenset[object]] = {}
    for test in tests:
        if test.field != _AMOUNT:
            passes = frozenset[object]({test.flag} if test.flag is not None else test.values)
            found[test.field] = found.get(test.field, passes) & passes
    return found


def _implies(known: Mapping[str, frozenset[object]], tests: Sequence[LineTest]) -> bool:
    return all(field in known and known[field] <= passes for field, passes in _allowed(tests).items())


def _bounds(tests: Sequence[LineTest]) -> tuple[int, int | None]:
    """From which amount on, and below which, an order passes."""
    return next(((test.low or 0, test.high) for test in tests if test.field == _AMOUNT), (0, None))


def _refuse(zh: str, en: str, pointer: str, remarks: Remarks) -> None:
    text = Text(f"{zh}；与 promise: rising 不符", f"{en}, against `promise: rising`")
    remarks.error_if_new("broken-promise", pointer, text)
