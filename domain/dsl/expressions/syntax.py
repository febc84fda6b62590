"""From the author's text to a syntax tree that knows its places.

The grammar is purejq's: its lexer and parser read the text, and its tuples are the tree. What is added here: the offset
of every node, limits that keep parsing shallow, and refusals in both languages that point at the offending character.
"""

# purejq is marked as typed but carries no annotations:
# mypy: disable-error-code="no-untyped-call"

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from purejq.errors import JqParseError
from purejq.lexer import lex
from purejq.parser import Parser

from domain.dsl.expressions.failures import Refusal
from domain.problems import Text

Node = tuple[Any, ...]
Token = tuple[str, Any, int]

MAX_CHARACTERS = 10_000
MAX_BRACKETS = 24
MAX_CHAIN = 150  # operators the parser reads by descending once more for each
MAX_DEPTH = 100
SYNTAX_CODE = "expression-syntax"
FORBIDDEN_CODE = "expression-forbidden"
TOO_LARGE_CODE = "expression-too-large"

_OPEN = re.compile(r"\s*\$\{")
_SPACE_OR_COMMENT = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_WORD = re.compile(r"\w+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_POSITION = re.compile(r"at position (\d+)")
_DESCENDING = frozenset(["|", "//", "-"])
_DESCENDING_WORDS = frozenset(["as", "def", "try", "catch", "elif", "label"])
_HINTS = {
    "&": Text("“并且”请写 and", "write `and` for a conjunction"),
    "!": Text("“非”请写 “| not”，“不等于”请写 !=", "write `| not` for a negation, `!=` for unequal"),
    "'": Text("文本请用双引号", "put texts in double quotes"),
    "`": Text("文本请用双引号", "put texts in double quotes"),
    "~": Text("不支持这个运算符", "there is no such operator"),
    "^": Text("乘方请写 pow(底数; 指数)", "write pow(base; exponent) for a power"),
    "\\": Text("反斜杠只能出现在文本中", "a backslash may stand inside a text only"),
}
_FULL_WIDTH = dict(zip("“”‘’，。：；（）【】｛｝｜＝＞＜！？＋－×÷　", "\"\"'',.:;()[]{}|=><!?+-*/ ", strict=True))


def is_expression(text: str) -> bool:
    """Whether the whole text is one `${ … }`; space around it does not count."""
    stripped = text.strip()
    return stripped.startswith("${") and stripped.endswith("}")


def strip_expression(text: str) -> str:
    """The jq source inside `${ … }`; a text without the marks is returned without the space around it."""
    stripped = text.strip()
    return stripped[2:-1].strip() if is_expression(stripped) else stripped


def source_offset(text: str) -> int:
    """How many characters stand before the jq source in `text`."""
    mark = _OPEN.match(text) if is_expression(text) else None
    start = mark.end() if mark else 0
    return len(text) - len(text[start:].lstrip())


@dataclass(frozen=True, slots=True)
class Syntax:
    """A parsed expression: the tree, the place of its nodes, and the tokens of the outermost level."""

    source: str
    root: Node
    tokens: list[Token]
    starts: list[int]
    places: dict[int, int] = field(repr=False)
    bracketed: set[int] = field(repr=False)

    def place(self, node: Any) -> int:
        """The offset of a node: its own, or that of its leftmost part."""
        while isinstance(node, (tuple, list)) and node:
            known = self.places.get(id(node))
            if known is not None:
                return known
            node = next((part for part in node if isinstance(part, (tuple, list)) and part), None)
        return 0

    def is_in_brackets(self, node: Node) -> bool:
        """Whether the node stands in round brackets of its own."""
        return id(node) in self.bracketed


def children(node: Any) -> Iterator[Any]:
    """The tuples and lists directly inside a node."""
    return (part for part in node if isinstance(part, (tuple, list)))


def nodes(root: Node) -> Iterator[Node]:
    """Every node of a tree, without recursion; a node is a tuple that begins with its name."""
    waiting: list[Any] = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple) and part and isinstance(part[0], str):
            yield part
        waiting.extend(reversed(list(children(part))))


