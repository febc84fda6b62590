"""A case in YAML: a small flow or a shipped definition, what happens to it, how it must end on every host."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from domain.catalog import CATALOG
from domain.problems import CommunicationProblem, ConflictProblem

_FOLDERS = (Path(__file__).parent / "cases", Path(__file__).parents[1] / "definitions" / "cases")
_DEFINITIONS = Path(__file__).parents[2] / "definitions"


@dataclass(frozen=True)
class Case:
    """head: parts of the definition beside `do`. took: virtual seconds. ran: names of the tasks that started.

    definition: a shipped one instead of `do`, as `operations/erp-loop`. answers: what a call says instead of its
    example, one after the other when it is a list; `{refused: …}` is a conflict, `{away: …}` a platform that
        did not answer however often it was asked. called: names of the calls, in order.
    flows: the tasks of other flows of the namespace, by name.
    """

    name: str
    do: list[Any] = field(default_factory=list)
    flows: dict[str, list[Any]] = field(default_factory=dict)
    definition: str | None = None
    answers: dict[str, Any] = field(default_factory=dict)
    called: list[str] | None = None
    head: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    events: list[dict[str, Any]] = field(default_factory=list)
    output: Any = None
    error: dict[str, Any] | None = None
    took: float | None = None
    ran: list[str] | None = None
    statuses: dict[str, str] = field(default_factory=dict)
    calls: list[dict[str, Any]] | None = None
    emitted: list[str] | None = None

    @property
    def text(self) -> str:
        """The definition as an author would upload it."""
        if self.definition is not None:
            return (_DEFINITIONS / f"{self.definition}.yaml").read_text(encoding="utf-8")
        return _as_text("a-case", {**self.head, "do": self.do})

    @property
    def other_texts(self) -> list[str]:
        """The definitions of the flows that it may run."""
        return [_as_text(name, {"do": tasks}) for name, tasks in self.flows.items()]


def _as_text(name: str, content: dict[str, Any]) -> str:
    document = {"dsl": "1.0.3", "namespace": "cases", "name": name, "version": "1.0.0"}
    return yaml.safe_dump({"document": document, **content}, allow_unicode=True, sort_keys=False)


class Answers:
    """What the calls of one run say, in turn."""

    def __init__(self, case: Case) -> None:
        self._left = {name: list(said) if isinstance(said, list) else [said] for name, said in case.answers.items()}

    def of(self, call: str) -> dict[str, Any]:
        """The next answer of a call, the last one again and again. Raises ConflictProblem where the case says so."""
        left = self._left.get(call)
        changes = {} if left is None else left.pop(0) if len(left) > 1 else left[0]
        if "refused" in changes:
            raise ConflictProblem(changes["refused"], retryable=False)
        if "away" in changes:
            raise CommunicationProblem(changes["away"], retryable=False)
        return {**CATALOG[call].example, **changes}


def all_cases() -> list[Case]:
    """Every case of every file."""
    return [
        Case(**content)
        for folder in _FOLDERS
        for path in sorted(folder.glob("*.yaml"))
        for content in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


def check(case: Case, status: str, output: Any, error: dict[str, Any] | None, tasks: list[dict[str, Any]]) -> None:
    """What every host must show of a case: how it ended, and which tasks ran how."""
    if case.error is None:
        assert (status, error) == ("completed", None)
        assert output == case.output
    else:
        assert status == "faulted", output
        assert error is not None
        assert {key: error.get(key) for key in case.error} == case.error
    if case.ran is not None:
        assert [task["name"] for task in tasks] == case.ran
    statuses = {task["name"]: task["status"] for task in tasks}
    assert {name: statuses.get(name) for name in case.statuses} == case.statuses
