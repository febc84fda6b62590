"""What can go wrong inside an expression, and how it is told to the author.

Three things end an evaluation early. `Failure` is an error of jq itself: `try`, `?` and `catch` see it. `Exhausted`
says that the budget is used up: nothing in the language can catch it. `Break` is the jump of `label $x | … break $x`.
`Refusal` ends a compilation. What leaves the package is always an `ExpressionProblem`.

No sentence quotes the data, only the author's own text: data may be personal or secret, and problems are stored.
"""

from typing import Any

from domain.problems import ExpressionProblem, Text

_EXCERPT_BEFORE = 16
_EXCERPT_AFTER = 24


class Failure(Exception):
    """An error of the language, e.g. a number added to a text; `value` is what `catch` receives."""

    def __init__(self, zh: str, en: str, *, value: Any = None, raised: bool = False) -> None:
        super().__init__(en)
        self.text = Text(zh, en)
        self.value = value if raised else en
        self.offset: int | None = None

    def at(self, offset: int) -> "Failure":
        """The same failure, placed; the innermost place wins."""
        if self.offset is None:
            self.offset = offset
        return self


class Exhausted(Exception):
    """The evaluation went over its budget."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh, en)


class Break(Exception):
    """The jump out of a `label`; `token` tells which one."""

    def __init__(self, token: object) -> None:
        super().__init__("break")
        self.token = token


class Refusal(Exception):
    """The expression is not accepted: its grammar is wrong or it breaks the policy."""

    def __init__(self, code: str, offset: int, text: Text) -> None:
        super().__init__(text.en)
        self.code = code
        self.offset = offset
        self.text = text


def excerpt(source: str, offset: int) -> str:
    """The author's text around a place, on one line."""
    start = max(0, offset - _EXCERPT_BEFORE)
    end = min(len(source), offset + _EXCERPT_AFTER)
    words = " ".join(source[start:end].split())
    return f"{'…' if start else ''}{words}{'…' if end < len(source) else ''}"


def expression_problem(source: str, code: str, offset: int, text: Text) -> ExpressionProblem:
    """The problem for a failure at `offset` (0-based, in characters) of `source`.

    Its extra members are `code`, `offset` and `expression` (an excerpt).
    """
    place = excerpt(source, offset)
    detail = Text(
        zh=f"表达式第 {offset + 1} 个字符处（{place}）：{text.zh}",
        en=f"expression, character {offset + 1} ({place}): {text.en}",
    )
    return ExpressionProblem(detail, code=code, offset=offset, expression=place)
