"""What payees earn by a scheme: the sources' examples with worked numbers."""

from fractions import Fraction
from typing import Any

import yaml

from domain.settlement.evaluation import Doings, Downline, bounded, earned_alone, earned_by_downline
from domain.settlement.exact import WEIGHT
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import read_scheme


def a_scheme(earns: str, **more: Any) -> Scheme:
    components = [{"title": each["name"], **each} for each in yaml.safe_load(earns)]
    head = {"name": "s", "title": "s", "cycle": "month", "from": "2026-01-01"}
    found = read_scheme({"scheme": {**head, **more, "earns": components}})
    assert found.scheme is not None, found.remarks
    return found.scheme


def alone(scheme: Scheme, role: str = "", scores: dict[str, int] | None = None, **bases: int) -> dict[str, int]:
    doings = Doings(role, {name: base * WEIGHT for name, base in bases.items()}, {}, scores or {})
    return {each.component: each.amount for each in earned_alone(scheme, doings)}


def test_a_member_has_five_percent_and_a_city_agent_twelve() -> None:
    scheme = a_scheme(
        """
        - {name: member, of: kept, rate: '5%', roles: [member]}
        - {name: city, of: kept, rate: '12%', roles: [city]}
        """
    )
    assert alone(scheme, "member", member=123_456, city=123_456) == {"member": 6_173}
    assert alone(scheme, "city", member=123_456, city=123_456) == {"city": 14_815}


def test_a_promoter_sells_and_the_city_has_a_share_of_what_they_earned() -> None:
    scheme = a_scheme(
        "[{name: sales, of: kept, rate: '8%'}, {name: team, overrides: {of: sales, levels: ['25%']}, roles: [city]}]"
    )
    below = Downline({}, {("sales", 1): 10_001, ("sales", 2): 99_999})
    assert earned_by_downline(scheme, Doings("city", {}), below) == [("team", 10_001, 2_500)]
    assert earned_by_downline(scheme, Doings("promoter", {}), below) == []


def test_a_level_is_paid_by_what_it_sold() -> None:
    scheme = a_scheme("[{name: own, of: kept, rate: '5%'}, {name: below, of: kept, level: 1, rate: '7%'}]")
    below = Downline({"below": 1_000_000 * WEIGHT}, {})
    assert [each.amount for each in earned_by_downline(scheme, Doings("", {}), below)] == [70_000]
    assert alone(scheme, own=10_000) == {"own": 500}


def test_an_influencer_per_deal_a_store_at_a_fixed_fee_and_a_reward_for_a_while() -> None:
    scheme = a_scheme(
        """
        - {name: deals, of: orders, each: '8.00', roles: [influencer]}
        - {name: rent, fixed: '3000.00', roles: [store]}
        - {name: festival, of: kept, rate: '1%', days: {from: 2026-11-01, until: 2026-11-12}, roles: [store]}
        """
    )
    assert alone(scheme, "influencer", deals=37) == {"deals": 29_600}
    assert alone(scheme, "store", festival=88_888) == {"rent": 300_000, "festival": 889}


def test_a_group_leader_is_paid_by_score() -> None:
    steps = "[{from: 0, times: '0.8'}, {from: 80, times: 1}, {from: 95, times: '1.2'}]"
    scheme = a_scheme(
        f"""
        - {{name: sales, of: kept, rate: '10%', factor: {{score: after-sale, steps: {steps}}}}}
        - {{name: openings, of: score, score: openings, bonus: {{steps: [{{from: 10, pays: '100.00'}}]}}}}
        """
    )
    assert alone(scheme, scores={"after-sale": 79, "openings": 10}, sales=10_005) == {"sales": 800, "openings": 10_000}
    assert alone(scheme, scores={"after-sale": 95}, sales=10_005) == {"sales": 1_201, "openings": 0}


def test_a_fee_is_taken_off_and_bounds_hold() -> None:
    scheme = a_scheme(
        """
        - {name: sales, of: kept, rate: '10%', floor: '5.00', cap: '20.00'}
        - {name: parcel, of: orders, each: '3.50', deducts: true}
        """,
        floor="1.00",
        cap="15.00",
    )
    assert alone(scheme, sales=1_000, parcel=2) == {"sales": 500, "parcel": -700}
    assert alone(scheme, sales=900_000, parcel=0) == {"sales": 2_000, "parcel": 0}
    assert [bounded(scheme, total) for total in (-200, 700, 2_000)] == [100, 700, 1_500]


def test_an_exchange_difference_is_rounded_once_however_fine_it_is() -> None:
    """Rounded to a ten-thousandth first, 0.99999996 would be a whole unit, and half of it would be rounded up."""
    scheme = a_scheme("[{name: fx, of: fx-difference, rate: '50%'}]")
    fine = {"fx": Fraction(99_999_996, 10**8) * WEIGHT}
    assert earned_alone(scheme, Doings("", {"fx": WEIGHT}, unrounded=fine)) == [("fx", WEIGHT, 0)]
    assert earned_alone(scheme, Doings("", {"fx": WEIGHT})) == [("fx", WEIGHT, 1)]


def test_what_was_rounded_line_by_line_is_taken_as_it_is() -> None:
    scheme = a_scheme("[{name: deals, of: kept, rate: '5%', grain: line}]")
    doings = Doings("", {"deals": 30 * WEIGHT}, {"deals": 3})
    assert earned_alone(scheme, doings) == [("deals", 30 * WEIGHT, 3)]
