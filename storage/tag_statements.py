"""Tag rules as SQL: what any number of rules say of any number of customers, beside what is written of them.

`storage.trait_statements` writes what changed.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    any_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.selectable import LateralFromClause

from domain.money import HOME_CURRENCY
from domain.tags import Condition, Leaf, LiveRule, leaves
from domain.tags.currencies import currency_of
from storage.customer_tag_tables import CustomerTagRow, TagMarkRow
from storage.measures import NEVER, NOW, Measures, customers_given, keys_of
from storage.recordsets import table_of
from storage.tables import Instant

_HELD, _MARKS = table_of(CustomerTagRow), table_of(TagMarkRow)
_TRUE: ColumnElement[bool] = literal_column("true")
_FALSE: ColumnElement[bool] = literal_column("false")
_ALWAYS_PAST: ColumnElement[Any] = cast(literal_column("'-infinity'"), Instant)

Rules = tuple[LiveRule, ...]


class Answer(NamedTuple):
    """Whether a condition holds, and the earliest instant at which time alone may change that."""

    holds: ColumnElement[bool]
    turns_at: ColumnElement[Any]


def answer(condition: Condition | None, measures: Measures) -> Answer:
    """A condition as expressions over `measures.facts`.

    What is false of `all` stays false until every false part of it has turned; what is true until any part turns.
    """
    if condition is None:
        return Answer(_FALSE, NEVER)
    if isinstance(condition, Leaf):
        measured = measures[condition]
        return Answer(measured.met, measured.turns_at)
    parts = [answer(each, measures) for each in condition.children]
    if condition.word == "all":
        holds = and_(*(part.holds for part in parts))
        hindering = [case((part.holds, _ALWAYS_PAST), else_=part.turns_at) for part in parts]
        turns_at = case(
            (holds, func.least(*(part.turns_at for part in parts))),
            else_=func.greatest(*hindering),
        )
        return Answer(holds, turns_at)
    holds = or_(*(part.holds for part in parts))
    carrying = [case((part.holds, part.turns_at), else_=_ALWAYS_PAST) for part in parts]
    turns_at = case((holds, func.greatest(*carrying)), else_=func.least(*(part.turns_at for part in parts)))
    return Answer(holds if condition.word == "any" else not_(holds), turns_at)


@lru_cache(maxsize=32)
def compare(rules: Rules) -> Select[Any]:
    """Parameters `customers` (ids) and `now`. What each rule says of each customer, beside what is written; that stays.

    Gives back: customer_id, rule, holds, was_held, was_tag, turns_at, why.
    """
    who = customers_given()
    keys = keys_of(who)
    measures = Measures(leaves_of(rules), who, keys, written_beside(who, keys))
    row = judged(rules, measures, explained=True).c
    turns_at = func.nullif(row.turns_at, NEVER).label("turns_at")
    return select(row.customer_id, row.rule, row.holds, row.was_held, row.was_tag, turns_at, row.why)


def leaves_of(rules: Rules) -> list[Leaf]:
    """Everything that rules measure."""
    return [leaf for rule in rules if rule.condition is not None for leaf in leaves(rule.condition)]


def written_beside(who: CTE, keys: LateralFromClause) -> tuple[LateralFromClause, ...]:
    """What `judged` needs beside the measures: the tags that are written and those that are excluded."""
    return _written_of(who), _excluded_of(keys)


def judged(rules: Rules, measures: Measures, *, explained: bool = False) -> CTE:
    """A row for each customer and rule: customer_id, rule, tag, version, holds, turns_at, was_held, was_tag,
    was_version, turn, since, why; measured beside `written_beside`.

    explained: a row also where nothing holds, held or will turn, and the reason in each.
    """
    answers = [answer(rule.condition, measures) for rule in rules]
    facts = measures.facts.c
    answered = select(
        # In front what every rule asks of everybody: to get at a column, those before it are gone through.
        *(facts[name] for name in ("id", "excluded", "written")),
        *(each.holds.label(f"h{number}") for number, each in enumerate(answers)),
        *(each.turns_at.label(f"x{number}") for number, each in enumerate(answers)),
        *(each for each in facts if each.name not in ("id", "excluded", "written")),
    ).cte("answered")
    parts = [_branch(number, rule, measures, answered, explained) for number, rule in enumerate(rules)]
    return union_all(*parts).cte("evaluated")


def _written_of(who: CTE) -> LateralFromClause:
    """What is written of a customer, by rule: held, tag, version, turn, since."""
    row = func.jsonb_build_array(_HELD.c.held, _HELD.c.tag, _HELD.c.version, _HELD.c.turn, _HELD.c.since)
    return (
        select(func.jsonb_object_agg(_HELD.c.rule, row, type_=JSONB).label("written"))
        .where(_HELD.c.customer_id == who.c.id)
        .lateral("of_written")
    )


def _excluded_of(keys: LateralFromClause) -> LateralFromClause:
    """The tags that somebody excluded for a customer."""
    return (
        select(func.array_agg(_MARKS.c.tag, type_=ARRAY(Text)).label("excluded"))
        .where(_MARKS.c.identity_id == any_(keys.c.ids), _MARKS.c.kind == "exclude", _MARKS.c.ended_at.is_(None))
        .lateral("of_marks")
    )


def _branch(number: int, rule: LiveRule, measures: Measures, facts: CTE, explained: bool) -> Select[Any]:
    meets, turns_at = facts.c[f"h{number}"], facts.c[f"x{number}"]
    name, tag, version = (cast(literal(each, Text), Text) for each in (rule.name, rule.tag, rule.version))
    was = facts.c.written[name]
    is_excluded = func.coalesce(tag == any_(facts.c.excluded), _FALSE)
    holds = and_(meets, not_(is_excluded))
    was_held = func.coalesce(cast(was[0], Boolean), _FALSE)
    turned = holds != was_held
    turn = func.coalesce(cast(was[3], Integer), 0) + case((and_(holds, not_(was_held)), 1), else_=0)
    told = _TRUE if explained else or_(turned, was[2].astext != version)
    statement = select(
        facts.c.id.label("customer_id"),
        name.label("rule"),
        tag.label("tag"),
        version.label("version"),
        holds.label("holds"),
        turns_at.label("turns_at"),
        was_held.label("was_held"),
        func.coalesce(was[1].astext, tag).label("was_tag"),
        func.coalesce(was[2].astext, version).label("was_version"),
        turn.label("turn"),
        case((turned, NOW), else_=cast(was[4].astext, Instant)).label("since"),
        case((told, _why(rule, measures, facts))).label("why"),
    ).select_from(facts)
    if explained:
        return statement
    return statement.where(or_(holds, was_held, turns_at < NEVER))


def _why(rule: LiveRule, measures: Measures, facts: CTE) -> ColumnElement[Any]:
    """What the rule saw: for each of its conditions the value, and whether it was met."""
    if rule.condition is None:
        return func.jsonb_build_array()
    seen: list[ColumnElement[Any]] = []
    for leaf in leaves(rule.condition):
        value, met, _ = (facts.c[each.key or ""] for each in measures[leaf])
        words = {"place": leaf.pointer, "fact": leaf.fact, "measure": leaf.measure, "of": leaf.of}
        if (currency := currency_of(leaf)) not in (None, HOME_CURRENCY):
            words["currency"] = currency
        pairs = [cast(literal(part, Text), Text) for word in words.items() for part in word]
        seen.append(
            func.jsonb_build_object(
                *pairs,
                literal_column("'value'"),
                value,
                literal_column("'met'"),
                met,
            )
        )
    return func.jsonb_build_array(*seen)
