import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domain.dsl.findings import Finding, child
from domain.dsl.source import MOST_CHARACTERS, decode_source, read_source


def data_of(text: str) -> object:
    source = read_source(text)
    assert [found for found in source.findings if found.severity == "error"] == []
    return source.documents[0].data


def codes(text: str) -> list[tuple[str, int, int]]:
    return [(found.code, found.line, found.column) for found in read_source(text).findings]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-11-23", "2026-11-23"),
        ("1e3", 1000.0),
        ("+.5", 0.5),
        ("-7", -7),
        ("=", "="),
        ("0b11", "0b11"),
        ("1.0.3", "1.0.3"),
    ],
)
def test_scalars_are_read_by_the_core_schema_of_yaml_1_2(written: str, meant: object) -> None:
    data = data_of(f"a: {written}\n")
    assert data == {"a": meant}
    assert isinstance(data, dict)
    assert type(data["a"]) is type(meant)


def test_the_key_on_is_a_text() -> None:
    assert data_of("on:\n  one: 1\n200: ok\n") == {"on": {"one": 1}, "200": "ok"}


def test_a_number_that_is_rather_an_id_is_warned_of() -> None:
    assert codes("phone: 010\nid: 20261123000100001234\nfine: 10\n") == [
        ("number-like-id", 1, 8),
        ("number-like-id", 2, 5),
    ]


def test_every_key_and_value_knows_its_place() -> None:
    document = read_source("a:\n  - b: 'x'\n    退款: {c: 1}\n").documents[0]
    assert document.place("/a", of_key=True) == (1, 1)
    assert document.place("/a/0/b") == (2, 8)
    assert document.place("/a/0/退款", of_key=True) == (3, 5)
    assert document.place("/a/0/退款/c") == (3, 13)
    assert document.place("/a/0/nothing/there") == (2, 5), "what is not there has the place of what is around it"


NAMES = st.text(alphabet="abcdefgh键/~ ", min_size=1, max_size=5).filter(lambda name: name == name.strip())
TREES = st.recursive(
    st.integers(0, 99) | st.booleans() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, TREES, min_size=1))
