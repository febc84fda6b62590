"""What is wrong with a rule or a scheme, gathered while it is read."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from domain.dsl.findings import Severity, child, did_you_mean, listed
from domain.problems import ProblemError, Text


class Remark(NamedTuple):
    """One mistake. pointer: of the document; of_key: the key is meant, not the value."""

    code: str
    severity: Severity
    pointer: str
    message: Text
    of_key: bool = False


class Remarks:
    """All mistakes of one document, in the order in which they were met. of_stored: it was taken in before."""

    def __init__(self, *, of_stored: bool = False) -> None:
        self.found: list[Remark] = []
        self._of_stored = of_stored

    @property
    def has_errors(self) -> bool:
        return any(each.severity == "error" for each in self.found)

    def add(self, code: str, severity: Severity, pointer: str, message: Text, *, of_key: bool = False) -> None:
        self.found.append(Remark(code, severity, pointer, message, of_key))

    def error(self, code: str, pointer: str, message: Text, *, of_key: bool = False) -> None:
        self.add(code, "error", pointer, message, of_key=of_key)

    def error_if_new(self, code: str, pointer: str, message: Text, *, of_key: bool = False) -> None:
        """An error in what comes in now, and nothing where it is stored: what was taken before this was refused is read
        as it always was."""
        if not self._of_stored:
            self.error(code, pointer, message, of_key=of_key)

    def problem(self, code: str, pointer: str, problem: ProblemError) -> None:
        """What somebody else's refusal says."""
        message = problem.problem.as_dict().get("message") or {}
        detail = problem.problem.detail or ""
        self.error(code, pointer, Text(message.get("zh", detail), message.get("en", detail)))

    def unknown_keys(
        self, data: Mapping[str, Any], known: Collection[str], pointer: str, *, if_new: bool = False
    ) -> None:
        """A remark for each key that is none of these, with the one that was meant. if_new: not of what is stored."""
        error = self.error_if_new if if_new else self.error
        for key in data:
            if key in known:
                continue
            near = did_you_mean(str(key), known)
            error(
                "unknown-key",
                child(pointer, str(key)),
                Text(
                    f"这里没有“{key}”这个键。{near.zh}可用：{listed(known)}",
                    f"There is no key “{key}” here.{near.en} There are: {listed(known)}",
                ),
                of_key=True,
            )
