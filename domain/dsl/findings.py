"""What is wrong with a definition, where in its author's text, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from domain.problems import Text

Severity = Literal["error", "warning", "info"]

_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    line and column count from 1, the column in characters; pointer is the JSON pointer of what is meant, within its
    document.
    """

    code: str
    severity: Severity
    line: int
    column: int
    pointer: str
    message: Text

    def as_dict(self, file: str) -> dict[str, Any]:
        """The finding as `tandem flow lint --json` prints it."""
        return {
            "file": file,
            "code": self.code,
            "severity": self.severity,
            "line": self.line,
            "column": self.column,
            "message": self.message.as_dict(),
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by place, the worst first where several share one; the same thing is said once."""
    unique = {(found.line, found.column, found.code, found.message.en): found for found in findings}
    return sorted(unique.values(), key=lambda found: (found.line, found.column, _RANK[found.severity], found.code))


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(found.severity == "error" for found in findings)


def child(pointer: str, *parts: str | int) -> str:
    """The JSON pointer (RFC 6901) of something inside."""
    for part in parts:
        text = str(part)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def value_at(data: Any, pointer: str) -> Any:
    """The value at a JSON pointer; None when there is none."""
    for escaped in pointer.split("/")[1:]:
        part = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that the author most likely meant; None when none is near."""
    candidates = {name.casefold(): name for name in known}
    folded = word.casefold()
    if folded in candidates:
        return candidates[folded]
    found = get_close_matches(folded, candidates, n=1, cutoff=0.65)
    return candidates[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> Text:
    """A sentence that proposes the nearest known word; empty when none is near."""
    near = closest(word, known)
    return Text(f"是不是想写“{near}”？", f" Did you mean “{near}”?") if near else Text("", "")


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """Names for a sentence, in order, a long list cut."""
    names = list(names)
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
