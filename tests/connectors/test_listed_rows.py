"""Rows of lists: each under its own key, understood or not."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors import catering, douyin, erp, official_account, wecom, youzan
from connectors.accounts import Account
from connectors.listed_rows import listed_record, row_payload
from connectors.payloads import parse_json
from connectors.webhooks import Verified
from domain.problems import ValidationProblem
from tests.connectors.harness import connector

NOW = datetime(2026, 11, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize("row", [None, 5, "x", [], {}, {"id": {"a": 1}}, {"id": "9" * 300}, {"id": ""}], ids=repr)
def test_a_row_that_cannot_be_understood_is_kept_under_a_key_of_its_own(row: object) -> None:
    record = listed_record("order", row, ("id", "state"), NOW)
    assert record == listed_record("order", row, ("id", "state"), NOW)
    assert record.dedupe_key != listed_record("order", {"id": "1"}, ("id", "state"), NOW).dedupe_key
    assert len(record.dedupe_key) <= 200
    for platform in ("jd", "pinduoduo"):
        account = Account(platform, "shop", {})
        with pytest.raises(ValidationProblem):
            connector(platform).to_events(record, account)


def test_versions_of_a_row_are_told_apart() -> None:
    keys = {listed_record("order", {"id": 1, "state": state}, ("id", "state"), NOW).dedupe_key for state in "abca"}
    assert keys == {"order:1:a", "order:1:b", "order:1:c"}


@pytest.mark.parametrize("sort_keys", [False, True])
def test_half_an_emoji_stops_no_other_row_and_is_refused_by_name(sort_keys: bool) -> None:
    payload = row_payload({"tid": "1", "buyer_nick": "小\ud83d"}, sort_keys=sort_keys)
    with pytest.raises(ValidationProblem, match="surrogate"):
        parse_json(payload)
    assert listed_record("order", {"id": "小\ud83d"}, ("id",), NOW).payload


def test_a_row_is_kept_as_it_was_told() -> None:
    assert row_payload({"b": Decimal("299.10"), "a": "小"}).decode() == '{"b":"299.10","a":"小"}'
    assert row_payload({"b": 1, "a": "小"}, sort_keys=True).decode() == '{"a":"小","b":1}'


_ROWS: Mapping[str, Callable[[dict[str, str]], Verified]] = {
    "youzan": lambda row: youzan.pulling._record("order", row, NOW),
    "youzan buyer": lambda row: youzan.buyers.buyer_record("b1", row, NOW),
    "douyin": lambda row: douyin.pages._record(douyin.pages._LISTS["orders"], row, NOW),
    "catering": lambda row: catering.pushes.pulled("order", row, NOW),
    "official_account": lambda row: official_account.followers.follower_record(row, NOW),
    "wecom": lambda row: wecom.contacts._record("contact.read", NOW, row, [], ()),
    "erp": lambda row: erp.client._pulled("stock", row, NOW),
}


@pytest.mark.parametrize("platform", _ROWS)
def test_every_platform_hands_on_a_row_with_half_an_emoji(platform: str) -> None:
    record = _ROWS[platform]({"order_id": "1", "openid": "o1", "nickname": "小\ud83d"})
    with pytest.raises(ValidationProblem, match="surrogate"):
        parse_json(record.payload)
