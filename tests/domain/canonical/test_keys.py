"""Keys: one person's number is one key however it is written, and a hidden one is none."""

from datetime import UTC, datetime

import pytest

from domain.canonical import Buyer, ContactData, IdentityKey, MemberData, OrderData, Origin, StockData, keys_of
from domain.canonical.announcing import announce

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
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


@pytest.mark.parametrize("platform", ["taobao", "jd", "pinduoduo", "douyin", "youzan", "meituan", "eleme"])
def test_a_shop_platform_numbers_its_buyers_for_all_of_its_shops(platform: str) -> None:
    ours, theirs = (_numbered(platform, account) for account in ("one", "other"))
    assert ours == theirs == [(("buyer", platform, "1001"), f"customer:{platform}/1001")] * 2


@pytest.mark.parametrize("platform", ["generic", "site", "erp", "bazaar", "wechat_store"])
def test_elsewhere_a_buyer_s_number_counts_within_the_account(platform: str) -> None:
    for account in ("one", "other"):
        expected = (("buyer", f"{platform}/{account}", "1001"), f"customer:{platform}/{account}/1001")
        assert _numbered(platform, account) == [expected] * 2


def test_a_record_can_say_whose_numbers_it_holds() -> None:
    crm = {"platform": "generic", "account": "crm", "version": 1}
    member = MemberData(**crm, buyer_id="yz1", buyer_scope="youzan")
    order = OrderData(**crm, order_id="1", status="paid", buyer=Buyer(buyer_id="yz1", buyer_scope="youzan"))
    assert keys_of(member) == keys_of(order) == (("buyer", "youzan", "yz1"),)


def _numbered(platform: str, account: str) -> list[tuple[IdentityKey, str]]:
    """The key and the subject by which an order and a member of an account name buyer 1001."""
    origin = {"platform": platform, "account": account, "version": 1}
    order = OrderData(**origin, order_id="1", status="paid", buyer=Buyer(buyer_id="1001"))
    told: list[Origin] = [order, MemberData(**origin, buyer_id="1001")]
    return [(keys_of(each)[0], announce(each, NOW).tandemkeys[0]) for each in told]


def test_a_record_without_people_has_no_keys() -> None:
    assert keys_of(StockData(**ORIGIN, item_id="1", available=3)) == ()
