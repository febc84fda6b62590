"""The judge of `make accuracy` complains of a loss, a double, a wrong owner, and of having judged nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.faults import Fault, FaultRule
from tests.accuracy.faults import FAULTS, NEEDS_A_PERSON
from tests.accuracy.parcels import HeldParcel, compare_parcels
from tests.accuracy.refunds import HeldRefund, compare_refunds
from tests.accuracy.truth import Held, Joined, Key, buyers, compare_orders, compare_people, owners, phantoms
from tests.accuracy.verdict import Inflow, complaints, duplicates, refusals

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SHOP = "youzan/demo-apparel"


def order(number: str, person: str, *, paid: bool = True) -> dict[str, Any]:
    return {
        "order_id": number,
        "platform": "youzan",
        "account": "demo-apparel",
        "status": "paid" if paid else "unpaid",
        "paid_minor": 9900,
        "was_paid": paid,
        "person": person,
        "buyer_id": f"buyer-{person}",
        "waybill": f"SF-{number}" if number != "E3" else None,
        "updated_at": "2026-10-01T00:00:00.000Z",
    }


def refund(number: str, platform: str = "youzan", **more: Any) -> dict[str, Any]:
    return {
        "refund_id": number,
        "order_id": "E1",
        "platform": platform,
        "account": "demo-apparel",
        "status": "refunded",
        "amount_minor": 900,
        "returns_goods": True,
        "created_at": "2026-10-01T00:00:00.000Z",
        "modified_at": "2026-10-02T00:00:00.000Z",
        **more,
    }


def key(kind: str, value: str, person: str, scope: str = "") -> dict[str, Any]:
    platform, _, account = scope.partition("/")
    shown = {"platform": platform, "account": account, "kind": kind, "scope": scope, "value": value}
    return {**shown, "person": person, "cluster": f"{person}/0", "strong": True}


ORDERS = (order("E1", "ann"), order("E2", "bob"), order("E3", "bob", paid=False))
KEYS = (
    key("unionid", "u-ann", "ann"),
    key("external_userid", "x-ann", "ann", "wecom/corp"),
    key("buyer", "buyer-ann", "ann", "youzan"),
    key("unionid", "u-bob", "bob"),
    key("external_userid", "x-bob", "bob", "wecom/corp"),
    key("buyer", "buyer-bob", "bob", "youzan"),
)
HELD = (Held(SHOP, "E1", 9900, "paid", 1), Held(SHOP, "E2", 9900, "paid", 2), Held(SHOP, "E3", None, "unpaid", 2))
REFUNDS = (refund("R1"), refund("R2", status="return_refused"))
HELD_REFUNDS = (HeldRefund(SHOP, "R1", "E1", 900, "refunded"), HeldRefund(SHOP, "R2", "E1", 900, "return_refused"))
HELD_PARCELS = (HeldParcel(SHOP, "E1", "SF-E1"), HeldParcel(SHOP, "E2", "SF-E2"))
CUSTOMERS: Mapping[Key, int] = {
    (row["kind"], row["scope"], row["value"]): 1 if row["person"] == "ann" else 2 for row in KEYS
}


def judged(
    held: Sequence[Held] = HELD,
    customers: Mapping[Key, int] = CUSTOMERS,
    rows: Sequence[Mapping[str, Any]] = ORDERS,
    keys: Sequence[Mapping[str, Any]] = KEYS,
    quarantined: int = 0,
    refused: int = 0,
    faults: Sequence[Mapping[str, Any]] = (),
    refunds: Sequence[Mapping[str, Any]] = REFUNDS,
    held_refunds: Sequence[HeldRefund] = HELD_REFUNDS,
    held_parcels: Sequence[HeldParcel] = HELD_PARCELS,
) -> str:
    accuracy = {"youzan": compare_orders(rows, held, owners(keys, customers), buyers(keys), NOW)}
    people = compare_people(keys, customers, rows, NOW)
    inflow = {"youzan": Inflow(10, quarantined, 10, 0, refused)}
    given_back = {"youzan": compare_refunds(refunds, held_refunds, NOW)}
    parcels = {"youzan": compare_parcels(rows, held_parcels, NOW)}
    said = complaints(accuracy, phantoms(rows, held), people, inflow, faults, refunds=given_back, parcels=parcels)
    return "\n".join(said)


def test_what_is_all_right_is_not_complained_of() -> None:
    assert judged() == ""


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (HELD[1:], "2 of 3 orders are here"),
        ((*HELD, HELD[0]), "in no truth, or stored twice: youzan/demo-apparel E1"),
        ((*HELD, Held(SHOP, "E9", 1, "paid", 1)), "in no truth, or stored twice: youzan/demo-apparel E9"),
        ((*HELD[1:], Held(SHOP, "E1", 9900, "paid", 2)), "2 of 3 orders belong to the right person"),
        ((*HELD[1:], Held(SHOP, "E1", 9900, "paid", None)), "2 of 3 orders belong to the right person"),
        ((*HELD[1:], Held(SHOP, "E1", 9900, "paid", 7)), "2 of 3 orders belong to the right person"),
        ((*HELD[1:], Held(SHOP, "E1", 9800, "paid", 1)), "2 of 3 orders have the right amount"),
        ((*HELD[1:], Held(SHOP, "E1", None, "paid", 1)), "2 of 3 orders have the right amount"),
        ((*HELD[:2], Held(SHOP, "E3", 7, "unpaid", 2)), "2 of 3 orders have the right amount"),
        ((*HELD[1:], Held(SHOP, "E1", 9900, "shipped", 1)), "2 of 3 orders have the right status"),
    ],
)
def test_an_order_that_is_lost_doubled_made_up_or_wrong_is_a_complaint(held: Sequence[Held], said: str) -> None:
    assert said in judged(held=held)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (HELD_REFUNDS[1:], "1 of 2 refunds are here"),
        ((*HELD_REFUNDS, HELD_REFUNDS[0]), "in no truth, or stored twice: youzan/demo-apparel R1"),
        ((*HELD_REFUNDS, HeldRefund(SHOP, "R9", "E1", 1, "refunded")), "stored twice: youzan/demo-apparel R9"),
        ((HELD_REFUNDS[0]._replace(amount_minor=899), HELD_REFUNDS[1]), "1 of 2 refunds have the right amount"),
        ((HELD_REFUNDS[0]._replace(amount_minor=None), HELD_REFUNDS[1]), "1 of 2 refunds have the right amount"),
        ((HELD_REFUNDS[0]._replace(status="requested"), HELD_REFUNDS[1]), "1 of 2 refunds have the right status"),
        ((HELD_REFUNDS[0], HELD_REFUNDS[1]._replace(status="refused")), "1 of 2 refunds have the right status"),
        ((HELD_REFUNDS[0]._replace(order_id="E2"), HELD_REFUNDS[1]), "1 of 2 refunds hang on the right order"),
    ],
)
def test_a_refund_that_is_lost_doubled_made_up_or_wrong_is_a_complaint(held: Sequence[HeldRefund], said: str) -> None:
    assert said in judged(held_refunds=held)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (HELD_PARCELS[1:], "youzan: 1 of 2 parcels are here"),
        (
            (*HELD_PARCELS, HELD_PARCELS[0]),
            "youzan: 1 stored parcels are in no truth, or stored twice: youzan/demo-app",
        ),
        ((*HELD_PARCELS, HeldParcel(SHOP, "E3", "SF-E3")), "stored twice: youzan/demo-apparel E3 SF-E3"),
        ((HeldParcel(SHOP, "E2", "SF-E1"), HELD_PARCELS[1]), "youzan: 1 of 2 parcels are here"),
    ],
)
def test_a_parcel_that_is_lost_doubled_or_made_up_is_a_complaint(held: Sequence[HeldParcel], said: str) -> None:
    assert said in judged(held_parcels=held)


def test_a_parcel_that_only_lists_tell_counts_as_long_as_they_do() -> None:
    old = order("E1", "ann") | {"platform": "wechat_store", "updated_at": "2025-10-01T00:00:00.000Z"}
    found = compare_parcels([old, old | {"platform": "youzan"}], [], NOW)
    assert (found.true, found.out_of_reach) == (1, 1)


def test_what_jd_does_not_tell_of_goods_that_come_back_is_no_fault() -> None:
    asked = refund("7", "jd", status="return_refused")
    held = [HeldRefund("jd/demo-apparel", "afs-7", "E1", None, "refused")]
    assert compare_refunds([asked], held, NOW).wrong == []
    paid = compare_refunds([refund("7", "jd")], [held[0]._replace(status="refunded")], NOW)
    assert (paid.here, paid.amount) == (1, 0)
    old = {"created_at": "2025-10-01T00:00:00.000Z", "modified_at": "2025-10-02T00:00:00.000Z"}
    gone = compare_refunds([refund("7", "jd", **old)], [], NOW)
    assert (gone.true, gone.out_of_reach) == (0, 1)


def test_keys_that_are_not_here_count_as_not_joined() -> None:
    without = {found: customer for found, customer in CUSTOMERS.items() if found[0] != "unionid"}
    assert "recall 33.3333%" in judged(customers=without)


def test_a_shops_key_that_only_an_order_out_of_reach_shows_is_nobodys_fault() -> None:
    away = {found: customer for found, customer in CUSTOMERS.items() if found[2] != "buyer-ann"}
    assert "recall" in judged(customers=away)
    assert compare_people(KEYS, away, ORDERS[1:], NOW).recall == 1.0


def test_a_key_that_only_a_coupon_told_ties_nobody_together() -> None:
    openid = key("openid", "o-ann", "ann", "wechat_store/shop")
    told = {**CUSTOMERS, ("openid", "wechat_store/shop", "o-ann"): 3}
    assert judged(keys=(*KEYS, openid), customers=told) == ""
    wrong = {**told, ("openid", "wechat_store/shop", "o-ann"): 2}
    assert "pairs are of two people" in judged(keys=(*KEYS, openid), customers=wrong)


def test_a_sites_key_counts_only_when_it_is_here() -> None:
    member = key("member", "m-ann", "ann", "site/shop")
    assert judged(keys=(*KEYS, member)) == ""
    apart = {**CUSTOMERS, ("member", "site/shop", "m-ann"): 3}
    assert "recall 66.6667%" in judged(keys=(*KEYS, member), customers=apart)


def test_two_people_taken_for_one_and_one_for_two_are_complaints() -> None:
    assert "pairs are of two people" in judged(customers=dict.fromkeys(CUSTOMERS, 1))
    apart = {**CUSTOMERS, ("unionid", "", "u-ann"): 3}
    assert "recall 66.6667%" in judged(customers=apart)


def test_an_order_whose_buyer_the_platform_never_tells_is_of_nobody() -> None:
    untold = [each for each in KEYS if each["value"] != "buyer-ann"]
    held = (Held(SHOP, "E1", 9900, "paid", None), *HELD[1:])
    assert judged(held=held, keys=untold) == ""


@pytest.mark.parametrize(
    ("platform", "told_at", "right"), [("douyin", "06", 1), ("douyin", "09", 0), ("youzan", "06", 0)]
)
def test_an_old_order_is_of_nobody_where_only_the_list_names_buyers(platform: str, told_at: str, right: int) -> None:
    row = {**order("E1", "ann"), "platform": platform, "updated_at": f"2026-{told_at}-20T00:00:00.000Z"}
    held = [Held(f"{platform}/{row['account']}", "E1", 9900, "paid", None)]
    assert compare_orders([row], held, {}, {(platform, "ann")}, NOW).owner == right


def test_identity_is_told_platform_by_platform() -> None:
    apart = {**CUSTOMERS, ("buyer", "youzan", "buyer-bob"): 1}
    found = compare_people(KEYS, apart, ORDERS, NOW).by_platform
    assert found == {"wecom": Joined(4, 3, 4, 3), "youzan": Joined(5, 2, 4, 2)}


def test_a_truth_without_anything_in_it_is_a_complaint() -> None:
    assert "the truth has no order" in judged(held=(), rows=())
    assert "the truth has no refund" in judged(refunds=(), held_refunds=())
    assert "the truth has no parcel" in judged(rows=(), held_parcels=())
    assert "nothing was measured" in judged(keys=())
    assert "nothing was measured" in judged(customers={})


def test_a_genuine_record_in_quarantine_and_a_fault_that_never_struck_are_complaints() -> None:
    assert "youzan: 2 genuine records are in quarantine" in judged(quarantined=2)
    never = [{"fault": "5xx", "hit": 3}, {"fault": "quota", "hit": 0}]
    assert judged(faults=never) == "the fault quota was set and never struck"
    of_one = {"match": {"platform": "jd"}, "fault": "busy", "hit": 0}
    assert judged(faults=[of_one]) == "the fault busy of jd was set and never struck"


def test_all_faults_are_all_that_the_simulator_has() -> None:
    rules = [FaultRule.model_validate(rule) for rule in FAULTS]
    assert {rule.fault for rule in rules} == set(Fault) - NEEDS_A_PERSON


def test_what_was_forged_and_never_refused_is_a_complaint() -> None:
    forged = {"match": {"platform": "taobao"}, "fault": "forge_push", "hit": 3}
    assert judged(faults=[forged]) == "taobao: what was forged was never refused"
    assert judged(faults=[{**forged, "match": {"platform": "youzan"}}], refused=1) == ""


def test_refusals_are_read_from_the_metrics() -> None:
    text = (
        'tandem_webhook_refusals_total{platform="taobao",reason="wrong-signature"} 4.0\n'
        'tandem_webhook_refusals_total{platform="jd",reason="unreadable"} 2.0\n'
    )
    assert refusals(text) == {"taobao": 4}


def test_dropped_duplicates_are_read_from_the_metrics() -> None:
    text = (
        'tandem_webhooks_total{outcome="accepted",platform="youzan"} 9.0\n'
        'tandem_webhooks_total{outcome="duplicate",platform="youzan"} 3.0\n'
        'tandem_webhooks_created{outcome="duplicate",platform="jd"} 1.7e+09\n'
    )
    assert duplicates(text) == {"youzan": 3}
