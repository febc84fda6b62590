"""Where a person is named in stored texts, and where they are not."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from domain.canonical.keys import IdentityKey
from domain.customers.traces import SHORTEST, Traces

PHONE = IdentityKey("phone", "", "+8613800138000")
TRACES = Traces(
    [PHONE, IdentityKey("buyer", "jd", "买家/0001 x"), IdentityKey("member", "pos/1", "7")], ["c-1"], ["E1"]
)


def test_every_spelling_is_found() -> None:
    for value in ("+8613800138000", "8613800138000", "13800138000", "买家/0001 x", "customer:c-1", "order:E1"):
        for text in (
            json.dumps({"a": value}),
            json.dumps({"a": value}, ensure_ascii=False),
            f"a={quote(value, safe='')}",
            value,
        ):
            assert TRACES.are_in(text), text
    assert TRACES.are_in("key:member/pos/1/7")


def test_others_are_not() -> None:
    for text in ("E13800138000", "138001380001", '{"n": 7}', "order:E12", "E1", "customer:c-10", "", None):
        assert not TRACES.are_in(text), text


def test_only_the_object_around_a_name_goes() -> None:
    told = {"people": [{"phone": "13800138000", "name": "张三"}, {"phone": "13900139000", "name": "李四"}], "count": 2}
    assert TRACES.without(told) == {"people": [{"phone": "13900139000", "name": "李四"}], "count": 2}
    assert TRACES.without({"phone": 13800138000, "x": 1}) == {"phone": None, "x": 1}
    assert TRACES.without({"phone": "13800138000"}) == {}


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("+8613800138000"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_nothing_that_names_the_person_is_left(value: object) -> None:
    left = TRACES.without(value)
    assert not TRACES.are_in(json.dumps(left))
    if not TRACES.are_in(json.dumps(value)):
        assert left == value


def test_an_id_is_found_without_its_kind() -> None:
    """As `runs.customer` holds it; also when the ids can be read through once only."""
    assert Traces([], iter(["0199aa00-0000-7000-8000-000000000001"]), []).are_in("0199aa00-0000-7000-8000-000000000001")


def test_who_joins_a_group_is_not_who_opened_it() -> None:
    opener = Traces([], [], ["251111-001"])
    joined = {"order_id": "251111-002", "parent_order_id": "251111-001", "buyer": {"buyer_id": "b2"}, "paid_minor": 990}
    texts = (json.dumps(joined), json.dumps({"message": json.dumps({"parent_order_sn": "251111-001"})}))
    assert not any(opener.are_in(text) for text in texts)
    assert opener.without(joined) == joined
    assert opener.only({"orders": [joined]}) is None
    own = {"order_id": "251111-001", "parent_order_id": "251111-001"}
    assert opener.are_in(json.dumps(own))
    assert opener.only([joined, own]) == [own]


def test_what_stands_beside_the_person_in_a_list_is_told() -> None:
    me, other = {"phone": "13800138000"}, {"phone": 13900139000, "is_new": True}
    form = [{"name": "手机", "value": "13800138000"}, {"name": "姓名", "value": "张三"}]
    shared: tuple[tuple[Any, set[str]], ...] = (
        ([me, other], {"13900139000"}),
        ({"batch": {"people": [[other], me]}}, {"13900139000"}),
        (["customer:c-1", "customer:c-2"], {"customer:c-2"}),
        ({"form": form}, {"姓名", "张三"}),
    )
    for value, beside in shared:
        assert set(TRACES.told_beside(value)) == beside, value
    lines = [{"sku": "1"}, {"sku": "2"}]
    alone: tuple[Any, ...] = (me, [me], {"order": me, "lines": lines}, [other, other], None, "customer:c-1")
    for value in alone:
        assert not list(TRACES.told_beside(value)), value


def test_a_short_number_of_a_buyer_is_found_where_events_name_a_customer() -> None:
    till = Traces([IdentityKey("buyer", "generic/pos", "1001")], [], [])
    for text in ("customer:generic/pos/1001", "key:buyer/generic/pos/1001"):
        assert till.are_in(json.dumps([text])), text
    for text in ("customer:generic/pos/10011", "customer:generic/1001", "1001", "/hooks/generic/pos/1001"):
        assert not till.are_in(text), text


def test_no_keys_find_nobody() -> None:
    assert not Traces([], [], []).are_in("anything")
    assert SHORTEST > 1
