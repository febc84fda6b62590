"""From an author's YAML text to plain JSON data that remembers where everything stands.

YAML 1.2 core schema: `yes`, `on` and dates are text, `010` is ten. Repeated keys are refused, aliases written out up to
a bound.

Source: YAML 1.2.2, chapter 10.3 ("Core Schema").
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from domain.dsl.findings import Finding, Severity, child
from domain.dsl.yaml_mistakes import explain_syntax_error
from domain.dsl.yaml_nodes import DEEPEST_NESTING, Node, NodeReader, Place, RefusedYaml
from domain.problems import Text

MOST_CHARACTERS = 512 * 1024
MOST_NODES = 20_000
_SAFE_INTEGER = 2**53

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u200a\u200c-\u2027\u202a-\u205f\u2061-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL, _HEXADECIMAL = re.compile(r"0o[0-7]+\Z"), re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


@dataclass(slots=True)
class SourceDocument:
    """One YAML document: its data, its own text, and the place of every key and value by JSON pointer."""

    data: Any
    text: str
    start: Place
    values: dict[str, Place]
    keys: dict[str, Place]

    def place(self, pointer: str, *, of_key: bool = False) -> Place:
        """Where the value at a pointer starts (its key, when asked), else the nearest thing around it."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        while pointer:
            found = first.get(pointer) or second.get(pointer)
            if found is not None:
                return found
            pointer = pointer.rpartition("/")[0]
        return self.values.get("", self.start)

    def finding(self, code: str, severity: Severity, pointer: str, message: Text, *, of_key: bool = False) -> Finding:
        """A finding at a pointer of this document."""
        line, column = self.place(pointer, of_key=of_key)
        return Finding(code, severity, line, column, pointer, message)


@dataclass(slots=True)
class Source:
    """A text with its documents, and what is wrong with it as YAML. Documents before a syntax error are kept."""

    text: str
    documents: tuple[SourceDocument, ...]
    findings: tuple[Finding, ...]
    lines: list[str] = field(default_factory=list)


