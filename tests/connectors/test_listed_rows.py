"""Rows of lists: each under its own key, understood or not."""

from datetime import UTC, datetime

import pytest

from connectors.accounts import Account
from connectors.listed_rows import listed_record
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
