"""Whatever an author types, the linter answers with findings; it never raises."""

import contextlib
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dsl.annotations import keys_of
from domain.dsl.definition import DefinitionProblem, parse_definitions
from domain.dsl.lint import lint
from domain.dsl.model import Flow

FILES = [file.read_text(encoding="utf-8") for file in sorted((Path(__file__).parents[1] / "broken").glob("*.yaml"))]
WORDS = sorted(
    {
        *keys_of(Flow),
        *("call", "with", "set", "switch", "when", "then", "try", "catch", "retry", "for", "each", "in", "at", "while"),
        *("fork", "branches", "listen", "to", "one", "any", "until", "raise", "error", "run", "workflow", "wait"),
        *("emit", "event", "if", "export", "as", "from", "input", "timeout", "after", "http", "human-task", "end"),
    }
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([*WORDS, "${ .a }", "${", "$x", ".a", "P1D", "0 9 * * *", "{{ a }}", "a：b", ""]),
    st.text(max_size=12),
)
DATA = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=6), inner),
    max_leaves=25,
)


def examine(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + 1
    for found in lint(text):
        assert 1 <= found.line <= lines
        assert found.column >= 1
    with contextlib.suppress(DefinitionProblem):
        parse_definitions(text)


@given(st.text())
@settings(max_examples=150, deadline=None)
def test_any_text(text: str) -> None:
    examine(text)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}\"'|>&*!%@`#?, \t\n：“”$\\"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_punctuation(text: str) -> None:
    examine(text)


@given(st.sampled_from(FILES), st.data())
@settings(max_examples=150, deadline=None)
def test_a_definition_with_a_piece_torn_out_or_put_in(text: str, data: Any) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    put = data.draw(st.sampled_from(["", "\t", "：", '"', "'", "- ", "  ", "\n", "{", "[", "${ ", ": ", "null"]))
    examine(text[:start] + put + text[end:])


@given(st.dictionaries(st.sampled_from(WORDS), DATA))
@settings(max_examples=300, deadline=None)
def test_any_data_under_the_words_of_the_language(content: dict[str, Any]) -> None:
    examine(yaml.safe_dump(content, allow_unicode=True))


@given(DATA)
@settings(max_examples=300, deadline=None)
def test_any_data_as_a_task(content: Any) -> None:
    document = {"dsl": "1.0.3", "namespace": "a", "name": "b", "version": "1.0.0"}
    flow = {"document": document, "do": [{"a": content}, content], "use": content, "schedule": content}
    examine(yaml.safe_dump(flow, allow_unicode=True))
