"""What expressions mean: the table an author could read, and what the surrounding machinery promises."""

import contextlib
import copy
import itertools
import pickle
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dsl.expressions import Budget, compile_condition, compile_expression
from domain.problems import ExpressionProblem

NOW = datetime(2026, 11, 11, 8, 30, tzinfo=UTC)
ORDER: dict[str, Any] = {
    "id": "A-1001",
    "status": "paid",
    "vip": False,
    "note": None,
    "items": [
        {"sku": "红裙", "price": 100, "qty": 2},
        {"sku": "白鞋", "price": 250, "qty": 1},
        {"sku": "帽", "price": 30, "qty": 3},
    ],
    "buyer": {"first-name": "小", "tags": ["高价值", "母婴"]},
}
VARIABLES = {"context": {"customer": {"name": "王芳"}}, "input": ORDER}


def evaluate(source: str, value: Any = ORDER, **variables: Any) -> Any:
    return compile_expression(source).evaluate(value, {**VARIABLES, **variables}, now=NOW)


def problem_of(source: str, value: Any = ORDER) -> dict[str, Any]:
    with pytest.raises(ExpressionProblem) as caught:
        evaluate(source, value)
    return caught.value.problem.as_dict()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (".", ORDER),
        (".id", "A-1001"),
        (".missing.deeper", None),
        ('.buyer."first-name"', "小"),
        ('.buyer["first-name"]', "小"),
        (".items[1].sku", "白鞋"),
        (".items[-1].sku", "帽"),
        (".items[9]", None),
        (".items[:2] | length", 2),
        ("[.items[].qty]", [2, 1, 3]),
        (".items | map(.price) | add", 380),
        (".items | map(select(.qty > 1) | .sku)", ["红裙", "帽"]),
        (".items | map(.price * .qty) | max", 250),
        (".items | sort_by(.price) | map(.sku)", ["帽", "红裙", "白鞋"]),
        (".items | min_by(.price).sku", "帽"),
        (".items | group_by(.qty > 1) | map(length)", [1, 2]),
        ('[.items[] | .sku] | join("、")', "红裙、白鞋、帽"),
        ("any(.items[]; .price > 200)", True),
        ("all(.items[]; .price > 200)", False),
        ('.items | INDEX(.sku) | .["帽"].price', 30),
        ("reduce .items[] as $i (0; . + $i.qty)", 6),
        ("[foreach .items[] as $i (0; . + $i.qty; .)]", [2, 3, 6]),
        ('.status == "paid" and (.vip | not)', True),
        ('.status | IN("paid", "shipped")', True),
        ('.note // "无"', "无"),
        ('.vip // "d"', "d"),
        ('if .vip then "a" elif .note then "b" else "c" end', "c"),
        ('"订单 \\(.id)：\\(.items | length) 件"', "订单 A-1001：3 件"),
        ("{id, n: (.items | length)}", {"id": "A-1001", "n": 3}),
        ("{(.status): .id}", {"paid": "A-1001"}),
        ('.buyer.tags | index("母婴")', 1),
        ('.buyer.tags | contains(["高价"])', True),
        (".items[0].qty |= . + 1 | .items[0].qty", 3),
        ("del(.items, .buyer) | keys", ["id", "note", "status", "vip"]),
        ("to_entries | map(.key) | first", "id"),
        ('with_entries(select(.value | type == "string"))', {"id": "A-1001", "status": "paid"}),
        ('[paths(type == "boolean")]', [["vip"]]),
        ("pick(.buyer.tags[0])", {"buyer": {"tags": ["高价值"]}}),
        ("$context.customer.name", "王芳"),
        ("$input.id == .id", True),
        (". as {id: $id, items: [$first]} | [$id, $first.sku]", ["A-1001", "红裙"]),
        ("def twice(f): f | f; 3 | twice(. * 2)", 12),
        ("def discount($p): . - $p; 10 | discount(3)", 7),
        ('try error("x") catch ("caught " + .)', "caught x"),
        ("[.items[] | .sku | tonumber?]", []),
        ("label $out | .items[] | if .qty == 1 then ., break $out else empty end | .sku", "白鞋"),
        ("[limit(2; .items[].qty)]", [2, 1]),
        ("1 | until(. > 100; . * 3)", 243),
        ("[1 | while(. < 30; . * 3)]", [1, 3, 9, 27]),
        ("[range(0; 10; 3)]", [0, 3, 6, 9]),
        ('"5" > 10', True),
        ("0.1 * 3", 0.30000000000000004),
        ("1.5 * 2 | tostring", "3"),
        ("7 / 2, 8 / 2", 3.5),
        ("now | todate", "2026-11-11T08:30:00Z"),
        ('now + 86400 | strftime("%Y-%m-%d %A")', "2026-11-12 Thursday"),
        ('"2026-11-11T00:00:00Z" | fromdate', 1794355200),
        ('"2026-11-11 08:00 +0800" | strptime("%Y-%m-%d %H:%M %z") | mktime', 1794355200),
        ('[1, [2, [3]]] | walk(if type == "number" then . + 1 else . end)', [2, [3, [4]]]),
        ('@base64 "\\(.id)"', "QS0xMDAx"),
        ("[.id, .items[0].sku] | @csv", '"A-1001","红裙"'),
        ("{a: 1} * {b: {c: 2}} + {d: 3}", {"a": 1, "b": {"c": 2}, "d": 3}),
        ("[[1, 2], [3]] | transpose", [[1, 3], [2, None]]),
        ("nan", None),
        ("[infinite, -infinite]", [1.7976931348623157e308, -1.7976931348623157e308]),
    ],
)
def test_an_expression_means(source: str, expected: Any) -> None:
    result = evaluate(source)
    assert result == expected
    assert type(result) is type(expected)


