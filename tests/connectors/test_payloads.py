"""Reading what strangers send."""

from random import Random
from urllib.parse import quote_plus, unquote_to_bytes

import pytest

from connectors.payloads import parse_json, percent_decoded
from domain.problems import ValidationProblem


def test_url_encoded_text_is_decoded_as_the_library_does_it() -> None:
    pick = Random(7)
    for _ in range(2_000):
        text = "".join(pick.choice('%=+ aA0f{}"\\\r\n\t_.?&大衣') for _ in range(pick.randrange(30)))
        assert percent_decoded(quote_plus(text)).decode() == text
        assert percent_decoded(text) == unquote_to_bytes(text.replace("+", " "))
    assert percent_decoded("%e5%a4%a7=%zz%") == "大=%zz%".encode()


@pytest.mark.parametrize("number", ["1e8000000", "-1e31", "1e-31", "1.5E+99", "0e99999999999999999999", "9" * 5_000])
def test_a_number_that_costs_seconds_to_write_out_is_none(number: str) -> None:
    with pytest.raises(ValidationProblem):
        parse_json(f'{{"amount": {number}}}'.encode())


def test_fractions_are_read_as_they_are_written() -> None:
    assert [str(number) for number in parse_json(b"[299.10, 1e3, 0.000001, -0.5]")] == [
        "299.10",
        "1E+3",
        "0.000001",
        "-0.5",
    ]
