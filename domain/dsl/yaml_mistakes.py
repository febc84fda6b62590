"""A parser's complaint turned into what the author did: a tab, a full-width colon, a forgotten quote.

The parser reports where it gave up, which is often a line or two below the mistake; the lines above are searched for
the usual causes first.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from domain.dsl.findings import Finding
from domain.problems import Text

_LINES_BACK = 4
_FULL_WIDTH_COLON = re.compile(r"^\s*(?:- +)*[\"']?[\w.-]+[\"']?\s*(：)")
_NO_SPACE = re.compile(r"^\s*(?:- +)*[A-Za-z_][\w-]*(:)(?![\s:/]|$)\S")
_VALUE_WITH_COLON = re.compile(r"^\s*(?:- +)*[\w.\"'-]+:\s+([^\s\"'|>#\[{&*!%@`].*?)(:)(?:\s|$)")
_SPECIAL = "@`%&*!"


class _Complaint(NamedTuple):
    """What the parser said. line and column count from 0; `began_*` is where the construct it was reading began."""

    problem: str
    context: str
    line: int
    column: int
    began_line: int
    began_column: int
    lines: list[str]

    @property
    def text(self) -> str:
        return self.lines[self.line]

    def recent(self) -> list[int]:
        """The line of the complaint and the written lines just above it, nearest first."""
        written = [number for number in range(self.line, -1, -1) if self.lines[number].strip()]
        return written[:_LINES_BACK]


class _Answer(NamedTuple):
    code: str
    line: int
    column: int
    message: Text


def explain_syntax_error(error: yaml.YAMLError, lines: list[str]) -> Finding:
    """The finding for a YAML syntax error, with the place of its likely cause."""
    mark = getattr(error, "problem_mark", None)
    began = getattr(error, "context_mark", None) or mark
    complaint = _Complaint(
        str(getattr(error, "problem", None) or error),
        str(getattr(error, "context", None) or ""),
        *_within(mark, lines),
        *_within(began, lines),
        lines,
    )
    for explanation in _EXPLANATIONS:
        answer = explanation(complaint)
        if answer is not None:
            return Finding(answer.code, "error", answer.line + 1, answer.column + 1, "", answer.message)
    return Finding(
        "yaml-syntax",
        "error",
        complaint.line + 1,
        complaint.column + 1,
        "",
        Text(
            f"YAML 语法错误，从这里开始无法读懂（{complaint.problem}）。请检查这一行和上一行的缩进、冒号和引号",
            f"YAML syntax error: this cannot be read ({complaint.problem}). Check the indentation, colons and quotes "
            "of this line and the one above",
        ),
    )


def _within(mark: Any, lines: list[str]) -> tuple[int, int]:
    """A parser's mark as line and column of the text: the end of the text counts as the end of its last line."""
    if mark is None:
        return 0, 0
    if mark.line >= len(lines):
        return len(lines) - 1, len(lines[-1])
    return mark.line, min(mark.column, len(lines[mark.line]))


def _tab(complaint: _Complaint) -> _Answer | None:
    indentation = complaint.text[: len(complaint.text) - len(complaint.text.lstrip())]
    at_tab = complaint.text[complaint.column : complaint.column + 1] == "\t"
    if not at_tab and "\t" not in indentation and "tab" not in complaint.problem:
        return None
    return _Answer(
        "tab-indentation",
        complaint.line,
        indentation.find("\t") if "\t" in indentation else complaint.column,
        Text(
            "这里用了制表符（Tab）缩进，YAML 只允许空格。请换成空格，每层 2 个",
            "A tab is used for indentation; YAML allows spaces only. Use two spaces per level",
        ),
    )


def _unclosed_quote(complaint: _Complaint) -> _Answer | None:
    if "quoted scalar" in complaint.context and "unexpected" in complaint.problem:
        return _quote_answer(complaint.began_line, complaint.began_column)
    before = complaint.text[: complaint.column].rstrip()
    if "expected key" not in complaint.problem or before[-1:] not in ("'", '"'):
        return None
    quote = before[-1]
    for number in range(complaint.line - 1, max(-1, complaint.line - 40), -1):
        if complaint.lines[number].count(quote) % 2:
            return _quote_answer(number, complaint.lines[number].find(quote))
    return _Answer(
        "text-after-quote",
        complaint.line,
        complaint.column,
        Text(
            "引号结束之后还有文字。请给整个值加一对引号；值里面有引号时，外面换用另一种引号",
            "There is text after the closing quote. Quote the whole value; when it contains quotes, use the other kind "
            "around it",
        ),
    )


def _quote_answer(line: int, column: int) -> _Answer:
    return _Answer(
        "unclosed-quote",
        line,
        column,
        Text("这里的引号没有成对，请补上结尾的引号", "This quote is never closed; add the closing one"),
    )


