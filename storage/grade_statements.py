"""A grading as SQL: any number of customers by one statement, measured as tag rules are."""

from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, Select, Text, and_, case, cast, func, literal, null, or_, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.selectable import LateralFromClause

from domain.tags import LiveGrading, leaves
from domain.tags.grading import GradeStep, conditions_of
from storage.customer_tag_tables import CustomerGradeRow, TagCheckRow
from storage.measures import NEVER, NOW, Measures, customers_given, keys_of, worked_out
from storage.recordsets import table_of
from storage.tag_statements import answer

_GRADES, _CHECKS = table_of(CustomerGradeRow), table_of(TagCheckRow)
_COLUMNS = ("customer_id", "grading", "version", "grade", "score", "turn", "since", "why")


@lru_cache(maxsize=64)
def grade_customers(grading: LiveGrading) -> Select[Any]:
    """Parameters `customers` (ids) and `now`. Gives back changed grades: customer_id, grade, was, score, turn, why."""
    who = customers_given()
    name, version = (cast(literal(each, Text), Text) for each in (grading.name, grading.version))
    written = _written(who.c.id, name)
    every_leaf = (leaf for condition in conditions_of(grading) for leaf in leaves(condition))
    measures = Measures(every_leaf, who, keys_of(who), (written,))
    answered = _answered(grading, measures)
    row = answered.c
    scored = worked_out(select(*row, _score(grading, row).label("score")), "scored")
    row = scored.c
    judged = worked_out(select(*row, _grade(grading, row).label("grade")), "judged")
    row = judged.c
    has_changed = or_(row.known.is_(None), row.grade.is_distinct_from(row.was_grade))
    is_told = or_(has_changed, row.score != row.was_score, row.was_version != version)
    turns = [row[f"x{place}"] for place, _ in _conditional(grading)]
    graded = worked_out(
        select(
            row.id,
            row.was_grade,
            row.was_turn,
            row.was_since,
            row.grade,
            row.score,
            has_changed.label("has_changed"),
            is_told.label("is_told"),
            func.least(*turns, NEVER).label("turns_at"),
            # What nobody is told need not be put into words.
            case((is_told, _why(grading, row))).label("why"),
        ),
        "graded",
    )
    row = graded.c
    new = insert(_GRADES).from_select(
        _COLUMNS,
        select(
            row.id,
            name,
            version,
            row.grade,
            row.score,
            func.coalesce(row.was_turn, 0) + case((row.has_changed, 1), else_=0),
            case((row.has_changed, NOW), else_=row.was_since),
            row.why,
        ).where(row.is_told),
    )
    stored = (
        new.on_conflict_do_update(
            index_elements=["customer_id", "grading"], set_={column: new.excluded[column] for column in _COLUMNS[2:]}
        )
        .returning(_GRADES.c.customer_id)
        .cte("stored")
    )
    check = insert(_CHECKS).from_select(
        ["customer_id", "rule", "due_at"],
        select(row.id, cast(literal(grading.key, Text), Text), row.turns_at).where(row.turns_at < NEVER),
    )
    noted = (
        check.on_conflict_do_update(
            index_elements=["customer_id", "rule"],
            set_={"due_at": check.excluded.due_at},
            where=check.excluded.due_at < _CHECKS.c.due_at,
        )
        .returning(_CHECKS.c.customer_id)
        .cte("noted")
    )
    turn = func.coalesce(row.was_turn, 0) + 1
    return (
        select(
            row.id.label("customer_id"), row.grade, row.was_grade.label("was"), row.score, turn.label("turn"), row.why
        )
        .where(row.grade.is_distinct_from(row.was_grade))
        .add_cte(stored, noted)
    )


def _written(customer: ColumnElement[Any], name: ColumnElement[Any]) -> LateralFromClause:
    """What is written of a customer: one row, NULL when nothing is."""
    is_there = and_(_GRADES.c.customer_id == customer, _GRADES.c.grading == name)
    return (
        select(
            func.max(_GRADES.c.grading).label("known"),
            func.max(_GRADES.c.grade).label("was_grade"),
            func.max(_GRADES.c.score).label("was_score"),
            func.max(_GRADES.c.version).label("was_version"),
            func.max(_GRADES.c.turn).label("was_turn"),
            func.max(_GRADES.c.since).label("was_since"),
        )
        .where(is_there)
        .lateral("of_written")
    )


def _conditional(grading: LiveGrading) -> list[tuple[int, GradeStep]]:
    """The steps that have a condition, with their places."""
    return [(place, step) for place, step in enumerate(grading.steps) if step.condition is not None]


def _answered(grading: LiveGrading, measures: Measures) -> CTE:
    """For each step whether it holds (`h0` …) and when time alone may change that (`x0` …), beside what is written."""
    facts = measures.facts
    columns: list[ColumnElement[Any]] = []
    for place, step in _conditional(grading):
        holds, turns_at = answer(step.condition, measures)
        columns += [holds.label(f"h{place}"), turns_at.label(f"x{place}")]
    was = (facts.c[name] for name in ("known", "was_grade", "was_score", "was_version", "was_turn", "was_since"))
    return worked_out(select(facts.c.id, *was, *columns), "answered")


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
