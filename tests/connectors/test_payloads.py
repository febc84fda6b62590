"""Reading what strangers send."""

from random import Random
from urllib.parse import quote_plus, unquote_to_bytes

from connectors.payloads import percent_decoded


def test_url_encoded_text_is_decoded_as_the_library_does_it() -> None:
    pick = Random(7)
    for _ in range(2_000):
        text = "".join(pick.choice('%=+ aA0f{}"\\\r\n\t_.?&大衣') for _ in range(pick.randrange(30)))
        assert percent_decoded(quote_plus(text)).decode() == text
        assert percent_decoded(text) == unquote_to_bytes(text.replace("+", " "))
    assert percent_decoded("%e5%a4%a7=%zz%") == "大=%zz%".encode()