def _bad_escape(complaint: _Complaint) -> _Answer | None:
    if "escape" not in complaint.problem and "hexdecimal" not in complaint.problem:
        return None
    return _Answer(
        "bad-escape",
        complaint.line,
        complaint.column,
        Text(
            "双引号里的反斜杠有特殊含义。请把外层换成单引号，或把 \\ 写成 \\\\",
            "In double quotes a backslash is special. Use single quotes around the value, or write \\\\ for \\",
        ),
    )


def _full_width_colon(complaint: _Complaint) -> _Answer | None:
    for number in complaint.recent():
        found = _FULL_WIDTH_COLON.match(complaint.lines[number])
        if found:
            return _Answer(
                "fullwidth-colon",
                number,
                found.start(1),
                Text(
                    "这里是中文冒号“：”，请换成英文冒号加空格“: ”",
                    "This is the full-width colon “：”; use a plain colon and a space “: ”",
                ),
            )
    return None


def _missing_space(complaint: _Complaint) -> _Answer | None:
    for number in complaint.recent():
        found = _NO_SPACE.match(complaint.lines[number])
        if found:
            return _Answer(
                "missing-space",
                number,
                found.start(1),
                Text("冒号后面缺少一个空格", "A space is missing after the colon"),
            )
    return None


def _colon_in_value(complaint: _Complaint) -> _Answer | None:
    if "mapping values" not in complaint.problem and "flow" not in complaint.context:
        return None
    line = complaint.text
    if "${" in line:
        start = line.index("${")
        return _Answer(
            "unquoted-expression",
            complaint.line,
            start,
            Text(
                "表达式里有“: ”或花括号，YAML 会误读。请给整个表达式加单引号：'${ … }'",
                "The expression contains “: ” or braces, which YAML reads itself. Put single quotes around all of it: "
                "'${ … }'",
            ),
        )
    found = _VALUE_WITH_COLON.match(line)
    if not found or "flow" in complaint.context:
        return None
    return _Answer(
        "colon-in-value",
        complaint.line,
        found.start(2),
        Text(
            "值里面有“: ”，YAML 会把它当作新的键。请给整个值加引号",
            "The value contains “: ”, which YAML takes for another key. Put quotes around the whole value",
        ),
    )


def _special_character(complaint: _Complaint) -> _Answer | None:
    character = complaint.text[complaint.column : complaint.column + 1]
    began = complaint.lines[complaint.began_line][complaint.began_column : complaint.began_column + 1]
    is_special = bool(character) and character in _SPECIAL
    if not is_special and not any(word in complaint.context for word in ("directive", "alias", "anchor")):
        return None
    shown = character if is_special else began
    return _Answer(
        "unquoted-special",
        complaint.began_line,
        complaint.began_column,
        Text(
            f"以“{shown}”开头的文字必须加引号",
            f"A text that starts with “{shown}” must be quoted",
        ),
    )


def _unclosed_bracket(complaint: _Complaint) -> _Answer | None:
    if "flow" not in complaint.context:
        return None
    bracket = "]" if "sequence" in complaint.context else "}"
    return _Answer(
        "unclosed-bracket",
        complaint.began_line,
        complaint.began_column,
        Text(
            f"这里的括号没有用“{bracket}”结束，或者各项之间缺少逗号",
            f"This bracket is not closed by “{bracket}”, or a comma is missing between items",
        ),
    )


def _block_text(complaint: _Complaint) -> _Answer | None:
    if "block scalar" not in complaint.context:
        return None
    return _Answer(
        "text-after-bar",
        complaint.line,
        complaint.column,
        Text(
            "“|”或“>”后面不能再写内容，正文请从下一行开始并缩进",
            "Nothing may follow “|” or “>” in its line; start the text in the next line, indented",
        ),
    )


def _indentation(complaint: _Complaint) -> _Answer | None:
    if not any(word in complaint.problem for word in ("expected", "mapping values", "not find")):
        return None
    line = complaint.text
    column = len(line) - len(line.lstrip())
    levels = sorted({len(above) - len(above.lstrip()) for above in complaint.lines[: complaint.line] if above.strip()})
    if "mapping values" in complaint.problem:
        message = Text(
            f"这一行缩进了 {column} 格，但上一行已经有值，不能再有下级。请与上一行对齐，或去掉上一行的值",
            f"This line is indented by {column}, but the line above already has a value and can hold nothing more. "
            "Align it with the line above, or remove that value",
        )
    else:
        shown = "、".join(map(str, levels[-4:]))
        message = Text(
            f"缩进不对：这一行缩进 {column} 格，与上面任何一层都对不上（上面用过 {shown} 格），也可能缺少“- ”。请对齐",
            f"Wrong indentation: this line is indented by {column}, which fits no level above (used there: "
            f"{', '.join(map(str, levels[-4:]))}); or a “- ” is missing. Align it",
        )
    return _Answer("bad-indentation", complaint.line, column, message)


_EXPLANATIONS: tuple[Callable[[_Complaint], _Answer | None], ...] = (
    _tab,
    _bad_escape,
    _unclosed_quote,
    _block_text,
    _full_width_colon,
    _colon_in_value,
    _special_character,
    _unclosed_bracket,
    _missing_space,
    _indentation,
)