def test_the_first_of_several_outputs_counts_and_none_is_null() -> None:
    assert evaluate(".items[].sku") == "红裙"
    assert evaluate("empty") is None
    assert compile_expression("false, true").truth(None, {}, now=NOW) is False
    assert compile_expression("empty").truth(None, {}, now=NOW) is False


@pytest.mark.parametrize(
    ("source", "expected"),
    [("0", True), ('""', True), ("[]", True), ("null", False), ("false", False), (".vip", False)],
)
def test_only_null_and_false_are_untrue(source: str, expected: bool) -> None:
    assert compile_expression(source).truth(ORDER, {}, now=NOW) is expected


@pytest.mark.parametrize("text", ['.status == "paid"', '${ .status == "paid" }', '  ${.status == "paid"}\n'])
def test_a_condition_may_be_bare_or_marked(text: str) -> None:
    condition = compile_condition(text)
    assert condition.source == '.status == "paid"'
    assert condition.truth(ORDER, {}, now=NOW) is True


def test_an_expression_names_the_variables_it_needs() -> None:
    assert compile_expression("$input.a + ($context.b as $c | $c) + ($task | .name)").variables == {
        "input",
        "context",
        "task",
    }
    assert compile_expression("def f($x): $x; f(1)").variables == frozenset()


def test_a_missing_variable_is_named_with_its_place() -> None:
    problem = problem_of(".id + $order.id")
    assert problem["code"] == "expression-failed"
    assert problem["offset"] == 6
    assert "$order" in problem["message"]["zh"]
    assert "$order" in problem["message"]["en"]


@pytest.mark.parametrize(
    ("source", "offset", "words"),
    [
        (".id.name", 0, "name"),
        ("1 + (.items | .sku)", 14, "sku"),
        (".id - 1", 0, "subtracted"),
        (".items | map(.sku + 1)", 13, "added"),
        ("[.id[]]", 1, "iterate"),
        ('.id | error("库存不足")', 6, "库存不足"),
        (".id | tonumber", 6, "number"),
        ("1 / 0", 0, "zero"),
    ],
)
def test_a_failure_is_placed_and_told_in_both_languages(source: str, offset: int, words: str) -> None:
    problem = problem_of(source)
    assert problem["type"].endswith("/expression")
    assert problem["status"] == 400
    assert problem["offset"] == offset
    assert words in problem["message"]["en"]
    assert problem["message"]["zh"] != problem["message"]["en"]


def test_a_failure_does_not_quote_the_data() -> None:
    problem = problem_of(".id | tonumber", {"id": "secret-4711"})
    assert "4711" not in str(problem)


def test_whole_numbers_stay_exact() -> None:
    order_number = 4_611_686_018_427_387_905  # Taobao's order numbers do not fit a double
    assert evaluate(".n", {"n": order_number}) == order_number
    assert evaluate(".n == $m", {"n": order_number}, m=order_number + 1) is False
    assert evaluate("{n} | .n | tostring", {"n": order_number}) == str(order_number)


