"""Values that must not stand on the command line: typed unseen, or read from the standard input."""

import json
import sys
from collections.abc import Mapping

import typer

from domain.problems import Text, ValidationProblem


def read_hidden(what: Text, *, confirm: bool = False) -> str:
    """A value that is typed unseen, or all of the standard input.

    :raises ValidationProblem: the standard input is empty.
    """
    if sys.stdin.isatty():
        return str(typer.prompt(f"{what.zh} / {what.en}", hide_input=True, confirmation_prompt=confirm))
    value = sys.stdin.read().rstrip("\r\n")
    if not value:
        raise ValidationProblem(
            Text(f"标准输入为空：请用管道提供{what.zh}", f"The standard input is empty: pipe in the {what.en.lower()}")
        )
    return value


def read_hidden_members(what: Text, example: Mapping[str, str]) -> dict[str, str]:
    """Texts by name, read as one JSON object; raises ValidationProblem with the example when it is something else."""
    text = read_hidden(what)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(member, str) for member in value.values()):
        shown = json.dumps(example)
        raise ValidationProblem(
            Text(
                f"{what.zh}应为成员都是字符串的 JSON 对象，例如 {shown}",
                f"{what.en}: a JSON object of strings is wanted, such as {shown}",
            )
        )
    return value
