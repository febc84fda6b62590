"""A grading as SQL: any number of customers by one statement, measured as tag rules are."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, and_, case, cast, func, literal, null, or_, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.selectable import LateralFromClause

from domain.tags import LiveGrading, leaves
from domain.tags.grading import conditions_of
from storage.customer_tag_tables import CustomerGradeRow, TagCheckRow
from storage.measures import NEVER, NOW, Measures, customers_given, keys_of
from storage.recordsets import table_of
from storage.tag_statements import Answer, answer

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
    facts = measures.facts
    answers = [answer(step.condition, measures) if step.condition is not None else None for step in grading.steps]
    grade, score = _grade(grading, answers)
    turns = [each.turns_at for each in answers if each is not None]
    graded = select(
        facts.c.id,
        facts.c.known,
        facts.c.was_grade,
        facts.c.was_score,
        facts.c.was_version,
        facts.c.was_turn,
        facts.c.was_since,
        grade.label("grade"),
        score.label("score"),
        func.least(*turns, NEVER).label("turns_at"),
        _why(grading, answers).label("why"),
    ).cte("graded")
    row = graded.c
    has_changed = or_(row.known.is_(None), row.grade.is_distinct_from(row.was_grade))
    new = insert(_GRADES).from_select(
        _COLUMNS,
        select(
            row.id,
            name,
            version,
            row.grade,
            row.score,
            func.coalesce(row.was_turn, 0) + case((has_changed, 1), else_=0),
            case((has_changed, NOW), else_=row.was_since),
            row.why,
        ).where(or_(has_changed, row.score != row.was_score, row.was_version != version)),
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


def _grade(grading: LiveGrading, answers: list[Answer | None]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    nothing: ColumnElement[Any] = cast(null(), Text)
    zero: ColumnElement[Any] = cast(literal(0, Integer), Integer)
    if not grading.active:
        return nothing, zero
    if not grading.grades:
        chosen = [
            (each.holds, _word(step.name))
            for step, each in zip(grading.steps, answers, strict=True)
            if each is not None
        ]
        last = _word(grading.steps[-1].name) if answers[-1] is None else nothing
        return (case(*chosen, else_=last) if chosen else last), zero
    score = zero
    for step, each in zip(grading.steps, answers, strict=True):
        if each is not None:
            score = score + case((each.holds, cast(literal(step.points, Integer), Integer)), else_=zero)
    words = [(score >= cast(literal(least, Integer), Integer), _word(name)) for name, least in grading.grades]
    return case(*words, else_=nothing), score


def _why(grading: LiveGrading, answers: list[Answer | None]) -> ColumnElement[Any]:
    """The steps that were met, in order."""
    met = [
        case(
            (
                each.holds,
                func.jsonb_build_array(
                    func.jsonb_build_object(_word("name"), _word(step.name), _word("points"), _number(step.points))
                ),
            ),
            else_=_none(),
        )
        for step, each in zip(grading.steps, answers, strict=True)
        if each is not None
    ]
    found: ColumnElement[Any] = _none()
    for each in met:
        found = found.op("||")(each)
    return found


def _none() -> ColumnElement[Any]:
    return cast(literal([], JSONB), JSONB)


def _word(text: str) -> ColumnElement[Any]:
    return cast(literal(text, Text), Text)


def _number(value: int) -> ColumnElement[Any]:
    return cast(literal(value, Integer), Integer)
