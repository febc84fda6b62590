"""In which currency a condition speaks of amounts: one, the merchant's own unless the condition names another.

Amounts of two currencies are never added up or held against one number.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from domain.dsl.findings import child
from domain.money import HOME_CURRENCY
from domain.problems import Text
from domain.remarks import Remarks
from domain.tags.conditions import Leaf, RecordTest
from domain.tags.facts import FACTS, Fact, field_of

FIELD = "currency"
_HOME = RecordTest(FIELD, "in", (HOME_CURRENCY,))


def currency_named(where: Any) -> str:
    """The one currency that a `where` names, else the merchant's own."""
    given = where.get(FIELD) if isinstance(where, Mapping) else None
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    return given if isinstance(given, str) else HOME_CURRENCY


def currency_of(leaf: Leaf) -> str | None:
    """The currency of the value that a condition measures; None when that is no amount."""
    known = field_of(FACTS[leaf.fact], leaf.of)
    if leaf.measure != "sum" or known is None or known.type != "money":
        return None
    named = [str(test.values[0]) for test in leaf.tests if test.field == FIELD and test.values]
    return named[0] if named else HOME_CURRENCY


def speaks_of_amounts(fact: Fact, fields: Iterable[str]) -> bool:
    """Whether one of these fields is an amount whose record says its currency."""
    types = (known.type for name in fields if (known := field_of(fact, name)) is not None)
    return FIELD in fact.fields and "money" in types


def in_one_currency(tests: tuple[RecordTest, ...], place: str, remarks: Remarks) -> tuple[RecordTest, ...]:
    """The tests of a condition about amounts, with the currency that they are of; a remark when they name several."""
    named = [test for test in tests if test.field == FIELD]
    if not named:
        return (*tests, _HOME)
    if any(test.operator != "in" or len(test.values) != 1 for test in named):
        text = Text(
            f"金额只按一种货币计算，请写一种，例如 currency: {HOME_CURRENCY}；几种货币请分成几个条件",
            f"Amounts are of one currency: name one, such as currency: {HOME_CURRENCY}; for several, write several "
            "conditions",
        )
        remarks.error("mixed-currencies", child(child(place, "where"), FIELD), text, of_key=True)
    return tests