def test_the_input_is_never_changed() -> None:
    before = copy.deepcopy(ORDER)
    for source in (
        ".items[0].qty = 9 | .items[0].qty += 1 | del(.items[1]) | .buyer.tags |= sort",
        ".items |= map(.qty = 0) | .items | sort_by(.price) | reverse",
        "(.buyer, .buyer.tags) |= [.]?",
        "reduce .items[] as $i (.; .items[0].n += $i.qty)",
        'walk(if type == "object" then .x = 1 else . end)',
    ):
        with contextlib.suppress(ExpressionProblem):
            evaluate(source)
        assert before == ORDER, source


def test_an_update_does_not_leak_into_values_that_share_it() -> None:
    assert evaluate(".a.b |= 1 | .a |= {x: ., y: .} | .a.x.b |= 2", {"a": {"b": 0}}) == {
        "a": {"x": {"b": 2}, "y": {"b": 1}}
    }
    assert evaluate("(.a.b, .a) |= {x: ., y: .} | .a.x.b.x = 9", {"a": {"b": 0}}) == {
        "a": {"x": {"b": {"x": 9, "y": 0}}, "y": {"b": {"x": 0, "y": 0}}}
    }


def test_compiled_expressions_are_shared_and_survive_pickling() -> None:
    expression = compile_expression(".id")
    assert compile_expression(".id") is expression
    assert pickle.loads(pickle.dumps(expression)) is expression
    assert copy.deepcopy(expression).evaluate(ORDER, {}, now=NOW) == "A-1001"


def test_time_is_the_runs_time() -> None:
    later = datetime(2031, 1, 1, tzinfo=UTC)
    expression = compile_expression("now")
    assert expression.evaluate(None, {}, now=NOW) == NOW.timestamp()
    assert expression.evaluate(None, {}, now=later) == later.timestamp()


@pytest.mark.parametrize(
    "source",
    [
        '"2026-02-30" | strptime("%Y-%m-%d")',
        '"2026-02-03 rest" | strptime("%Y-%m-%d")',
        '"x" | strptime("%Q")',
        '0 | strftime("%c")',
        '"2026-02-03T04:05:06.7Z" | fromdate',
        "1e18 | todate",
        "[1] | mktime",
    ],
)
def test_dates_that_cannot_be_are_refused(source: str) -> None:
    assert problem_of(source)["code"] == "expression-failed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_text_and_entries_come_back_as_they_were(value: Any) -> None:
    assert evaluate("tojson | fromjson", value) == value
    assert (
        evaluate("[paths] as $p | . as $v | all($p[]; . as $one | $v | [getpath($one)] | length == 1)", value) is True
    )
    if isinstance(value, dict):
        assert evaluate("to_entries | from_entries", value) == value


@given(st.lists(json_values, max_size=6))
def test_sorting_is_a_total_order(values: list[Any]) -> None:
    ordered = evaluate("sort", values)
    assert evaluate("sort == (reverse | sort)", values) is True
    assert all(evaluate(".[0] <= .[1]", [left, right]) for left, right in itertools.pairwise(ordered))


def test_threads_share_expressions_without_disturbing_each_other() -> None:
    sources = [".items | map(.price * $n) | add", "[.items[] | .qty + $n] | add", "reduce range($n) as $i (0; . + $i)"]
    expected = {(source, n): evaluate(source, ORDER, n=n) for source in sources for n in range(8)}
    wrong: list[Any] = []

    def work(n: int) -> None:
        for round_number in range(40):
            source = sources[(round_number + n) % len(sources)]
            fresh = f"{source} | . + {round_number} - {round_number}"
            for text in (source, fresh):
                result = compile_expression(text).evaluate(ORDER, {"n": n}, now=NOW)
                if result != expected[source, n]:
                    wrong.append((text, n, result))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_budget_can_be_given() -> None:
    expression = compile_expression("[range(100)] | add")
    assert expression.evaluate(None, {}, now=NOW) == 4950
    with pytest.raises(ExpressionProblem, match="budget of 50 steps"):
        expression.evaluate(None, {}, now=NOW, budget=Budget(steps=50))
