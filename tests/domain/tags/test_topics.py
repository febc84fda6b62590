import pytest

from domain.tags.topics import topics_of


@pytest.mark.parametrize(
    ("said", "topics"),
    [
        ("有优惠吗？什么时候发货", ["price", "delivery"]),
        ("Any DISCOUNT today?", ["price"]),
        ("我怀孕了", []),
        ("你好", []),
        ("", []),
        (None, []),
    ],
)
def test_a_message_is_known_by_its_topics_alone(said: str | None, topics: list[str]) -> None:
    assert topics_of(said) == topics
