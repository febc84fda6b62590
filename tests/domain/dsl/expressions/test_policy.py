"""What the linter hears about an expression: the code, the place, and a sentence that says what to do."""

import pytest

from domain.dsl.expressions import ExpressionIssue, compile_expression, inspect_expression
from domain.problems import ExpressionProblem


def found(source: str, *, condition: bool = False) -> list[tuple[str, str, int]]:
    return [(issue.code, issue.severity, issue.offset) for issue in inspect_expression(source, condition=condition)]


def only_issue(source: str) -> ExpressionIssue:
    (issue,) = inspect_expression(source)
    return issue


@pytest.mark.parametrize(
    "source",
    [
        ".order.items | map(.price) | add",
        "$context.customer.name",
        '.status | IN("paid", "shipped")',
        ".refund_amount > 50000",
        '"¥\\(.amount_minor)"',
        '"共 " + (.amount_minor | tostring) + " 分"',
        "{amount_minor: .refund.amount_minor}",
        ".items | map(.amount_minor) | max",
        '.name // "匿名"',
        ".enabled // false",
        '."first-name"',
        "def positive(f): map(select(f > 0)); .items | positive(.qty)",
        "[.items[].sku]",
    ],
)
def test_a_good_expression_has_no_findings(source: str) -> None:
    assert inspect_expression(source) == []


@pytest.mark.parametrize(
    ("source", "offset", "advice"),
    [
        (".a && .b", 3, "and"),
        (".a || .b", 4, "or"),
        (".x == 'a'", 6, "double quotes"),
        (".a = = 2", 5, "=="),
        (".a ，.b", 3, "half-width"),
        ("(.a", 3, "too early"),
        ('"abc', 0, "quote"),
        ("1 2", 2, "operator"),
        (".a } - ${ .b", 3, "one expression"),
        (".订单号 == 1", 1, '."订单号"'),
        ("if .a then 1", 12, "end"),
        ("", 0, "empty"),
        ('"x\\(.a | )"', 9, "too early"),
        ('"\\q"', 1, "escape"),
    ],
)
def test_a_syntax_error_points_at_the_character(source: str, offset: int, advice: str) -> None:
    issue = only_issue(source)
    assert (issue.code, issue.severity, issue.offset) == ("expression-syntax", "error", offset)
    assert advice in issue.message.en
    assert issue.message.zh


@pytest.mark.parametrize(
    ("source", "offset", "name", "instead"),
    [
        (".a | env.PATH", 5, "env", "$secrets"),
        ("$ENV.HOME", 0, "$ENV", "$secrets"),
        ("[inputs]", 1, "inputs", "$input"),
        (".a | halt_error", 5, "halt_error", "raise"),
        (".a | debug", 5, "debug", "remove"),
        ('import "a" as a; .', 0, "import", "files"),
        ('.a | test("x")', 5, "test", "contains"),
        ('.a | gsub("x"; "")', 5, "gsub", "split"),
        ('split("x"; "g")', 0, "split", "split"),
        ("[..]", 1, "..", "leaf_paths"),
        ("recurse", 0, "recurse", "walk"),
        ("repeat(.)", 0, "repeat", "until"),
        ("now | localtime", 6, "localtime", "gmtime"),
        ("tostream", 0, "tostream", "paths"),
        ("$__loc__", 0, "$__loc__", "$input"),
    ],
)
def test_a_forbidden_construct_is_named_with_what_to_use(source: str, offset: int, name: str, instead: str) -> None:
    issue = next(issue for issue in inspect_expression(source) if issue.severity == "error")
    assert (issue.code, issue.offset) == ("expression-forbidden", offset)
    assert name in issue.message.zh
    assert name in issue.message.en
    assert instead in issue.message.en


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (".items | lenght", "did you mean length?"),
        (".items | map_value(.)", "did you mean map_values?"),
        (".tags | join", "takes 1 arguments, 0 are given"),
        (".status == paid", '"paid" for a text'),
    ],
)
def test_an_unknown_function_gets_a_suggestion(source: str, words: str) -> None:
    issue = only_issue(source)
    assert issue.code == "expression-unknown-function"
    assert words in issue.message.en