def decode_source(raw: bytes) -> str | Finding:
    """The text of a file: UTF-8, a byte order mark left out; a Finding that says which encoding it has otherwise."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        guess = _guessed_encoding(raw)
        known = Text(f"（看起来是 {guess}）", f" (it looks like {guess})") if guess else Text("", "")
        return Finding(
            "not-utf8",
            "error",
            line,
            column,
            "",
            Text(
                f"文件不是 UTF-8 编码{known.zh}。请在编辑器中“另存为”，编码选择 UTF-8",
                f"The file is not UTF-8{known.en}. Save it again with the encoding UTF-8",
            ),
        )


def _guessed_encoding(raw: bytes) -> str | None:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    return "GBK"


def read_source(text: str) -> Source:
    """Every document of a text. Whatever is wrong becomes a finding; nothing is raised."""
    text = text.removeprefix("\ufeff")
    lines = _LINE_BREAK.split(text)
    findings: list[Finding] = list(_refusals(text))
    if findings:
        return Source(text, (), tuple(findings), lines)
    documents: list[SourceDocument] = []
    reader = NodeReader(text)
    try:
        for node, start in reader.documents():
            document = SourceDocument(None, "", start, {}, {})
            document.data = _Builder(document, findings).build(node, "", None, 0)
            documents.append(document)
    except RefusedYaml as refused:
        findings.append(Finding(refused.code, "error", *refused.place, "", refused.message))
    except yaml.YAMLError as error:
        findings.append(explain_syntax_error(error, lines))
    _give_texts(documents, text, lines)
    kept = tuple(found for found in documents if found.data is not None)
    if not kept and not findings:
        findings.append(
            Finding("empty-file", "error", 1, 1, "", Text("文件是空的，没有任何定义", "The file holds no definition"))
        )
    return Source(text, kept, tuple(findings), lines)


def _refusals(text: str) -> Iterator[Finding]:
    if len(text) > MOST_CHARACTERS:
        yield Finding(
            "too-large",
            "error",
            1,
            1,
            "",
            Text(
                f"文件有 {len(text)} 个字符，超过上限 {MOST_CHARACTERS}，请拆分",
                f"The file has {len(text)} characters, more than {MOST_CHARACTERS}; split it",
            ),
        )
        return
    found = _FORBIDDEN.search(text)
    if found is not None:
        before = _LINE_BREAK.split(text[: found.start()])
        yield Finding(
            "invisible-character",
            "error",
            len(before),
            len(before[-1]) + 1,
            "",
            Text(
                f"这里有一个看不见的字符 U+{ord(found[0]):04X}（常见于从网页或文档复制），请删除后重新输入",
                f"There is an invisible character U+{ord(found[0]):04X} here, as copying from a web page brings it; "
                "delete it and type it again",
            ),
        )


class _Builder:
    """Turns nodes into data, and writes down places; aliases are written out, up to a bound."""

    def __init__(self, document: SourceDocument, findings: list[Finding]) -> None:
        self._document = document
        self._findings = findings
        self._count = 0

    def build(self, node: Node, pointer: str, key: Node | None, depth: int) -> Any:
        self._count += 1
        if self._count > MOST_NODES or depth > DEEPEST_NESTING:
            raise RefusedYaml(
                "too-many-nodes",
                node.place,
                Text(
                    f"内容展开后过大（超过 {MOST_NODES} 项或 {DEEPEST_NESTING} 层），请减少引用（*）或拆分",
                    f"Written out, this is more than {MOST_NODES} items or {DEEPEST_NESTING} levels; use fewer aliases "
                    "(*) or split it",
                ),
            )
        self._document.values[pointer] = node.place
        if key is not None:
            self._document.keys[pointer] = key.place
        if node.kind == "scalar":
            return self._scalar(node, pointer)
        if node.kind == "sequence":
            return [self.build(item, child(pointer, index), None, depth + 1) for index, item in enumerate(node.items)]
        return self._mapping(node, pointer, depth)

    def _mapping(self, node: Node, pointer: str, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first: dict[str, Place] = {}
        for key, value in node.pairs:
            name = self._text(key, pointer)
            if key.kind != "scalar":
                raise RefusedYaml(
                    "complex-key",
                    key.place,
                    Text(
                        "键必须是文字。如果是想写 {{ … }} 模板，请给整个值加上引号",
                        "A key must be a text. If this is a {{ … }} template, put quotes around the whole value",
                    ),
                )
            if name in first:
                self._add(
                    "duplicate-key",
                    key.place,
                    child(pointer, name),
                    Text(
                        f"“{name}”重复出现：第 {first[name].line} 行已经写过。请删除一个或改名",
                        f"“{name}” is given twice: first in line {first[name].line}. Remove or rename one",
                    ),
                )
                continue
            first[name] = key.place
            if key.plain and name != name.strip():
                self._add(
                    "fullwidth-space",
                    key.place,
                    child(pointer, name),
                    Text(
                        f"“{name.strip()}”前后有全角空格或不间断空格，请换成普通空格",
                        f"There is a full-width or non-breaking space around “{name.strip()}”; use plain spaces",
                    ),
                )
                name = name.strip()
            if name == "<<" and key.plain:
                self._add(
                    "merge-key",
                    key.place,
                    child(pointer, name),
                    Text(
                        "不支持 YAML 合并键 <<，请把内容直接写出来，或放进 use 中复用",
                        "The merge key << is not part of YAML 1.2; write the content out, or reuse it through use",
                    ),
                )
                continue
            data[name] = self.build(value, child(pointer, name), key, depth + 1)
        return data

    def _scalar(self, node: Node, pointer: str) -> Any:
        text = self._text(node, pointer)
        if not node.plain:
            return text
        if text in _NULL:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text[0] in "-+.0123456789":
            return self._number(node, pointer)
        if (text[0], text[-1]) in (("“", "”"), ("‘", "’"), ("”", "”"), ("＂", "＂")) and len(text) > 1:
            self._add(
                "fullwidth-quote",
                node.place,
                pointer,
                Text(
                    f"中文引号 {text[0]} {text[-1]} 会成为文字的一部分；若想作为引号，请改用英文 \" 或 '",
                    f"The quotes {text[0]} {text[-1]} become part of the text; for quoting use \" or '",
                ),
                "warning",
            )
        return text

    def _text(self, node: Node, pointer: str) -> str:
        if "\x00" in node.text:
            # Nobody types it; "\\0" in double quotes brings it in, and the database keeps no such text.
            self._add(
                "invisible-character",
                node.place,
                pointer,
                Text(
                    "双引号里的 \\0 是空字符（NUL），无法保存。若要反斜杠，请换成单引号，或写成 \\\\0",
                    "\\0 in double quotes is the character NUL, which cannot be kept. For a backslash use single "
                    "quotes, or write \\\\0",
                ),
            )
        return node.text

    def _number(self, node: Node, pointer: str) -> Any:
        text = node.text
        if _NOT_FINITE.match(text) or (_FLOAT.match(text) and not _is_finite(text)):
            self._add(
                "not-a-number",
                node.place,
                pointer,
                Text(f"{text} 不是有限的数字，无法保存", f"{text} is no finite number"),
            )
            return 0
        if _INTEGER.match(text):
            if abs(int(text)) > _SAFE_INTEGER or (len(text.lstrip("+-")) > 1 and text.lstrip("+-")[0] == "0"):
                self._add(
                    "number-like-id",
                    node.place,
                    pointer,
                    Text(
                        f"{text} 会被当作数字（丢失开头的 0 或末尾精度）。如果是单号、手机号等编号，请加引号：'{text}'",
                        f"{text} is read as a number and loses leading zeros or last digits. If it is an id, quote it: "
                        f"'{text}'",
                    ),
                    "warning",
                )
            return int(text)
        if len(text) <= 20 and (_OCTAL.match(text) or _HEXADECIMAL.match(text)):
            return int(text, 0)
        return float(text) if _FLOAT.match(text) else text

    def _add(self, code: str, place: Place, pointer: str, message: Text, severity: Severity = "error") -> None:
        self._findings.append(Finding(code, severity, place.line, place.column, pointer, message))


def _is_finite(text: str) -> bool:
    return len(text) <= 400 and math.isfinite(float(text))


def _give_texts(documents: list[SourceDocument], text: str, lines: list[str]) -> None:
    """A lone document keeps the exact text; of several each gets its own lines, without the `---` above them."""
    if len(documents) == 1:
        documents[0].text = text
        return
    starts = [0, *(document.start.line - 1 for document in documents[1:]), len(lines)]
    for document, first, end in zip(documents, starts, starts[1:], strict=False):
        own = lines[first:end]
        marker = next((index for index, line in enumerate(own) if line.rstrip() == "---"), None)
        if marker is not None and not any(_is_content(line) for line in own[:marker]):
            own = own[marker + 1 :]
        document.text = "\n".join(own)


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
