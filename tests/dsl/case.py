"""A case of the flow language, written in YAML: a small flow, what happens to it, how it must end on every host."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """head: parts of the definition beside `do`. took: virtual seconds. ran: names of the tasks that started."""

    name: str
    do: list[Any]
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
        document = {"dsl": "1.0.3", "namespace": "cases", "name": "a-case", "version": "1.0.0"}
        return yaml.safe_dump({"document": document, **self.head, "do": self.do}, allow_unicode=True, sort_keys=False)


def all_cases() -> list[Case]:
    """Every case of every file."""
    return [
        Case(**content)
        for path in sorted(CASES.glob("*.yaml"))
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
