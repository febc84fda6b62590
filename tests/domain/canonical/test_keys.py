"""Keys: one person's number is one key however it is written, and a hidden one is none."""

import pytest

from domain.canonical import Buyer, ContactData, MemberData, OrderData, StockData, keys_of

ORIGIN = {"platform": "youzan", "account": "flagship", "version": 1}


@pytest.mark.parametrize("written", ["13800138000", "138 0013 8000", "+86 138-0013-8000", "008613800138000"])
def test_a_number_is_one_key_however_it_is_written(written: str) -> None:
    assert keys_of(MemberData(**ORIGIN, phone=written)) == (("phone", "", "+8613800138000"),)


@pytest.mark.parametrize("written", ["", "  ", "138****8000", "12345", "not a number", "1" * 400])
def test_what_is_no_number_is_no_key(written: str) -> None:
    assert keys_of(MemberData(**ORIGIN, phone=written)) == ()


def test_the_strongest_key_comes_first_and_scopes_keep_apart() -> None:
    buyer = Buyer(buyer_id="B1", unionid="U1", openid="O1", device="D1")
    order = OrderData(**ORIGIN, order_id="E1", status="paid", buyer=buyer)
    assert [(each.kind, each.scope) for each in keys_of(order)] == [
        ("unionid", ""),
        ("openid", "youzan/flagship"),
        ("buyer", "youzan"),
        ("device", ""),
    ]
    contact = ContactData(platform="wecom", account="corp", version=1, external_userid="wm1")
    assert [each.subject for each in keys_of(contact)] == ["key:external_userid/wecom/corp/wm1"]


def test_a_record_without_people_has_no_keys() -> None:
    assert keys_of(StockData(**ORIGIN, item_id="1", available=3)) == ()
