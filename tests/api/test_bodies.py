import asyncio
import json
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api.bodies import DEEPEST_JSON, parse_json, uploaded_texts
from domain.problems import ValidationProblem

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    for ascii_only in (True, False):
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert parse_json(body) == json.loads(body)


@given(st.integers(min_value=1, max_value=200), TEXT)
def test_only_brackets_outside_of_texts_are_depth(depth: int, text: str) -> None:
    quoted = json.dumps(text + '["\\[{').encode()
    body = b"[" * depth + quoted + b"]" * depth
    if depth > DEEPEST_JSON:
        with pytest.raises(ValidationProblem, match="deeper"):
            parse_json(body)
    else:
        assert json.dumps(parse_json(body)) == json.dumps(json.loads(body))


@given(st.binary(max_size=200))
def test_whatever_comes_is_json_or_a_problem(body: bytes) -> None:
    try:
        expected = json.loads(body.decode())
    except ValueError:
        with pytest.raises(ValidationProblem):
            parse_json(body)
    else:
        with suppress(ValidationProblem):
            assert json.dumps(parse_json(body)) == json.dumps(expected)


def _request(sent: httpx.Request) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent.read(), "more_body": False}

    headers = [(name.lower(), value) for name, value in sent.headers.raw]
    return Request({"type": "http", "method": "POST", "headers": headers, "query_string": b""}, receive)


NAME = st.from_regex(r"[a-z退货][a-z退货 ._-]{0,20}\.yaml", fullmatch=True)


@given(st.lists(st.tuples(NAME, TEXT), min_size=1, max_size=5))
def test_files_of_a_form_arrive_as_they_were_sent(files: list[tuple[str, str]]) -> None:
    parts = [("files", (name, text.encode(), "text/yaml")) for name, text in files]
    sent = httpx.Request("POST", "http://tandem.test/", files=parts)
    texts = asyncio.run(uploaded_texts(_request(sent)))
    assert [(each.file, each.text) for each in texts] == [(name, text.removeprefix("\ufeff")) for name, text in files]
