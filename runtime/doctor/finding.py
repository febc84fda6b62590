"""What a check of the doctor found."""

from dataclasses import dataclass
from typing import Any, Literal

from domain.problems import ProblemError, Text

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One check's answer: `ok`, `warn` (works, but look at it), `fail` (does not work); and what to do."""

    check: str
    status: Status
    message: Text
    remedy: Text | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "status": self.status,
            "message": self.message.as_dict(),
            "remedy": self.remedy.as_dict() if self.remedy else None,
        }


def refused(check: str, error: ProblemError, status: Status = "fail") -> Finding:
    """The finding of a check that ended in a refusal; refusals say themselves what to do."""
    message = error.problem.as_dict().get("message") or {}
    return Finding(check, status, Text(message.get("zh", str(error)), message.get("en", str(error))))
