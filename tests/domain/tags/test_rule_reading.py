"""Rules as operations write them: read, or refused at the very place, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dsl.findings import Finding
from domain.dsl.lint import lint
from domain.problems import ValidationProblem
from domain.resources import TagRule, parse_resource
from domain.tags import EVERY_KIND, Group, Leaf, LiveRule, leaves, read_condition
from domain.tags.sense import outcome

RULE = """\
tag-rule:
  name: loyal
  version: 1.0.0
  tag: 忠实
  title: { zh: 忠实客户, en: Loyal }
  when:
    all:
      - BODY
"""


def findings(body: str) -> list[Finding]:
    return lint(RULE.replace("BODY", body))


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ("ordrs: { count: { at-least: 3 } }", "unknown-fact", "orders"),
        ("orders: { where: { chanel: live } }", "unknown-field", "channel"),
        ("orders: { where: { state: paid } }", "unknown-field", "status"),
        ("orders: { where: { status: payed } }", "unknown-value", "paid"),
        ("orders: { count: { at-leest: 3 } }", "unknown-key", "at-least"),
        ("orders: { cuont: { at-least: 3 } }", "unknown-key", "count"),
        ("orders: { within: 90 days, count: { at-least: 3 } }", "bad-duration", "PT15M"),
        ("orders: { within: null, count: { at-least: 3 } }", "bad-duration", "PT15M"),
        ("orders: { within: P0D, count: { at-least: 3 } }", "bad-duration", "P30D"),
        ("orders: { sum: { of: paid, at-least: 500 } }", "unquoted-amount", "'500.00'"),
        ("orders: { sum: { of: paid, at-least: '5,00' } }", "bad-value", "5,00"),
        ("orders: { sum: { of: payd, at-least: '500' } }", "unknown-field", "paid"),
        ("orders: { sum: { at-least: '500' } }", "unknown-field", "of: paid"),
        ("orders: { count: { at-least: 3, at-most: 2 } }", "contradictory-bounds", "contradict"),
        ("orders: { latest: { older-than: P60D, newer-than: P30D } }", "contradictory-bounds", "contradict"),
        ("orders: { count: { at-least: 0 } }", "always-true", "everybody"),
        ("orders: { count: { at-most: -1 } }", "never-true", "never"),
        ("orders: { count: { at-least: 3000000000 } }", "bad-value", "1000000"),
        ("orders: { count: 3 }", "bad-bounds", "at-least: 3"),
        ("orders: { count: {} }", "bad-bounds", "at-least"),
        ("orders: { count: { at-least: 3 }, sum: { of: paid, at-least: '1' } }", "bad-condition", "one measure"),
        ("order_lines: { where: { item: 2019000001 } }", "bad-value", "'2019000001'"),
        ("orders: { where: { channel: { at-least: 3 } } }", "bad-value", "no order"),
        ("replenishment: { silence: { at-least: 1.5 } }", "bad-value", "'1.5'"),
        ("replenishment: { silence: { at-least: '1.555' } }", "bad-value", "'1.5'"),
        ("replenishment: { silence: { at-least: '3', less-than: '1.5' } }", "contradictory-bounds", "below"),
        ("replenishment: { silence: {} }", "bad-bounds", "at-least"),
        ("replenishment: { silence: { assumed: P20D } }", "bad-bounds", "at-least"),
        ("replenishment: { silence: { at-least: '2', assumed: PT5H } }", "bad-duration", "P30D"),
        ("orders: { silence: { at-least: '1.5' } }", "unknown-field", "replenishment"),
        ("orders: { share: { more-than: 0.5 } }", "bad-value", "'50%'"),
        ("orders: { share: { more-than: '150%' } }", "bad-value", "'50%'"),
        ("orders: { share: { more-than: '100%' } }", "never-true", "never"),
        ("orders: { share: { at-least: '60%', less-than: '50%' } }", "contradictory-bounds", "contradict"),
        ("orders: { share: { among: { dinning: takeaway }, more-than: '50%' } }", "unknown-field", "dining"),
        ("orders: { share: {} }", "bad-bounds", "at-least"),
        ("orders: { latest: { after: coupons } }", "bad-bounds", "after: {"),
        ("orders: { latest: { after: { cupons: {} } } }", "bad-bounds", "after: {"),
        ("orders: { latest: { after: { coupons: { within: P3D } } } }", "unknown-key", "where"),
        ("orders: { count: { after: { coupons: {} } } }", "unknown-key", "at-least"),
        ("orders: { where: { currency: [CNY, USD] }, sum: { of: paid, at-least: '5' } }", "mixed-currencies", "one"),
        ("orders: { where: { currency: { not: CNY }, paid: { at-least: '5' } } }", "mixed-currencies", "one"),
        ("orders: { where: { currency: JPY }, sum: { of: paid, at-least: '5.50' } }", "bad-value", "JPY"),
        ("any: []", "bad-condition", "list"),
        ("{}", "bad-condition", "exactly one key"),
    ],
)
def test_a_mistake_is_told_at_its_place_with_what_to_write(body: str, code: str, word: str) -> None:
    found = [each for each in findings(body) if each.severity == "error"]
    assert [each.code for each in found] == [code]
    assert word in found[0].message.en
    assert found[0].message.zh != found[0].message.en
    # A rule as a whole is named at `when`, everything else in its own line.
    assert found[0].line == (6 if code in ("always-true", "never-true") else 8)


def test_several_mistakes_are_told_at_once() -> None:
    text = RULE.replace("tag: 忠实", "tga: 忠实").replace("BODY", "ordrs: {}")
    assert [(each.line, each.code) for each in lint(text)] == [
        (1, "missing-key"),
        (4, "unknown-key"),
        (8, "unknown-fact"),
    ]


def test_records_that_only_pile_up_need_a_window() -> None:
    (found,) = findings("visits: { count: { at-least: 3 } }")
    assert (found.code, found.severity) == ("endless-window", "warning")
    assert findings("visits: { within: P30D, count: { at-least: 3 } }") == []


def test_a_broken_rule_is_no_resource() -> None:
    document = {"tag-rule": {"name": "a", "tag": "t", "title": "t", "when": {"all": [{"ordrs": {}}]}}}
    with pytest.raises(ValidationProblem) as caught:
        parse_resource("tag-rule", document)
    assert caught.value.problem.model_dump()["errors"][0]["place"] == "tag-rule.when.all.0.ordrs"


def test_complementary_conditions_say_nothing() -> None:
    many, few = {"orders": {"count": {"at-least": 3}}}, {"orders": {"count": {"at-most": 2}}}
    for word, expected in (("any", True), ("all", False), ("none", False)):
        condition = read_condition({word: [many, few]}, "").condition
        assert condition is not None
        assert outcome(condition) is expected


def test_what_a_rule_looks_at_decides_when_it_is_looked_at() -> None:
    def looks_at(when: object) -> frozenset[str]:
        resource = parse_resource("tag-rule", {"tag-rule": {"name": "a", "tag": "t", "title": "t", "when": when}})
        assert isinstance(resource, TagRule)
        return LiveRule.of(resource.model_dump(mode="json")).looks_at

    assert looks_at({"all": [{"coupons": {"where": {"state": "taken"}}}]}) == {"coupon"}
    assert looks_at({"all": [{"order_lines": {"where": {"category": "猫粮"}}}]}) == {"orders"}
    assert looks_at({"all": [{"orders": {"latest": {"after": {"carts": {}}}}}]}) == {"orders", "refunds", "cart"}
    # Whoever has no record at all meets it, so every record of anybody new counts.
    assert looks_at({"none": [{"orders": {}}]}) == EVERY_KIND


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["P1D", "3", "at-least"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "all",
                    "any",
                    "none",
                    "orders",
                    "visits",
                    "where",
                    "within",
                    "count",
                    "sum",
                    "latest",
                    "of",
                    "at-least",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(_DATA)
def test_whatever_is_written_is_read_or_refused(data: object) -> None:
    read = read_condition(data, "/when")
    if read.condition is None:
        assert any(each.severity == "error" for each in read.remarks)
    else:
        assert isinstance(read.condition, Group | Leaf)
        assert list(leaves(read.condition))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("quantiles: [20, 80], segments: [{ name: a, r: 4 }]", "r, f, m of 1 to 3"),
        ("quantiles: [80, 20], segments: [{ name: a }]", "rising"),
        ("quantiles: [20], segments: [{ name: a, x: 2 }]", "no key “x”"),
        ("quantiles: [20], segments: []", "list of 1 to"),
    ],
)
def test_a_broken_rfm_says_what_to_write(body: str, line: str) -> None:
    found = lint(f"grading: {{ name: g, title: t, rfm: {{ within: P1Y, {body} }} }}")
    assert any(line in each.message.en for each in found), found
