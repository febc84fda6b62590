"""Rows from events: what many tellings of one thing come to, whatever their order and however often each came."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical.keys import IdentityKey
from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.customers.tombstones import is_of_erased, made_nobodys, order_key, order_of
from domain.events import Event
from domain.problems import ValidationProblem

NOON = datetime(2026, 11, 11, 4, 0, tzinfo=UTC)
ORIGIN = {"platform": "youzan", "account": "shop"}


def an_event(kind: str, version: int, **data: Any) -> Event:
    at = NOON + timedelta(minutes=version)
    return Event(
        id=f"{kind}-{version}",
        source="/youzan/shop",
        type=kind,
        time=at,
        data={**ORIGIN, "version": version, "occurred_at": at.isoformat(), **data},
    )


def told(kind: str, version: int, **data: Any) -> Record:
    record = record_of(an_event(kind, version, **data), NOON + timedelta(minutes=version))
    assert record is not None
    return record


def an_order(version: int, **data: Any) -> Record:
    return told("tandem.order.updated", version, **{"order_id": "E1", "status": "paid", **data})


orders = st.builds(
    lambda version, said: an_order(version, **{name: value for name, value in said.items() if value is not None}),
    st.integers(1, 10**6),
    st.fixed_dictionaries(
        {
            "order_id": st.sampled_from(["E1", "E2"]),
            "status": st.sampled_from(["unpaid", "paid", "shipped", "completed", "unknown"]),
            "paid_minor": st.sampled_from([None, 0, 9900]),
            "channel": st.sampled_from([None, "live", "shop"]),
            "buyer": st.sampled_from([None, {"phone": "13800138000"}, {"openid": "o-1"}]),
        }
    ),
)
tellings = st.lists(orders, max_size=8, unique_by=lambda record: (record.key, record.version))


def shown(records: Sequence[Record]) -> list[tuple[Any, ...]]:
    return [
        (each.shelf, each.key, each.version, each.detail_version, each.values, each.people, each.lines)
        for each in records
    ]


@given(st.data(), tellings)
def test_neither_order_nor_repetition_matters(data: st.DataObject, records: list[Record]) -> None:
    again = data.draw(st.lists(st.sampled_from(records), max_size=4)) if records else []
    shuffled = data.draw(st.permutations([*records, *again]))
    assert shown(fold(shuffled)) == shown(fold(records))
    assert shown(fold(fold(records))) == shown(fold(records))


def test_of_two_statuses_told_in_one_instant_the_further_one_stays() -> None:
    paid, unpaid = an_order(5, paid_minor=9900), an_order(5, status="unpaid", paid_minor=0)
    for both in ([paid, unpaid], [unpaid, paid]):
        (order,) = fold(both)
        assert (order.values["status"], order.values["paid_minor"]) == ("paid", 9900)


@given(tellings)
def test_the_newest_status_stays_and_nothing_said_is_lost(records: list[Record]) -> None:
    for folded in fold(records):
        same = [each for each in records if each.key == folded.key]
        with_status = [each for each in same if each.values["status"] != "unknown"]
        if with_status:
            assert folded.values["status"] == max(with_status, key=lambda each: each.version).values["status"]
        for name in ("paid_minor", "channel", "buyer"):
            said = {repr(each.values[name]) for each in same if each.values[name] is not None}
            assert repr(folded.values[name]) in (said or {"None"})
        assert bool(folded.people) == any(each.people for each in same)


def test_a_short_telling_moves_the_status_and_keeps_the_details() -> None:
    full = an_order(
        5,
        paid_minor=9900,
        lines=[
            {"line_id": "1", "item_id": "i", "title": "coat", "quantity": 1, "price_minor": 9900, "total_minor": 9900}
        ],
    )
    short = an_order(9, status="shipped")
    (order,) = fold([short, full])
    assert (order.values["status"], order.values["paid_minor"], len(order.lines)) == ("shipped", 9900, 1)
    assert (order.version, order.detail_version) == (9, 5)


def test_a_refund_remembers_when_it_was_first_asked_for() -> None:
    asked = [
        told("tandem.refund.created", version, refund_id="R", order_id="E1", status="requested") for version in (7, 3)
    ]
    (refund,) = fold(asked)
    assert refund.values["requested_at"] == NOON + timedelta(minutes=3)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"order_id": "E1", "status": "paid", "paid_minor": -1}, "paid_minor"),
        ({"order_id": "E1", "status": "paid", "paid_minor": 10**14}, "paid_minor"),
        ({"order_id": "E1", "status": "eaten"}, "status"),
        ({"status": "paid"}, "order_id"),
        ({"order_id": "E1", "status": "paid", "paid_at": (NOON + timedelta(hours=2)).isoformat()}, "paid_at"),
        ({"order_id": "E1", "status": "paid", "occurred_at": "2099-01-01T00:00:00Z"}, "occurred_at"),
    ],
)
def test_what_is_no_order_is_refused_by_the_name_of_its_field(data: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationProblem) as refusal:
        record_of(an_event("tandem.order.updated", 1, **data), NOON)
    assert place in str(refusal.value)


def test_events_of_other_kinds_are_no_records() -> None:
    assert record_of(an_event("tandem.customer.merged", 1), NOON) is None


def test_a_record_that_only_a_phone_names_goes_by_its_identity() -> None:
    member = told("tandem.member.updated", 1, phone="13800138000")
    assert member.is_nameless
    member.complete_key(None)
    assert member.is_nameless
    member.complete_key(42)
    assert member.key[2] == "identity/42"
    assert not member.is_nameless


BEST, PHONE = IdentityKey("openid", "wx1", "o-1"), IdentityKey("phone", "", "+8613800138000")


def about(*people: IdentityKey) -> Record:
    record = an_order(1, buyer={"nickname": "云"}, paid_minor=100)
    record.people = people
    return record


@pytest.mark.parametrize(
    ("people", "erased", "known", "theirs"),
    [
        ((BEST, PHONE), {BEST}, set(), True),
        ((BEST, PHONE), {PHONE}, set(), True),
        ((BEST, PHONE), {PHONE}, {BEST}, False),
        ((BEST, PHONE), set(), set(), False),
        ((), {PHONE}, set(), False),
        ((BEST,), {order_key("youzan/shop", "E1")}, {BEST}, True),
    ],
)
def test_whose_record_counts_as_an_erased_person_s(
    people: tuple[IdentityKey, ...], erased: set[Any], known: set[IdentityKey], theirs: bool
) -> None:
    keys = {(each.kind, each.scope, each.value) if isinstance(each, IdentityKey) else each for each in erased}
    assert is_of_erased(about(*people), keys, known) is theirs


def test_of_an_erased_person_amounts_stay_and_nobody() -> None:
    order = made_nobodys(about(BEST))
    assert order is not None
    assert (order.people, order.values["buyer"], order.values["paid_minor"]) == ((), None, 100)
    refund = told("tandem.refund.created", 1, refund_id="R", order_id="E1", status="requested", reason="太小了")
    assert order_of(refund) == order_of(order) == order_key("youzan/shop", "E1")
    nobody = made_nobodys(refund)
    assert nobody is not None
    assert nobody.values["reason"] is None
    assert made_nobodys(told("tandem.member.updated", 1, member_id="m")) is None


def test_contacts_that_differ_in_a_tag_are_told_apart() -> None:
    seen = {
        told(
            "tandem.contact.listed", 1, external_userid="wm1", userid="li", tag_ids=[f"et{number}"], tags=[f"t{number}"]
        ).values["details"]["seen"]
        for number in range(300)
    }
    assert len(seen) == 300
