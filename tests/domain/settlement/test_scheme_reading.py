"""A scheme as finance writes it: what is read, and every mistake told at its place in both languages."""

from datetime import date
from typing import Any

import pytest
import yaml

from domain.dsl.findings import value_at
from domain.settlement.exact import RATE
from domain.settlement.explanation import explained, rule_of
from domain.settlement.formulas import Bonus, Fixed, Package, Proportion, Step, Tiers
from domain.settlement.levels import AllowedLevels, LevelLimit
from domain.settlement.scheme import BASES, MONEY_BASES, Base, Override
from domain.settlement.scheme_reading import read_scheme, scheme_of

THREE_LEVELS = LevelLimit(AllowedLevels(levels=3, allowed_by="legal", reason="a test"))
HEAD = "name: agents, title: 代理, cycle: month, from: 2026-01-01"


def read(earns: str, head: str = HEAD) -> Any:
    components = [{"title": "收入", **each} for each in yaml.safe_load(earns)]
    return read_scheme({"scheme": {**yaml.safe_load(f"{{{head}}}"), "earns": components}})


def mistakes(earns: str, head: str = HEAD) -> list[tuple[str, str]]:
    found = read(earns, head)
    errors = [each for each in found.remarks if each.severity == "error"]
    assert (found.scheme is None) == bool(errors)
    for each in found.remarks:
        assert each.message.zh
        assert each.message.en
    return [(each.code, each.pointer.removeprefix("/scheme")) for each in found.remarks]


def test_everything_that_a_scheme_may_say() -> None:
    scheme = read(
        """
        - name: live
          title: 直播
          of: kept
          where: {channel: [live], first: true, order-amount: {at-least: '1000.00'}}
          weights: [{where: {first: true}, times: '1.5'}, {times: 2}]
          tiers: {graduated: [{from: '0.00', rate: '5%'}, {from: '10000.00', rate: '8.25%', flat: '2.00'}]}
          days: {from: 2026-11-01, until: 2026-11-12}
          factor: {score: after-sale, steps: [{from: 0, times: '0.8'}, {from: 90, times: 1}]}
          floor: '10.00'
          cap: '50000.00'
        - {name: pieces, title: 件, of: quantity, package: {size: 10, price: '100.00', free: 10}}
        - {name: deals, title: 单, of: orders, each: '8.00', grain: line, roles: [member]}
        - {name: step, title: 阶梯, of: kept, bonus: {steps: [{from: '1000.00', pays: '50.00'}], each: true}}
        - {name: kept, title: 承诺, of: kept, promise: rising, tiers: {volume: [{from: '0.00', rate: '5%'}]}}
        - {name: rent, title: 固定, fixed: '3000.00', roles: member}
        - {name: below, title: 下级, of: paid, level: 1, rate: '7%'}
        - {name: team, title: 团队, overrides: {of: live, levels: ['10%']}}
        - {name: parcel, title: 保税仓, of: orders, where: {bonded: true}, each: '3.50', deducts: true}
        """,
        f"{HEAD}, until: 2027-01-01, currency: CNY, counts: paid, payees: {{roles: [member, city]}}, levels: 2, "
        "rounding: {rule: half-even, grain: '0.10'}, minimum: '10.00', hold-days: 15, "
        "clawback: {instalments: 3, keep: '50%'}",
    )
    assert scheme.remarks == []
    live, pieces, deals, step, promised, rent, below, team, parcel = scheme.scheme.components
    assert live.formula == Tiers("graduated", (Step(0, 50_000), Step(1_000_000, 82_500, 200)))
    assert [each.weight for each in live.weightings] == [15_000, 20_000]
    assert (live.floor, live.cap, live.days) == (1_000, 5_000_000, (date(2026, 11, 1), date(2026, 11, 12)))
    assert pieces.formula == Package(10, 10_000, 10)
    assert (deals.formula, deals.grain, deals.roles) == (Proportion(800 * RATE), "line", ("member",))
    assert step.formula == Bonus((Step(100_000, 5_000),), each=True)
    assert (rent.formula, rent.base) == (Fixed(300_000), "period")
    assert (below.level, team.override, parcel.deducts) == (1, Override("live", (100_000,)), True)
    assert [each.rising for each in (live, promised)] == [False, True]
    made = scheme.scheme
    assert (made.counts, made.rounding, made.grain, made.minimum) == ("paid", "half-even", 10, 1_000)
    assert (made.hold_days, made.instalments, made.keep, made.roles) == (15, 3, 500_000, ("member", "city"))


