"""Stock: parts are summed, a newer word on the whole counts in their place, and nothing silences what was before."""

from itertools import permutations

import pytest

from domain.goods_stock import Voice, Word, codes_voice


def told(left: int, version: int, sku: str = "", place: str = "", item: str = "coat") -> Word:
    return Word(item, sku, place, left, version)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((told(3, 1, "m"), told(4, 1, "l")), 7),
        ((told(3, 1, "m"), told(4, 1, "l"), told(9, 2)), 9),
        ((told(3, 3, "m"), told(4, 3, "l"), told(9, 2)), 7),
        ((told(3, 3, "m"), told(4, 1, "l"), told(0, 2)), 3),
        ((told(3, 1, "m"), told(4, 1, "l"), told(0, 2)), 0),
        ((told(-5, 1, "m", "north"), told(4, 1, "m", "south"), told(2, 1, "l")), 6),
        ((told(5, 1, "m", "north"), told(4, 3, "m", "south"), told(0, 2, "m"), told(2, 1, "l")), 6),
        ((told(5, 1, "m"),), None),
        ((told(5, 1, "m"), told(9, 2)), 9),
        ((told(0, 2, "m"), told(9, 1)), None),
    ],
)
def test_an_article_s_pieces_whatever_the_order_of_words(words: tuple[Word, ...], expected: int | None) -> None:
    assert {Voice(order).of_article({"m", "l"}) for order in permutations(words)} == {expected}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((told(3, 2, "m"), told(0, 1)), 3),
        ((told(3, 1, "m"), told(0, 2)), 0),
        ((told(0, 2),), 0),
        ((told(4, 2),), None),
        ((), None),
    ],
)
def test_a_variant_s_pieces(words: tuple[Word, ...], expected: int | None) -> None:
    assert Voice(words).of_variant("m") == expected


def test_a_code_is_a_variant_s_or_an_article_s() -> None:
    words = [told(3, 1, "C-M", item="C"), told(4, 1, "C-L", item="C"), told(8, 1, item="D"), told(5, 1, "X", item="X")]
    assert codes_voice(words, "none", {"m": "C-M", "l": "D"}).of_article({"m", "l"}) == 11
    assert codes_voice(words, "C", {}).of_article(set()) == 7
    assert codes_voice(words, "C-L", {}).of_article(set()) == 4
    assert codes_voice(words, "none", {"m": "C"}).of_variant("m") is None, (
        "an article's code says nothing of one variant"
    )
