"""One execution of one task, and what it yields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from domain.dsl.host import TaskSite
from domain.dsl.program import Node
from domain.dsl.run_state import Frame

CONTINUE, EXIT, END = "continue", "exit", "end"

Variables = Mapping[str, Any]


class Outcome(NamedTuple):
    """A task's transformed output and where to go next."""

    output: Any
    directive: str


class Raw(NamedTuple):
    """A task's raw output, and the directive that its execution decided (a switch, or an `end` further inside)."""

    output: Any
    directive: str | None = None


@dataclass(slots=True)
class Execution:
    """One execution of one task. `frame` is its part of the run's state; `variables` those of loops and catches."""

    node: Node
    site: TaskSite
    frame: Frame
    variables: Variables
    descriptor: dict[str, Any] | None = None
    authorization: Any = None

    @property
    def path(self) -> str:
        return self.site.path

    @property
    def input(self) -> Any:
        """The transformed input."""
        return self.frame["input"]
