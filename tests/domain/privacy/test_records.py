"""Records that go by a person's own number do not show it whole."""

import pytest

from domain.privacy import masked_record, masked_record_key


@pytest.mark.parametrize(
    ("kind", "key", "shown"),
    [
        ("contact", "wm8da275495f6aeea95127/SunYing", "wm8d****5127/SunYing"),
        ("follow", "oA1b2C3d4E5f6", "oA1b****E5f6"),
        ("member", "M-7", "****7"),
        ("member", "identity/42", "identity/42"),
        ("chat", "msg000000000001", "msg000000000001"),
    ],
)
def test_a_record_is_named_without_its_person(kind: str, key: str, shown: str) -> None:
    assert masked_record_key(kind, key) == shown
    assert masked_record(f"interactions:wecom/demo-corp/{kind}/{key}") == f"interactions:wecom/demo-corp/{kind}/{shown}"
    assert masked_record(f"wecom/corp interactions:wecom/corp/{kind}/{key}").endswith(f"/{shown}")


def test_an_order_is_named_as_it_is() -> None:
    assert masked_record("orders:youzan/flagship/E1") == "orders:youzan/flagship/E1"
