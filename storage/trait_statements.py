"""Tags and grades of any number of customers by one statement: each fact is measured once for all that ask for it.

The statement compares every answer with what is written, writes what changed, notes when time alone may change an
answer, and gives back what is another now.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Text, and_, cast, literal, literal_column, or_, select, union_all
from sqlalchemy.dialects.postgresql import insert

from domain.tags import LiveGrading, LiveRule
from storage.customer_tag_tables import CustomerGradeRow, CustomerTagRow, TagCheckRow
from storage.grade_statements import graded, steps_of
from storage.measures import NEVER, Measures, customers_given, keys_of
from storage.recordsets import table_of
from storage.tag_statements import judged, leaves_of, written_beside

_HELD, _GRADES, _CHECKS = table_of(CustomerTagRow), table_of(CustomerGradeRow), table_of(TagCheckRow)
_TAG_COLUMNS = ("customer_id", "rule", "tag", "version", "held", "turn", "since", "why")
_GRADE_COLUMNS = ("customer_id", "grading", "version", "grade", "score", "turn", "since", "why")


@lru_cache(maxsize=128)
def bring_up_to_date(rules: tuple[LiveRule, ...], gradings: tuple[LiveGrading, ...]) -> Select[Any]:
    """Parameters `customers` (ids) and `now`.

    Gives back what turned, rules' answers and grades alike: customer_id, name, place (of the grading, NULL for a rule),
    says (tag or grade), said, holds, held, score, turn, why.
    """
    who = customers_given()
    keys = keys_of(who)
    beside = written_beside(who, keys) if rules else ()
    measures = Measures([*leaves_of(rules), *steps_of(gradings)], who, keys, beside)
    changes: list[Select[Any]] = []
    checks: list[Select[Any]] = []
    written: list[CTE] = []
    if rules:
        answers = judged(rules, measures)
        changes.append(_tags_turned(answers))
        checks.append(_turning(answers.c.customer_id, answers.c.rule, answers.c.turns_at))
        written.append(_write_tags(answers))
    for place, grading in enumerate(gradings):
        grades = graded(grading, measures, place)
        changes.append(_grades_turned(grades, place))
        checks.append(_turning(grades.c.id, _text(grading.key), grades.c.turns_at))
        written.append(_write_grades(grades, place))
    return select(union_all(*changes).subquery("changes")).add_cte(*written, _note(checks))


def _tags_turned(answers: CTE) -> Select[Any]:
    row = answers.c
    return select(
        row.customer_id,
        row.rule.label("name"),
        literal_column("NULL::integer").label("place"),
        row.tag.label("says"),
        row.was_tag.label("said"),
        row.holds,
        row.was_held.label("held"),
        literal_column("0").label("score"),
        row.turn,
        row.why,
    ).where(or_(row.holds != row.was_held, and_(row.holds, row.tag != row.was_tag)))


def _grades_turned(grades: CTE, place: int) -> Select[Any]:
    row = grades.c
    return select(
        row.id.label("customer_id"),
        row.grading.label("name"),
        literal_column(str(place)).label("place"),
        row.grade.label("says"),
        row.was.label("said"),
        row.grade.is_not(None).label("holds"),
        row.was.is_not(None).label("held"),
        row.score,
        row.turn,
        row.why,
    ).where(row.grade.is_distinct_from(row.was))


def _write_tags(answers: CTE) -> CTE:
    row = answers.c
    changed = or_(row.holds != row.was_held, and_(row.holds, row.version != row.was_version))
    new = insert(_HELD).from_select(
        _TAG_COLUMNS,
        select(row.customer_id, row.rule, row.tag, row.version, row.holds, row.turn, row.since, row.why).where(changed),
    )
    written = new.on_conflict_do_update(
        index_elements=["customer_id", "rule"], set_={name: new.excluded[name] for name in _TAG_COLUMNS[2:]}
    )
    return written.returning(_HELD.c.customer_id).cte("tags_written")


def _write_grades(grades: CTE, place: int) -> CTE:
    row = grades.c
    new = insert(_GRADES).from_select(
        _GRADE_COLUMNS,
        select(row.id, row.grading, row.version, row.grade, row.score, row.turn, row.since, row.why).where(row.is_told),
    )
    written = new.on_conflict_do_update(
        index_elements=["customer_id", "grading"], set_={name: new.excluded[name] for name in _GRADE_COLUMNS[2:]}
    )
    return written.returning(_GRADES.c.customer_id).cte(f"grades_written{place}")


def _turning(customer: ColumnElement[Any], name: ColumnElement[Any], at: ColumnElement[Any]) -> Select[Any]:
    return select(customer.label("customer_id"), name.label("rule"), at.label("due_at")).where(at < NEVER)


def _note(checks: list[Select[Any]]) -> CTE:
    """Note when each answer is to be looked at again.

    A check that comes too early costs one look; moving it with every order would cost a write each time. One that is
    there and early enough is left alone: the insert alone would lock it, which is a write as well.
    """
    row = union_all(*checks).subquery("turning").c
    is_noted = (
        select(_CHECKS.c.rule)
        .where(_CHECKS.c.customer_id == row.customer_id, _CHECKS.c.rule == row.rule, _CHECKS.c.due_at <= row.due_at)
        .exists()
    )
    check = insert(_CHECKS).from_select(
        ["customer_id", "rule", "due_at"], select(row.customer_id, row.rule, row.due_at).where(~is_noted)
    )
    noted = check.on_conflict_do_update(
        index_elements=["customer_id", "rule"],
        set_={"due_at": check.excluded.due_at},
        where=check.excluded.due_at < _CHECKS.c.due_at,
    )
    return noted.returning(_CHECKS.c.customer_id).cte("noted")


def _text(word: str) -> ColumnElement[Any]:
    return cast(literal(word, Text), Text)