@pytest.mark.parametrize(
    ("earns", "wanted"),
    [
        ("- {name: a, of: kept, rate: 0.05}", ("unquoted-fraction", "/earns/0/rate")),
        ("- {name: a, of: kept, rate: '-5%'}", ("bad-rate", "/earns/0/rate")),
        ("- {name: a, of: kept, rate: '101%'}", ("bad-rate", "/earns/0/rate")),
        ("- {name: a, of: orders, rate: '5%'}", ("wrong-formula", "/earns/0/rate")),
        ("- {name: a, of: orders, each: '-1.00'}", ("negative-amount", "/earns/0/each")),
        ("- {name: a, of: orders, each: 8.00}", ("unquoted-fraction", "/earns/0/each")),
        ("- {name: a, of: orders, each: '8.005'}", ("bad-amount", "/earns/0/each")),
        ("- {name: a, of: recruits, each: '10.00'}", ("pay-for-recruiting", "/earns/0/of")),
        ("- {name: a, of: sold, rate: '5%'}", ("unknown-base", "/earns/0/of")),
        ("- {name: a, of: kept}", ("one-formula", "/earns/0")),
        ("- {name: a, of: kept, rate: '5%', fixed: '1.00'}", ("one-formula", "/earns/0/fixed")),
        ("- {name: a, of: kept, level: 2, rate: '5%'}", ("too-many-levels", "/earns/0/level")),
        (
            "- {name: a, of: kept, where: {chanel: live}, rate: '5%'}",
            ("unknown-field", "/earns/0/where/chanel"),
        ),
        ("- {name: a, of: visits, where: {first: true}, each: '5.00'}", ("out-of-place", "/earns/0/where")),
        ("- {name: a, of: score, each: '5.00'}", ("bad-score", "/earns/0")),
        ("- {name: a, of: count, each: '5.00'}", ("bad-count", "/earns/0")),
        ("- {name: a, of: count, count: Group buys, each: '5.00'}", ("bad-count", "/earns/0/count")),
        ("- {name: a, of: count, count: visits, each: '5.00'}", ("bad-count", "/earns/0/count")),
        ("- {name: a, of: visits, count: openings, each: '5.00'}", ("out-of-place", "/earns/0/count")),
        ("- {name: a, of: count, count: {}, each: '5.00'}", ("bad-count", "/earns/0/count")),
        ("- {name: a, of: count, count: {visits: 0.5}, each: '5.00'}", ("unquoted-fraction", "/earns/0/count/visits")),
        ("- {name: a, of: count, count: {Group buys: 1}, each: '5.00'}", ("bad-count", "/earns/0/count")),
        (
            "- {name: a, of: count, count: openings, where: {first: true}, each: '5.00'}",
            ("out-of-place", "/earns/0/where"),
        ),
        (
            "- {name: a, of: kept, rate: '5%', floor: '9.00', cap: '8.00'}",
            ("floor-above-cap", "/earns/0/floor"),
        ),
        ("- {name: a, fixed: '5.00', deducts: true}", ("never-earns", "/earns")),
        (
            "- {name: a, of: kept, tiers: {graduated: [{from: '1.00', rate: '5%'}]}}",
            ("gap-in-tiers", "/earns/0/tiers/graduated/0/from"),
        ),
        (
            "- {name: a, of: kept, tiers: {volume: [{from: '0.00', rate: '5%'}, {from: '0.00', rate: '6%'}]}}",
            ("overlapping-tiers", "/earns/0/tiers/volume/1/from"),
        ),
        (
            "- {name: a, of: kept, tiers: {volume: [{from: '0.00', rate: '5%'}, {from: '9.00', rate: '4%'}]}}",
            ("falling-tiers", "/earns/0/tiers/volume/1"),
        ),
        (
            "- {name: a, of: orders, tiers: {volume: [{from: 0, each: '5', flat: '2'}, {from: 9, each: '6.00'}]}}",
            ("falling-tiers", "/earns/0/tiers/volume/1"),
        ),
        (
            "- {name: a, of: kept, tiers: {graduated: [{from: '0.00', rate: '5%', flat: 2.5}]}}",
            ("unquoted-fraction", "/earns/0/tiers/graduated/0/flat"),
        ),
        (
            "- {name: a, of: kept, bonus: {steps: [{from: '9.00', pays: '5.00', flat: '2.00'}]}}",
            ("unknown-key", "/earns/0/bonus/steps/0/flat"),
        ),
        (
            "- {name: t, overrides: {of: live, levels: ['5%']}}",
            ("unknown-component", "/earns/0/overrides/of"),
        ),
        ("- {name: a, of: fx-difference, level: 1, rate: '5%'}", ("out-of-place", "/earns/0/level")),
        ("- {name: a, of: kept, level: 1, grain: line, rate: '5%'}", ("bad-grain", "/earns/0/grain")),
        (
            "- {name: a, of: kept, level: 1, rate: '5%'}\n- {name: t, overrides: {of: a, levels: ['5%']}}",
            ("override-of-override", "/earns/1/overrides/of"),
        ),
        (
            "- {name: a, of: kept, days: {from: 2026-11-12, until: 2026-11-11}, rate: '5%'}",
            ("bad-days", "/earns/0/days"),
        ),
        (
            "- {name: a, of: kept, grain: line, bonus: {steps: [{from: '1.00', pays: '1.00'}]}}",
            ("bad-grain", "/earns/0/grain"),
        ),
        (
            "- {name: a, of: kept, rate: '5%', factor: {score: s, otherwise: '1', steps: [{from: 0, times: 1}]}}",
            ("unknown-key", "/earns/0/factor/otherwise"),
        ),
        (
            "- {name: a, of: kept, rate: '5%', factor: {score: s, steps: [{from: 0, until: 9, times: 1}]}}",
            ("unknown-key", "/earns/0/factor/steps/0/until"),
        ),
        (
            "- {name: a, of: kept, rate: '5%', factor: {score: After sale, steps: [{from: 0, times: 1}]}}",
            ("bad-score", "/earns/0/factor/score"),
        ),
        (
            "- {name: a, of: kept, rate: '5%', factor: {score: s, steps: [{from: 60, times: 1}]}}",
            ("nothing-below", "/earns/0/factor/steps/0/from"),
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(earns: str, wanted: tuple[str, str]) -> None:
    assert mistakes(earns) == [wanted]


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (f"{HEAD}, levels: 3", ("too-many-levels", "/levels")),
        (f"{HEAD}, until: 2025-01-01", ("bad-days", "/until")),
        (f"{HEAD}, currency: yuan", ("bad-currency", "/currency")),
        (f"{HEAD}, currency: USD", ("bad-currency", "/currency")),
        (f"{HEAD}, rounding: {{rule: nearest}}", ("bad-rounding", "/rounding/rule")),
        (f"{HEAD}, active: 'no'", ("bad-value", "/active")),
        (f"{HEAD}, minimum: 10", ("unquoted-fraction", "/minimum")),
        (f"{HEAD}, cylce: day", ("unknown-key", "/cylce")),
        ("name: agents, title: 代理, cycle: month", ("missing-key", "")),
        ("name: agents, title: 代理, cycle: yearly, from: 2026-01-01", ("bad-choice", "/cycle")),
    ],
)
def test_a_mistake_of_the_scheme_itself(head: str, wanted: tuple[str, str]) -> None:
    assert mistakes("- {name: a, of: kept, rate: '5%'}", head) == [wanted]


def test_several_triggers_are_counted_by_their_weights() -> None:
    said = "- {name: a, of: count, count: {visits: 1, openings: '0.5'}, each: '5.00'}"
    scheme = read(said).scheme
    assert scheme is not None
    (component,) = scheme.components
    assert component.deeds == {"visits": 10_000, "openings": 5_000}
    assert scheme.deeds == ("visits", "openings")
    assert "累计数 visits、openings×0.5" in rule_of(scheme, component).zh


@pytest.mark.parametrize("base", BASES)
def test_days_are_refused_where_nothing_has_a_day(base: Base) -> None:
    how = {
        "score": "score: care, each: '5.00'",
        "count": "count: openings, each: '5.00'",
        "period": "fixed: '5.00'",
    }.get(base)
    how = how or ("rate: '5%'" if base in MONEY_BASES else "each: '5.00'")
    found = mistakes(f"- {{name: a, of: {base}, {how}, days: {{from: 2026-11-01, until: 2026-11-12}}}}")
    assert found == ([("out-of-place", "/earns/0/days")] if base in ("score", "period") else [])


@pytest.mark.parametrize("key", ["days: {from: 2026-11-01, until: 2026-11-12}", "where: {first: true}", "level: 1"])
def test_a_fixed_sum_is_for_the_period_whatever_it_is_said_to_be_of(key: str) -> None:
    place = f"/earns/0/{key.partition(':')[0]}"
    assert mistakes(f"- {{name: a, of: kept, fixed: '5.00', {key}}}") == [("out-of-place", place)]
    assert mistakes("- {name: a, of: kept, fixed: '5.00'}") == []


def test_what_was_taken_in_before_it_was_refused_stays_as_it_was() -> None:
    days = {"from": "2026-11-01", "until": "2026-11-12"}
    earns = [{"name": "a", "title": "固定", "fixed": "5.00", "days": days}]
    stored = {**yaml.safe_load(f"{{{HEAD}}}"), "earns": earns}
    assert read_scheme({"scheme": stored}).scheme is None
    scheme = scheme_of(stored)
    assert (scheme.components[0].formula, scheme.components[0].days) == (Fixed(500), None)
    assert "限" not in explained(scheme)[1].zh, "it was never limited, and is not said to be"


def test_a_coefficient_that_begins_above_nothing_says_what_is_below() -> None:
    factor = {"score": "care", "steps": [{"from": 60, "times": "0.5", "until": 90}, {"from": 90, "times": 1}]}
    earns = [{"name": "a", "title": "提成", "of": "kept", "rate": "5%", "factor": factor}]
    said = explained(scheme_of({**yaml.safe_load(f"{{{HEAD}}}"), "earns": earns}))[1]
    assert "低于 60 分为 0，60 分起 0.5，90 分起 1" in said.zh
    assert "0 below 60, 0.5 from 60, 1 from 90" in said.en


def test_three_levels_need_a_setting_that_allows_them() -> None:
    earns = "earns: [{name: a, title: 收入, of: kept, rate: '5%'}]"
    document = {"scheme": yaml.safe_load(f"{{{HEAD}, levels: 3, {earns}}}")}
    assert read_scheme(document).scheme is None
    assert read_scheme(document, level_limit=THREE_LEVELS).scheme is not None
    assert value_at(document, "/scheme/levels") == 3


def test_an_override_pays_no_more_levels_than_the_scheme_has() -> None:
    earns = "- {name: a, of: kept, rate: '5%'}\n- {name: t, overrides: {of: a, levels: ['10%', '5%']}}"
    assert mistakes(earns) == [("too-many-levels", "/earns/1/overrides/levels")]


FALLING = {
    "tiers/volume": "tiers: {volume: [{from: '0.00', rate: '5%'}, {from: '9.00', rate: '4%'}]}",
    "bonus/steps": "bonus: {steps: [{from: '1.00', pays: '5.00'}, {from: '9.00', pays: '4.00'}]}",
    "factor/steps": "rate: '5%', factor: {score: s, steps: [{from: 0, times: 1}, {from: 60, times: '0.9'}]}",
}


@pytest.mark.parametrize("table", FALLING)
def test_a_table_that_falls_is_warned_of_and_refused_where_it_was_promised_to_rise(table: str) -> None:
    formula = FALLING[table]
    found = read(f"- {{name: a, of: kept, {formula}}}")
    assert [(each.code, each.severity) for each in found.remarks] == [("falling-tiers", "warning")]
    assert found.scheme is not None, "it may be meant"
    promised = f"- {{name: a, of: kept, promise: rising, {formula}}}"
    assert mistakes(promised) == [("broken-promise", f"/earns/0/{table}/1")]


@pytest.mark.parametrize(
    "formula",
    [
        "rate: '5%'",
        "tiers: {graduated: [{from: '0.00', rate: '9%'}, {from: '9.00', rate: '4%'}]}",
        "tiers: {volume: [{from: '0.00', rate: '4%'}, {from: '9.00', rate: '4%'}]}",
        "bonus: {each: true, steps: [{from: '1.00', pays: '5.00'}, {from: '9.00', pays: '4.00'}]}",
        "bonus: {steps: [{from: '1.00', pays: '5.00'}, {from: '9.00', pays: '5.00'}]}",
        "rate: '5%', factor: {score: s, steps: [{from: 0, times: '0.9'}, {from: 60, times: 1}]}",
    ],
)
def test_what_never_falls_may_be_promised(formula: str) -> None:
    assert mistakes(f"- {{name: a, of: kept, promise: rising, {formula}}}") == []
    assert mistakes(f"- {{name: a, of: kept, promise: falling, {formula}}}") == [("bad-promise", "/earns/0/promise")]


@pytest.mark.parametrize(
    "earns",
    [
        "- {name: a, of: kept, rate: '5%'}\n- {name: b, of: orders, promise: rising, each: '1.00', deducts: true}",
        "- {name: a, of: kept, rate: '5%'}\n- {name: b, of: fx-difference, promise: rising, rate: '5%', "
        "factor: {score: s, steps: [{from: 0, times: 1}]}}",
        "- {name: a, of: kept, rate: '5%'}\n- {name: b, promise: rising, overrides: {of: a, levels: ['10%']}}",
        "- {name: a, of: fx-difference, promise: rising, rate: '5%'}\n- {name: b, promise: rising, "
        "overrides: {of: a, levels: ['10%']}, factor: {score: s, steps: [{from: 0, times: 1}]}}",
    ],
)
def test_what_may_fall_cannot_be_promised_to_rise(earns: str) -> None:
    assert mistakes(earns) == [("broken-promise", "/earns/1/promise")]


def test_what_was_promised_of_a_share_before_that_was_refused_is_said_no_more() -> None:
    tiers = {"volume": [{"from": "0.00", "rate": "5%"}, {"from": "9.00", "rate": "4%"}]}
    sales = {"name": "a", "title": "a", "of": "kept", "tiers": tiers}
    team = {"name": "b", "title": "b", "promise": "rising", "overrides": {"of": "a", "levels": ["10%"]}}
    scheme = scheme_of({**yaml.safe_load(f"{{{HEAD}}}"), "earns": [sales, team]})
    assert "只升不降" not in "".join(each.zh for each in explained(scheme))


def test_a_share_of_what_is_promised_to_rise_may_be_promised_too() -> None:
    sales = "- {name: a, of: kept, promise: rising, rate: '5%'}\n"
    assert mistakes(f"{sales}- {{name: b, promise: rising, overrides: {{of: a, levels: ['10%']}}}}") == []


@pytest.mark.parametrize(
    ("component", "place"),
    [
        ("{name: a, of: score, score: recruits, each: '50.00'}", "/score"),
        ("{name: a, of: score, score: new-members, each: '50.00'}", "/score"),
        ("{name: a, of: score, score: team-headcount, bonus: {steps: [{from: 5, pays: '50.00'}]}}", "/score"),
        ("{name: a, of: score, score: laren, each: '50.00'}", "/score"),
        ("{name: recruits, of: visits, each: '50.00'}", "/name"),
        ("{name: a, title: 拉人头奖, of: visits, each: '50.00'}", "/title"),
        ("{name: a, title: 招募奖励, of: bookings, package: {size: 10, price: '100.00'}}", "/title"),
        ("{name: a, title: Invited friends, of: reviews, each: '1.00'}", "/title"),
        ("{name: a, title: 发展下线, fixed: '100.00'}", "/title"),
        ("{name: a, of: kept, rate: '5%', factor: {score: referrals, steps: [{from: 0, times: 1}]}}", "/factor/score"),
        ("{name: a, of: invites, each: '50.00'}", "/of"),
        ("{name: a, of: count, count: recruits, each: '50.00'}", "/count"),
        ("{name: a, of: count, count: {visits: 1, recruits: 2}, each: '50.00'}", "/count/recruits"),
    ],
)
def test_recruiting_is_not_paid_by_whatever_name(component: str, place: str) -> None:
    assert mistakes(f"- {component}") == [("pay-for-recruiting", f"/earns/0{place}")]


def test_what_recruits_sell_and_openings_may_be_paid() -> None:
    assert (
        mistakes("""
        - {name: openings, title: 开团奖励, of: score, score: openings, bonus: {steps: [{from: 5, pays: '50.00'}]}}
        - {name: each-opening, title: 每次开团, of: count, count: openings, each: '2.00'}
        - {name: sales, title: 销售, of: kept, rate: '5%', factor: {score: after-sale, steps: [{from: 0, times: 1}]}}
        - {name: recruits-sales, title: 招募新人的销售, of: kept, level: 1, rate: '1%'}
        - {name: invited, title: 邀请会员的返利, overrides: {of: sales, levels: ['20%']}}
        """)
        == []
    )