def test_reading_gives_back_what_was_written_and_places_point_at_it(tree: dict[str, object]) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, width=1000)
    source = read_source(text)
    assert source.findings == ()
    document = source.documents[0]
    assert document.data == tree
    for name in tree:
        line, column = document.place(child("", name), of_key=True)
        assert text.split("\n")[line - 1][column - 1 :].lstrip("'\"").startswith(name)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    text = decode_source(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    assert isinstance(text, str)
    document = read_source(text).documents[0]
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.place("/b/c") == (3, 6)


@pytest.mark.parametrize(("encoding", "name"), [("gbk", "GBK"), ("utf-16", "UTF-16")])
def test_another_encoding_is_recognised(encoding: str, name: str) -> None:
    found = decode_source("a: 1\n标题: 退货退款\n".encode(encoding))
    assert isinstance(found, Finding)
    assert found.code == "not-utf8"
    assert name in found.message.zh
    assert name in found.message.en
    assert encoding == "utf-16" or (found.line, found.column) == (2, 1)


def test_a_repeated_key_names_both_places() -> None:
    source = read_source("a: 1\nb: 2\na: 3\n")
    assert [(found.code, found.line) for found in source.findings] == [("duplicate-key", 3)]
    assert "line 1" in source.findings[0].message.en
    assert source.documents[0].data == {"a": 1, "b": 2}


def test_aliases_are_written_out() -> None:
    assert data_of("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{name}: &{name} [{','.join(['*' + above] * 9)}]" for above, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    began = time.process_time()
    assert [code for code, _, _ in codes("\n".join(lines))] == ["too-many-nodes"]
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: &x [*x]", "endless-alias", 1, 8),
        ("a: *x", "unknown-anchor", 1, 4),
        ("a: !python/object:os.system x", "yaml-tag", 1, 4),
        ("a: !!str 1", "yaml-tag", 1, 4),
        ("a: {{ title }}", "complex-key", 1, 5),
        ("base: &b {x: 1}\nnext:\n  <<: *b\n", "merge-key", 3, 3),
        ("a: .inf", "not-a-number", 1, 4),
        ("a: 1e999", "not-a-number", 1, 4),
        ("a: " + "9" * 5000, "not-a-number", 1, 4),
        ("[" * 5000, "too-deep", 1, 62),
        ("a: x\u200by", "invisible-character", 1, 5),
        ("a: 1\u2028b: 2", "invisible-character", 1, 5),
        ('a: "x\\0y"', "invisible-character", 1, 4),
        ('a: 1\n"b\\x00": 2', "invisible-character", 2, 1),
        ("\u3000a: 1", "fullwidth-space", 1, 1),
        ("a: “加急”", "fullwidth-quote", 1, 4),
        ("", "empty-file", 1, 1),
        ("# nothing\n---\n", "empty-file", 1, 1),
        ("a:\n\tb: 1", "tab-indentation", 2, 1),
        ("a：\n  b: 1", "fullwidth-colon", 1, 2),
        ("x:\n  call：http\n  with:\n    a: 1", "fullwidth-colon", 2, 7),
        ("call:http\nwith:\n  a: 1", "missing-space", 1, 5),
        ("a: 'open\nb: 1\n", "unclosed-quote", 1, 4),
        ('a: "open\nb: "x"\n', "unclosed-quote", 1, 4),
        ('a: "x" y', "text-after-quote", 1, 8),
        ('a: "\\(.x)"', "bad-escape", 1, 5),
        ("a: ${ {b: 1} }", "unquoted-expression", 1, 4),
        ("a: {b: ${ .c }}", "unquoted-expression", 1, 8),
        ("a: see: below", "colon-in-value", 1, 7),
        ("a: @login", "unquoted-special", 1, 4),
        ("a: `x`", "unquoted-special", 1, 4),
        ("a: %x", "unquoted-special", 1, 4),
        ("a: [1, 2\nb: 3", "unclosed-bracket", 1, 4),
        ("a: | x\n  y", "text-after-bar", 1, 6),
        ("a:\n    b: 1\n  c: 2", "bad-indentation", 3, 3),
        ("- a: 1\n b: 2", "bad-indentation", 2, 2),
        ("a: 1\n   b: 2", "bad-indentation", 2, 4),
    ],
)
def test_a_mistake_is_recognised_where_it_is(text: str, code: str, line: int, column: int) -> None:
    found = [place for place in codes(text) if place[0] == code]
    if code == "colon-in-value":
        assert [(place[0], place[1]) for place in found] == [(code, line)]
    else:
        assert found == [(code, line, column)]


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert codes("a" * (MOST_CHARACTERS + 1)) == [("too-large", 1, 1)]


def test_several_documents_keep_their_own_text_and_the_file_s_lines() -> None:
    source = read_source("# first\na: 1\n---\nb: 2\n---\n")
    assert [document.data for document in source.documents] == [{"a": 1}, {"b": 2}]
    assert [document.text for document in source.documents] == ["# first\na: 1", "b: 2"]
    assert source.documents[1].place("/b") == (4, 4)


def test_documents_above_a_syntax_error_are_kept() -> None:
    source = read_source("a: 1\n---\nb: [\n")
    assert [document.data for document in source.documents] == [{"a": 1}]
    assert [found.code for found in source.findings] == ["unclosed-bracket"]


@pytest.mark.parametrize("text", ["a: [1, {b: 'x'}]\n退款: yes\n", "a:\n\tb: 1", "a: 'open", "a: &x 1\nb: *x"])
def test_the_parser_in_python_says_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    native = read_source(text)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    portable = read_source(text)
    assert [document.data for document in portable.documents] == [document.data for document in native.documents]
    assert [(found.code, found.line) for found in portable.findings] == [
        (found.code, found.line) for found in native.findings
    ]
