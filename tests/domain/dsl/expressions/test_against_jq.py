"""The same answers as jq itself: our engine beside the C implementation, on expressions and on random data.

Where the two differ on purpose, `DIFFERENT_ON_PURPOSE` says so. The C binding is used in tests only.
"""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dsl.expressions import compile_expression
from domain.problems import ExpressionProblem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILED = "<failed>"

EXPRESSIONS = (Path(__file__).parent / "agreed.txt").read_text(encoding="utf-8").splitlines()

DIFFERENT_ON_PURPOSE = {
    "[9007199254740993]": ([9007199254740993], "whole numbers stay exact, order numbers need it"),
    '"2026-02-30" | strptime("%Y-%m-%d")': (FAILED, "a date that does not exist"),
    '"2020-02-03 extra" | strptime("%Y-%m-%d")': (FAILED, "text left over"),
    '"2020-02-03T04:05:06+0800" | strptime("%Y-%m-%dT%H:%M:%S%z") | mktime': (1580673906, "the zone counts"),
    "[{key: 1, value: 2}] | from_entries": ({"1": 2}, "keys of entries become text, as in jq 1.7"),
    "pow(-10; 301)": (-1e301, "large doubles are not spelt out"),
}


def ours(source: str, value: Any) -> Any:
    try:
        return compile_expression(source).evaluate(value, {}, now=NOW)
    except ExpressionProblem:
        return FAILED


def theirs(source: str, value: Any) -> Any:
    try:
        return next(iter(jq.compile(source).input_value(value)), None)
    except ValueError:
        return FAILED


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: booleans are no numbers, and doubles may differ in the last place."""
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right or math.isclose(left, right, rel_tol=1e-15)
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    return bool(left == right)


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_an_expression_answers_as_in_jq(source: str) -> None:
    whole = f"[{source}]"
    assert same(ours(whole, None), theirs(whole, None)), (ours(whole, None), theirs(whole, None))


@pytest.mark.parametrize("source", DIFFERENT_ON_PURPOSE)
def test_a_difference_is_one_on_purpose(source: str) -> None:
    expected, _reason = DIFFERENT_ON_PURPOSE[source]
    assert same(ours(source, None), expected)
    assert not same(ours(source, None), theirs(source, None)) or source.startswith(("[9007", "pow"))


names = st.sampled_from(["a", "b", "c", "name", "值"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.integers(-1000, 1000).map(lambda whole: whole + 0.25)  # jq keeps the spelling of 1.0
    | st.text(alphabet='abAB ,0159é商😀\n"\\', max_size=5)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=14,
)
ON_RANDOM_DATA = [
    ".",
    ".a",
    ".a.b?",
    "(.a.b)?",
    ".a[0]?",
    ".a[.b]?",
    ".a[1:]?",
    ".a[]?",
    "[path(.a.b?)]",
    "[path(.a[]?)]",
    "(.a.b)? |= 1",
    ".a.b? |= 1",
    ".[]?.a?",
    ".[0]",
    ".[-1]",
    ".[1:]",
    ".[:-1]",
    "[.[]?]",
    "[.[]? | .a?]",
    "length",
    "keys",
    "type",
    "not",
    "add",
    "sort",
    "unique",
    "group_by(type)",
    "sort_by(type, tojson)",
    "min, max",
    "[min_by(tojson)?, max_by(tojson)?]",
    "arrays | reverse",
    "flatten",
    "flatten(1)",
    "to_entries",
    "objects | with_entries(.value |= [.])",
    "map(.)",
    "map(select(. != null))",
    "map_values(empty)",
    "map(type)",
    "tojson",
    "tostring",
    "tonumber",
    "[paths]",
    '[paths(type == "number")]',
    "del(.[0])",
    "del(.a, .b)",
    "del(.[]? | select(. == null))",
    ".a = 1",
    ".a |= [.]",
    ".[0] += 1",
    ".[1:] = [0]",
    ".[]? |= tojson",
    ".a //= 5",
    '[.[]? // "d"]',
    '.a // .b // "none"',
    "if . then 1 else 2 end",
    '[.[]? | if type == "number" then . * 2 elif type == "string" then . + "!" else null end]',
    "any, all",
    'join("-")',
    'split(",")',
    "ascii_upcase",
    "trim",
    'startswith("a")',
    "explode | implode",
    "utf8bytelength",
    "contains({a: 1})",
    ". as $v | [$v == ., $v < [$v], . <= $v]",
    ". - [null, 1]",
    ". * 2",
    ". / 2",
    ". % 7",
    "-.",
    "floor",
    "round",
    "numbers | abs",
    ". + .",
    ". * {a: {b: 1}}",
    '(strings, arrays) | index("a")',
    "indices(1)",
    'has("a")',
    "has(0)",
    "first, last",
    "[limit(2; .[]?)]",
    "first(.[]?)",
    "isempty(.[]?)",
    'walk(if type == "array" then sort else . end)',
    'walk(if type == "number" then . + 1 else . end)',
    "arrays | map(arrays) | transpose",
    "arrays | map(arrays) | [combinations]",
    "reduce .[]? as $x (0; . + 1)",
    "[foreach .[]? as $x (0; . + 1; [., $x])]",
    ". as [$x, $y] | [$y, $x]",
    ". as {a: $x, $b} | [$x, $b]",
    "try error catch .",
    '[.[]? | try tonumber catch "no"]',
    'getpath(["a", "b"])',
    'setpath(["a", 0]; 1)',
    "pick(.a)",
    '"\\(.)"',
    "@json",
    "@csv",
    "@tsv",
    "@html",
    "@uri",
    "@base64",
    "@base64 | @base64d",
    "@sh",
    "fromjson",
    "tojson | fromjson",
    "{a, n: length}",
    "{(tostring): 1}",
    "INDEX(tojson)",
    'IN(1, null, "a")',
    "[.[]? | numbers, strings]",
    "map(. as $x | [$x, $x]) | add",
    "bsearch(1)",
    "[path(.[]?)]",
    "[path(.a?, .[0]?)]",
    "numbers | todate",
    "[range(length)]",
    "(.a, .b) |= 1",
    "[.[]? | (.a? // empty)]",
    "label $f | .[]? | if . == null then break $f else . end",
    "nth(1)",
    'inside([1, 2, "ab"])',
    'ltrimstr("a")',
    "unique_by(type)",
    "[.[]? | strings | length]",
]


@pytest.mark.parametrize("source", ON_RANDOM_DATA)
@settings(max_examples=20, deadline=None)
@given(value=documents)
def test_random_data_answers_as_in_jq(source: str, value: Any) -> None:
    whole = f"[{source}]"
    mine, other = ours(whole, value), theirs(whole, value)
    assert same(mine, other), (mine, other)


NUMBERS = ("0", "+1", "-1", "00", "1.", ".5", "-.5", "1.e2", "1E+2", "1e1000")
OTHERS = (
    "0 ",
    " 0",
    "1\n",
    "\t1",
    "",
    ".",
    "-",
    "--1",
    "- 1",
    "1e",
    "e1",
    "0x1",
    "1_0",
    "٣",
    "1 2",
    "1\x00",
    "null",
    "[1]",
)


@pytest.mark.parametrize("written", NUMBERS + OTHERS, ids=repr)
def test_a_text_is_a_number_when_jq_says_so(written: str) -> None:
    source = '[try tonumber catch "no"]'
    assert same(ours(source, written), theirs(source, written))