def parse(source: str) -> Syntax:
    """The syntax tree of a jq source. Raises Refusal where the grammar is broken or the text is too large."""
    if len(source) > MAX_CHARACTERS:
        raise _too_large(0, f"长度超过 {MAX_CHARACTERS} 个字符", f"it has more than {MAX_CHARACTERS} characters")
    if not source.strip():
        raise Refusal(SYNTAX_CODE, 0, Text("表达式是空的", "the expression is empty"))
    places: dict[int, int] = {}
    bracketed: set[int] = set()
    try:
        tokens = lex(source)
    except (JqParseError, ValueError, RecursionError) as error:
        raise _lexing_refusal(source, error) from None
    _limit_chains(tokens)
    parser = _LocatedParser(source, tokens, 0, places, bracketed)
    try:
        root = parser.parse_program()
    except (JqParseError, RecursionError):
        raise parser.unexpected() from None
    _limit_depth(root)
    return Syntax(source, root, tokens, parser.starts, places, bracketed)


def _too_large(offset: int, zh: str, en: str) -> Refusal:
    return Refusal(
        TOO_LARGE_CODE,
        offset,
        Text(
            f"表达式{zh}，请拆成几个 set 步骤", f"the expression is too large: {en}; split it into several `set` steps"
        ),
    )


def _lexing_refusal(source: str, error: Exception) -> Refusal:
    place = _POSITION.search(str(error))
    offset = int(place.group(1)) if place else 0
    character = source[offset : offset + 1]
    if place and character in _FULL_WIDTH:
        plain = _FULL_WIDTH[character]
        return Refusal(
            SYNTAX_CODE,
            offset,
            Text(f"全角符号“{character}”请改为半角 {plain}", f"write the half-width {plain} instead of {character}"),
        )
    if place and character.isalpha():
        found = _WORD.match(source, offset)
        word = found.group() if found else character
        text = Text(
            f'“{word}”：字段名含中文时请写成 ."{word}"，文本请加双引号',
            f'{word}: write ."{word}" for a field with such letters, "{word}" for a text',
        )
        return Refusal(SYNTAX_CODE, offset, text)
    if place and character:
        hint = _HINTS.get(character, Text("请检查拼写", "check the spelling"))
        return Refusal(
            SYNTAX_CODE,
            offset,
            Text(f"不认识的字符“{character}”；{hint.zh}", f"unexpected character {character}: {hint.en}"),
        )
    if "Unterminated" in str(error):
        return Refusal(SYNTAX_CODE, source.rfind('"'), Text("文本缺少结束的引号", "a text is not closed by a quote"))
    if "scape" in str(error):
        backslash = max(0, source.find("\\"))
        return Refusal(SYNTAX_CODE, backslash, Text("文本中的转义不正确", "a text holds an escape that does not exist"))
    if isinstance(error, RecursionError):
        return _too_large(0, "文本插值嵌套过深", "texts are nested too deeply")
    return Refusal(SYNTAX_CODE, 0, Text("数字过长", "a number is too long"))


def _limit_chains(tokens: list[Token]) -> None:
    """Refuse what would take the parser too deep: it descends once for each of these words and signs."""
    count = 0
    waiting = [tokens]
    while waiting:
        for kind, value, end in waiting.pop():
            if kind == "STR":
                waiting.extend(part[1] for part in value if not isinstance(part, str))
            elif (kind == "OP" and value in _DESCENDING) or (kind == "KW" and value in _DESCENDING_WORDS):
                count += 4 if value in ("as", "def") else 1
                if count > MAX_CHAIN:
                    raise _too_large(end - 1, "步骤过多", "it chains too many steps")


def _limit_depth(root: Node) -> None:
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _tuples_inside(node)]
        if not level:
            return
    raise _too_large(0, "层次过深或运算过长", "it is nested too deeply or too long")


def _tuples_inside(node: Any) -> Iterator[Any]:
    for part in node:
        if isinstance(part, tuple):
            yield part
        elif isinstance(part, list):
            yield from _tuples_inside(part)


