"""Measures of many customers' records by one statement: counts, sums and instants, one pass over each kind of record.

Whatever looks at facts (tag rules, stages, grades) measures through here, so that they mean the same by the same words.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Interval,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    distinct,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID, aggregate_order_by
from sqlalchemy.sql.selectable import LateralFromClause

from domain.tags import FACTS, Bounds, Leaf, RecordTest, rhythms_of
from domain.tags.facts import Source
from domain.tags.shares import WHOLE
from storage.fact_columns import instant_of, is_of, passes, shelf_of, value_of
from storage.identities import IdentityRow
from storage.purchase_rhythms import DUE, FIELDS, interval_or, rhythms, silent_for
from storage.recordsets import table_of
from storage.tables import Instant

NOW: ColumnElement[Any] = cast(bindparam("now", type_=Instant), Instant)
NEVER: ColumnElement[Any] = cast(literal_column("'infinity'"), Instant)
_IDENTITIES = table_of(IdentityRow)
_ZONE = "Asia/Shanghai"
_SOURCES: tuple[Source, ...] = ("orders", "order_lines", "refunds", "interactions", "rhythms")


def customers_given() -> CTE:
    """The parameter `customers` as rows with the column `id`."""
    given = cast(bindparam("customers", type_=ARRAY(UUID(as_uuid=True))), ARRAY(UUID(as_uuid=True)))
    rows = func.unnest(given).table_valued(column("id", UUID(as_uuid=True)), name="given").render_derived()
    return select(rows.c.id).cte("who")


def keys_of(who: CTE) -> LateralFromClause:
    """The identities of each customer as one array, `ids`.

    Records are found by it and not by a join: there is only one way to do that, whatever the statistics say.
    """
    return (
        select(func.array_agg(_IDENTITIES.c.id, type_=ARRAY(BigInteger)).label("ids"))
        .where(_IDENTITIES.c.customer_id == who.c.id)
        .lateral("keys")
    )


def span(length: timedelta) -> ColumnElement[Any]:
    """A length of time. In seconds: an interval of days goes by the calendar, which costs ten times as much for each
    record, and says the same in UTC."""
    return literal_column(f"interval '{length.total_seconds():f} seconds'", Interval)


def worked_out(statement: Select[Any], name: str) -> CTE:
    """A CTE that the planner does not fold into what reads it: there, each expression would be computed again at every
    place that refers to it."""
    return statement.cte(name).prefix_with("MATERIALIZED")


class Measured(NamedTuple):
    """Of one leaf: its value, whether it is within the leaf's bounds, and the earliest instant after now at which time
    alone may change that."""

    value: ColumnElement[Any]
    met: ColumnElement[bool]
    turns_at: ColumnElement[Any]


class Measures:
    """The leaves of several conditions, measured together. `facts` has one row a customer, with the column `id`.

    What leaves are compared with are leaves themselves, as `domain.tags.leaves` gives them.
    """

    def __init__(
        self, leaves: Iterable[Leaf], who: CTE, keys: LateralFromClause, beside: Sequence[LateralFromClause] = ()
    ) -> None:
        """beside: more of each customer, one row each; its columns are columns of `facts` too."""
        self._leaves: dict[tuple[object, ...], Leaf] = {}
        for leaf in leaves:
            self._leaves.setdefault(_same(leaf), leaf)
        self._numbers = {key: number for number, key in enumerate(self._leaves)}
        rows: Any = who.join(keys, true())
        columns: list[ColumnElement[Any]] = [who.c.id]
        for source in _SOURCES:
            same = [leaf for leaf in self._leaves.values() if FACTS[leaf.fact].source == source]
            if same:
                part = self._part(source, same, keys)
                rows = rows.join(part, true())
                columns += part.c
        for more in beside:
            rows = rows.join(more, true())
            columns += more.c
        raw = select(*columns).select_from(rows).cte("raw")
        # Each answer is worked out once here, however many rules and places refer to it.
        self.facts: CTE = worked_out(
            select(
                raw.c.id,
                *(raw.c[each.name] for more in beside for each in more.c),
                *(each for leaf in self._leaves.values() for each in self._answers(leaf, raw)),
            ),
            "facts",
        )

    def __getitem__(self, leaf: Leaf) -> Measured:
        number, columns = self._numbers[_same(leaf)], self.facts.c
        return Measured(columns[f"v{number}"], columns[f"m{number}"], columns[f"n{number}"])

    def _answers(self, leaf: Leaf, raw: CTE) -> list[ColumnElement[Any]]:
        number = self._numbers[_same(leaf)]
        value: ColumnElement[Any] = raw.c[f"v{number}"]
        whole = raw.c[f"w{number}"] if leaf.measure == "share" else None
        other = raw.c[f"v{self._numbers[_same(leaf.bounds.after)]}"] if leaf.bounds.after is not None else None
        if leaf.measure in ("count", "sum", "distinct"):
            value = func.coalesce(value, literal_column("0"))
        leaving = [raw.c[name] for name in (f"t{number}_{place}" for place in range(3)) if name in raw.c]
        return [
            (value if whole is None else func.concat(value, "/", whole)).label(f"v{number}"),
            _meets(leaf, value, whole, other).label(f"m{number}"),
            _turns_at(leaf, value, leaving).label(f"n{number}"),
        ]

    def _part(self, source: Source, same: Sequence[Leaf], keys: LateralFromClause) -> LateralFromClause:
        """One row for each customer, found by index: what it costs does not depend on how many others there are."""
        shelf = shelf_of(source)
        # What every leaf asks of a record is asked once: that an order was paid for is asked by nearly all.
        asked = frozenset.intersection(*(frozenset((leaf.fact, test) for test in leaf.looked_at) for leaf in same))
        statement = select(*(each for leaf in same for each in self._columns(leaf, asked)))
        if shelf.rows is None or shelf.identity is None:
            rows = rhythms(keys.c.ids, keys, categories=rhythms_of(same))
            statement = statement.select_from(rows.lateral("rhythm"))
        else:
            statement = statement.select_from(shelf.rows).where(shelf.identity == any_(keys.c.ids))
        statement = statement.where(*(passes(fact, test) for fact, test in sorted(asked, key=str)))
        windows = [leaf.within for leaf in same]
        if all(window is not None for window in windows):
            longest = max(window for window in windows if window is not None)
            statement = statement.where(shelf.at > NOW - span(longest))
        return statement.lateral(f"of_{source}")

    def _columns(self, leaf: Leaf, asked: Collection[tuple[str, RecordTest]] = ()) -> list[ColumnElement[Any]]:
        """asked: what every record that is looked at passed already."""
        fact, number = FACTS[leaf.fact], self._numbers[_same(leaf)]
        at = shelf_of(fact.source).at
        counts = [is_of(fact), *(passes(fact.name, test) for test in leaf.tests if (fact.name, test) not in asked)]
        if leaf.within is not None:
            counts.append(at > NOW - span(leaf.within))
        counted = and_(*counts)
        value: ColumnElement[Any]
        match leaf.measure:
            case "count":
                value = func.count().filter(counted)
            case "sum":
                value = func.coalesce(func.sum(value_of(fact, leaf.of)).filter(counted), literal_column("0"))
            case "distinct":
                value = func.count(distinct(value_of(fact, leaf.of))).filter(counted)
            case "share":
                return self._share(leaf, counted, asked)
            case "latest":
                value = func.max(instant_of(fact, leaf.of)).filter(counted)
            case "earliest":
                value = func.min(instant_of(fact, leaf.of)).filter(counted)
            case "silence":
                return self._silence(leaf, counted, at)
        columns: list[ColumnElement[Any]] = [value.label(f"v{number}")]
        if leaf.within is not None:
            length = span(leaf.within)
            columns += [
                (instant + length).label(f"t{number}_{place}")
                for place, instant in enumerate(_leaving(leaf, at, counted))
            ]
        return columns

    def _share(
        self, leaf: Leaf, counted: ColumnElement[bool], asked: Collection[tuple[str, RecordTest]]
    ) -> list[ColumnElement[Any]]:
        """How many records count, and among how many; it changes when any of these leaves the window."""
        fact, number = FACTS[leaf.fact], self._numbers[_same(leaf)]
        at = shelf_of(fact.source).at
        tests = [passes(fact.name, test) for test in leaf.among if (fact.name, test) not in asked]
        looked_at = and_(is_of(fact), *tests)
        if leaf.within is not None:
            looked_at = and_(looked_at, at > NOW - span(leaf.within))
        columns: list[ColumnElement[Any]] = [
            func.count().filter(counted).label(f"v{number}"),
            func.count().filter(looked_at).label(f"w{number}"),
        ]
        if leaf.within is not None:
            columns.append((func.min(at).filter(looked_at) + span(leaf.within)).label(f"t{number}_0"))
        return columns

    def _silence(self, leaf: Leaf, counted: ColumnElement[bool], at: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        """The category that was silent for so long, its interval and its last day, as `猫粮 P30D 2026-10-01`; of
        several the one that is due first. Beside it when any of them begins or ends to be silent for so long."""
        number, low, high = self._numbers[_same(leaf)], leaf.bounds.low, leaf.bounds.high
        told = func.concat(
            FIELDS["category"], " P", interval_or(leaf.bounds.assumed_days), "D ", func.date(func.timezone(_ZONE, at))
        )
        first = func.array_agg(aggregate_order_by(told, DUE, FIELDS["category"]), type_=ARRAY(Text))
        columns: list[ColumnElement[Any]] = [first.filter(and_(counted, *_silent(leaf.bounds)))[1].label(f"v{number}")]
        turns = [silent_for(percent, leaf.bounds.assumed_days) for percent in (low, high) if percent is not None]
        if leaf.within is not None:
            turns.append(at + span(leaf.within))
        columns += [
            func.min(turn).filter(and_(counted, turn > NOW)).label(f"t{number}_{place}")
            for place, turn in enumerate(turns)
        ]
        return columns


def _silent(bounds: Bounds) -> list[ColumnElement[bool]]:
    """That the silence has begun and not ended; an interval that nobody knows gives neither."""
    begun = [] if bounds.low is None else [silent_for(bounds.low, bounds.assumed_days) <= NOW]
    return begun if bounds.high is None else [*begun, silent_for(bounds.high, bounds.assumed_days) > NOW]


def _leaving(leaf: Leaf, at: ColumnElement[Any], counted: ColumnElement[bool]) -> list[ColumnElement[Any]]:
    """The times of the records that matter when they leave the window.

    A count of at least n changes when the n-th newest record leaves, and only if there is one. A sum may change with
    every record that leaves: the oldest is the first.
    """
    if leaf.measure != "count":
        return [func.min(at).filter(counted)]
    steps = [step for step in (leaf.bounds.low, None if leaf.bounds.high is None else leaf.bounds.high + 1) if step]
    if steps == [1]:
        return [func.max(at).filter(counted)]
    # Sorted only where there are so many: an aggregate that sorts begins to for everybody.
    newest_first = func.array_sort(func.array_agg(at).filter(counted), true(), type_=ARRAY(Instant))
    return [case((func.count().filter(counted) >= _number(step), newest_first[step])) for step in steps]


def _same(leaf: Leaf) -> tuple[object, ...]:
    return (*leaf.subject, leaf.bounds)


def _meets(
    leaf: Leaf, value: ColumnElement[Any], whole: ColumnElement[Any] | None, other: ColumnElement[Any] | None
) -> ColumnElement[bool]:
    """whole: how many records a share is of. other: the instant that an instant has to lie after."""
    if leaf.measure == "silence":
        return value.is_not(None)
    bounds = leaf.bounds
    met: list[ColumnElement[bool]] = [value.is_not(None)]
    unit: ColumnElement[Any] | None = None
    if whole is not None:
        met.append(whole > literal_column("0"))
        value, unit = value * _number(WHOLE), whole
    if bounds.low is not None:
        met.append(value >= (_number(bounds.low) if unit is None else _number(bounds.low) * unit))
    if bounds.high is not None:
        met.append(value <= (_number(bounds.high) if unit is None else _number(bounds.high) * unit))
    if other is not None:
        met.append(value > other)
    if bounds.older is not None:
        met.append(value <= NOW - span(bounds.older))
    if bounds.newer is not None:
        met.append(value > NOW - span(bounds.newer))
    return func.coalesce(and_(true(), *met), literal_column("false"))


def _turns_at(leaf: Leaf, value: ColumnElement[Any], leaving: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    bounds = leaf.bounds
    turns: list[ColumnElement[Any]] = list(leaving)
    if leaf.measure in ("sum", "distinct"):
        # What leaves a window makes these smaller: only from above a bound can they come below it.
        steps = [step for step in (bounds.low, None if bounds.high is None else bounds.high + 1) if step]
        above = or_(false(), *(value >= _number(step) for step in steps))
        turns = [case((above, turn)) for turn in turns]
    turns += [value + span(length) for length in (bounds.older, bounds.newer) if length is not None]
    return func.least(*(case((turn > NOW, turn), else_=NEVER) for turn in turns), NEVER)


def _number(value: int) -> ColumnElement[Any]:
    return cast(literal(value, BigInteger), BigInteger)
