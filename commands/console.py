"""What a person reads in the terminal: every sentence in their language first, and in the other one."""

import io
import logging
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import typer

from domain.problems import ProblemError, Text

_BEGAN = time.monotonic()


def print_anything() -> None:
    """From now on a terminal that cannot show a character shows its escape, and the program goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def only_warnings() -> Iterator[None]:
    """Inside, log lines of warnings and worse go to the standard error and others nowhere: what a command prints is
    its answer, which a program may read."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def preferred_locale() -> str:
    """`zh` or `en`, as far as it can be told without valid settings."""
    return "en" if os.environ.get("TANDEM_LOCALE") == "en" else "zh"


def both(text: Text, locale: str = "zh") -> str:
    """A sentence in both languages, the person's own first; once when they are the same."""
    first, second = (text.zh, text.en) if locale == "zh" else (text.en, text.zh)
    return first if first == second else f"{first}  /  {second}"


def width_of(text: str) -> int:
    """Columns of a text in a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def progress(locale: str) -> Callable[[Text], None]:
    """A function that shows a sentence with the seconds since the program began."""

    def say(text: Text) -> None:
        typer.echo(f"[{time.monotonic() - _BEGAN:6.1f}s] {both(text, locale)}")
        sys.stdout.flush()

    return say


def refuse(error: ProblemError, locale: str = "zh") -> None:
    """Show a refusal on the standard error, one language a line; never a traceback."""
    message = error.problem.as_dict().get("message") or {}
    sentences = [message.get("zh") or str(error), message.get("en") or str(error)]
    for sentence in dict.fromkeys(sentences if locale == "zh" else reversed(sentences)):
        typer.echo(sentence, err=True)
