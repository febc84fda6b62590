"""A grading as SQL: what it says of any number of customers, beside what is written of them.

`storage.trait_statements` writes what changed.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from domain.tags import Leaf, LiveGrading, leaves
from domain.tags.grading import GradeStep, conditions_of
from storage.customer_tag_tables import CustomerGradeRow
from storage.measures import NEVER, NOW, Measures, customers_given, keys_of, worked_out
from storage.recordsets import table_of
from storage.tag_statements import answer

_GRADES = table_of(CustomerGradeRow)


def graded(grading: LiveGrading, measures: Measures, place: int) -> CTE:
    """A row for each customer: id, grading, version, grade, was, score, turn, since, turns_at, has_changed, is_told and
    why. place: tells the gradings of one statement apart."""
    name, version = _word(grading.name), _word(grading.version)
    row = _answered(grading, measures, place).c
    row = _aside(select(*row, _score(grading, row).label("score")), f"scored{place}").c
    row = _aside(select(*row, _grade(grading, row).label("grade")), f"named{place}").c
    has_changed = or_(row.known.is_(None), row.grade.is_distinct_from(row.was_grade))
    is_told = or_(has_changed, row.score != row.was_score, row.was_version != version)
    row = _aside(
        select(*row, has_changed.label("has_changed"), is_told.label("is_told")),
        f"compared{place}",
    ).c
    turns = [row[f"x{number}"] for number, _ in _conditional(grading)]
    return worked_out(
        select(
            row.id,
            name.label("grading"),
            version.label("version"),
            row.grade,
            row.was_grade.label("was"),
            row.score,
            (func.coalesce(row.was_turn, 0) + case((row.has_changed, 1), else_=0)).label("turn"),
            case((row.has_changed, NOW), else_=row.was_since).label("since"),
            func.least(*turns, NEVER).label("turns_at"),
            row.has_changed,
            row.is_told,
            # What nobody is told need not be put into words.
            case((row.is_told, _why(grading, row))).label("why"),
        ),
        f"graded{place}",
    )


@lru_cache(maxsize=32)
def compare_grades(grading: LiveGrading) -> Select[Any]:
    """Parameters `customers` (ids) and `now`. What a grading says of each customer, and what is written: id, grade,
    was; nothing is written."""
    who = customers_given()
    row = graded(grading, Measures(steps_of((grading,)), who, keys_of(who)), 0).c
    return select(row.id, row.grade, row.was)


def steps_of(gradings: Iterable[LiveGrading]) -> list[Leaf]:
    """Everything that gradings measure."""
    return [leaf for each in gradings for condition in conditions_of(each) for leaf in leaves(condition)]


def _aside(statement: Select[Any], name: str) -> Subquery:
    """A subquery that the planner works out before what is around it; see `storage.measures.worked_out`, which keeps
    the rows as well."""
    return statement.offset(literal_column("0")).subquery(name)


def _conditional(grading: LiveGrading) -> list[tuple[int, GradeStep]]:
    """The steps that have a condition, with their places."""
    return [(place, step) for place, step in enumerate(grading.steps) if step.condition is not None]


def _answered(grading: LiveGrading, measures: Measures, place: int) -> Subquery:
    """For each step whether it holds (`h0` …) and when time alone may change that (`x0` …), beside what is written."""
    facts = measures.facts
    columns: list[ColumnElement[Any]] = []
    for number, step in _conditional(grading):
        holds, turns_at = answer(step.condition, measures)
        columns += [holds.label(f"h{number}"), turns_at.label(f"x{number}")]
    written = _GRADES.alias()
    was = (written.c[name].label(f"was_{name}") for name in ("grade", "score", "version", "turn", "since"))
    is_there = and_(written.c.customer_id == facts.c.id, written.c.grading == _word(grading.name))
    beside = facts.outerjoin(written, is_there)
    columns = [facts.c.id, written.c.grading.label("known"), *was, *columns]
    return _aside(select(*columns).select_from(beside), f"answered{place}")


def _score(grading: LiveGrading, row: Any) -> ColumnElement[Any]:
    score: ColumnElement[Any] = _number(0)
    if grading.active and grading.grades:
        for place, step in _conditional(grading):
            score = score + case((row[f"h{place}"], _number(step.points)), else_=_number(0))
    return score


def _grade(grading: LiveGrading, row: Any) -> ColumnElement[Any]:
    nothing: ColumnElement[Any] = cast(null(), Text)
    if not grading.active:
        return nothing
    if grading.grades:
        return case(*((row.score >= _number(least), _word(name)) for name, least in grading.grades), else_=nothing)
    chosen = [(row[f"h{place}"], _word(step.name)) for place, step in _conditional(grading)]
    last = _word(grading.steps[-1].name) if grading.steps[-1].condition is None else nothing
    return case(*chosen, else_=last) if chosen else last


def _why(grading: LiveGrading, row: Any) -> ColumnElement[Any]:
    """The steps that were met, in order."""
    found: ColumnElement[Any] = _none()
    for place, step in _conditional(grading):
        told = func.jsonb_build_object(_word("name"), _word(step.name), _word("points"), _number(step.points))
        found = found.op("||")(case((row[f"h{place}"], func.jsonb_build_array(told)), else_=_none()))
    return found


def _none() -> ColumnElement[Any]:
    return cast(literal([], JSONB), JSONB)


def _word(text: str) -> ColumnElement[Any]:
    return cast(literal(text, Text), Text)


def _number(value: int) -> ColumnElement[Any]:
    return cast(literal(value, Integer), Integer)