class _LocatedParser(Parser):
    """purejq's parser, noting where nodes begin and refusing too deep a nesting early."""

    def __init__(
        self, source: str, tokens: list[Token], base: int, places: dict[int, int], bracketed: set[int]
    ) -> None:
        super().__init__(tokens)
        self._source = source
        self._places = places
        self._bracketed = bracketed
        self.starts = self._token_starts(tokens, base)

    def _token_starts(self, tokens: list[Token], base: int) -> list[int]:
        """Where each token begins: after the one before it and the space between them."""
        starts: list[int] = []
        previous = base
        for _, _, end in tokens:
            blank = _SPACE_OR_COMMENT.match(self._source, previous)
            starts.append(blank.end() if blank else previous)
            previous = base + end
        return starts

    def unexpected(self) -> Refusal:
        """The refusal of the token the parser stands at."""
        kind, value, _ = self.peek()
        offset = self.starts[min(self.pos, len(self.starts) - 1)]
        if self.depth >= MAX_BRACKETS:
            return _too_large(offset, f"括号嵌套超过 {MAX_BRACKETS} 层", f"over {MAX_BRACKETS} brackets are nested")
        if kind == "EOF":
            text = Text("表达式没有写完，检查括号、引号和 end", "it ends too early; check brackets, quotes and `end`")
            return Refusal(SYNTAX_CODE, offset, text)
        if kind == "KW" and value in ("import", "include"):
            text = Text(
                f"不允许使用 {value}：表达式不能读取文件", f"{value} is not allowed: an expression cannot read files"
            )
            return Refusal(FORBIDDEN_CODE, offset, text)
        shown = self._source[offset : offset + 12].split("\n")[0] if kind == "STR" else f"{value}"
        hint = _misplaced(kind, value, self.toks[max(0, self.pos - 1)])
        return Refusal(
            SYNTAX_CODE, offset, Text(f"此处不应出现“{shown}”{hint.zh}", f"`{shown}` is not expected here{hint.en}")
        )

    def expect(self, kind: str, value: Any = None) -> Token:
        if not self.at(kind, value):
            raise self.unexpected()
        token: Token = super().expect(kind, value)
        return token

    def parse_primary(self) -> Node:
        start = self.starts[self.pos]
        if self.depth >= MAX_BRACKETS:
            raise self.unexpected()
        bracketed = self.at("OP", "(")
        node: Node = super().parse_primary()
        if bracketed:
            self._bracketed.add(id(node))
        self._places.setdefault(id(node), start)
        return node

    def parse_postfix(self, allow_as: bool = True) -> Node:
        start = self.starts[self.pos]
        node: Node = super().parse_postfix(allow_as=allow_as)
        self._places.setdefault(id(node), start)
        return node

    def _str_node(self, parts: list[Any], fmt: str | None) -> Node:
        """As in the base class, but the interpolations are read by this class, at their own places."""
        at = self.starts[self.pos - 1] + 1
        pieces: list[Any] = []
        for part in parts:
            if isinstance(part, str):
                pieces.append(_SURROGATE.sub("\ufffd", part))
                continue
            at = self._interpolation(at)
            inner = _LocatedParser(self._source, part[1], at, self._places, self._bracketed)
            inner.depth = self.depth + 1
            try:
                pieces.append(inner.parse_program())
            except JqParseError:
                raise inner.unexpected() from None
            at += part[1][-1][2] + 1
        if fmt is None and all(isinstance(piece, str) for piece in pieces):
            return ("const", "".join(pieces))
        return ("str", fmt, pieces)

    def _interpolation(self, at: int) -> int:
        """The offset of the next interpolation's source, after its `\\(`."""
        while self._source[at] != "\\" or self._source[at + 1] != "(":
            at += 2 if self._source[at] == "\\" else 1
        return at + 2


def _misplaced(kind: str, value: Any, before: Token) -> Text:
    if kind == "OP" and value == "=" and before[:2] in (("OP", "=="), ("OP", "=")):
        return Text("；比较请写 ==", "; write `==` to compare")
    if kind == "OP" and value == "|" and before[:2] == ("OP", "|"):
        return Text("；“或者”请写 or", "; write `or` for a disjunction")
    if kind == "OP" and value == "}":
        return Text(
            "；一段文本里有多个 ${} 时，请改写成一个表达式并用 \\( ) 插值",
            "; a text with several `${}` must be one expression with `\\( )` inside its text",
        )
    if kind in ("IDENT", "VAR", "NUM", "STR") and before[0] in ("IDENT", "VAR", "NUM", "STR", "FIELD"):
        return Text("；两个值之间缺少运算符", "; an operator is missing between two values")
    return Text("", "")