@pytest.mark.parametrize("source", ["range(1e9)", "range(infinite)", "range(0; 10; 0)", "range(.n; infinite)"])
def test_an_unbounded_range_is_refused(source: str) -> None:
    assert ("expression-unbounded", "error", 1) in found(f"[{source}]")


@pytest.mark.parametrize("source", ["def f: f; f", "def f(g): 1 | f(g); .", "def a: def b: a; b; a"])
def test_a_function_that_calls_itself_is_refused(source: str) -> None:
    assert [code for code, *_ in found(source)] == ["expression-recursion"]


@pytest.mark.parametrize(
    "source",
    [
        ".refund_amount * 2",
        ".a.amount_minor + .b.amount_minor",
        "-.amount",
        ".order.totalAmount / 2",
        ".fee_cents % 10",
        ".items | map(.amount_minor) | add",
        "[.items[].amount] | add",
        "add(.items[].amount)",
        "reduce .items[] as $i (0; . + $i.pay_amount)",
        ".amount as $a | $a * 0.1",
        ". as {amount_minor: $a} | $a - 1",
        ".amount | tonumber | . - 1",
        ".amount += 1",
        ".amount |= . + 1",
        "(.amount // 0) * 3",
        "if .vip then .amount else 0 end | . * 2",
        ".price_fen | floor",
        '.["refund_amount"] * 2',
        ".items | map(.qty * .unit_amount)",
    ],
)
def test_arithmetic_on_money_is_refused(source: str) -> None:
    assert "expression-money-arithmetic" in [code for code, severity, _ in found(source) if severity == "error"]
    with pytest.raises(ExpressionProblem, match="settlement"):
        compile_expression(source)


@pytest.mark.parametrize(
    ("source", "code", "offset"),
    [
        ('"5" > 10', "expression-compare-kinds", 0),
        ('.n > "10"', "expression-compare-kinds", 5),
        ("(.n | tostring) == 5", "expression-compare-kinds", 0),
        ('false // "d"', "expression-false-default", 0),
        (".enabled // true", "expression-false-default", 0),
        ('(.a == 1) // "d"', "expression-false-default", 0),
        ('.a == "x" or "y"', "expression-constant-operand", 13),
        (".order-length", "expression-dashed-field", 7),
        (".items[]", "expression-many-outputs", 0),
        (".a, .b", "expression-many-outputs", 0),
    ],
)
def test_a_trap_is_a_warning_and_still_compiles(source: str, code: str, offset: int) -> None:
    assert found(source) == [(code, "warning", offset)]
    compile_expression(source)


def test_a_dashed_field_is_told_apart_from_a_subtraction() -> None:
    issue = only_issue(".first-name")
    assert (issue.code, issue.severity) == ("expression-dashed-field", "error")
    assert '."first-name"' in issue.message.zh
    assert inspect_expression(".first - .name") == []
    assert inspect_expression(".count - 1") == []


def test_a_condition_that_assigns_is_a_trap() -> None:
    assert found('.status = "paid"', condition=True) == [("expression-assignment", "warning", 0)]
    assert found('.status = "paid"') == []
    assert found(".items[] | .ok", condition=True) == []


def test_offsets_count_in_the_text_that_was_given() -> None:
    assert found("${ .a | env }") == [("expression-forbidden", "error", 8)]
    assert found("  ${\n  .x == 'a' }") == [("expression-syntax", "error", 13)]


def test_every_finding_is_reported_once_and_in_order() -> None:
    codes = found('.first-name + (env | test("x")) + .amount * 2')
    assert [code for code, *_ in codes] == [
        "expression-dashed-field",
        "expression-forbidden",
        "expression-forbidden",
        "expression-money-arithmetic",
    ]
    assert [offset for *_, offset in codes] == sorted(offset for *_, offset in codes)


def test_compiling_refuses_what_inspection_calls_an_error() -> None:
    with pytest.raises(ExpressionProblem) as caught:
        compile_expression(".a | env")
    problem = caught.value.problem.as_dict()
    assert problem["code"] == "expression-forbidden"
    assert problem["offset"] == 5
    assert problem["expression"] == ".a | env"
    assert "第 6 个字符" in problem["message"]["zh"]
    assert "character 6" in problem["message"]["en"]
