"""Where a run stands, as plain JSON: enough to go on in another workflow execution, or from the step that failed.

Every open task has a frame under its path: the data it started with and how far it got. A task that completed has
none; its output lives on as the input of what follows. So the frames are the stack of the run, and nothing more.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]

# What a retried step starts afresh: its time and how often it had been tried.
_FORGOTTEN_ON_RETRY = ("deadline", "resumeAt", "attempt", "started")


@dataclass(slots=True)
class RunState:
    """input: the raw input of the run. context: `$context`. frames: open tasks and scopes by path."""

    input: Any = None
    context: Any = None
    frames: dict[str, Frame] = field(default_factory=dict)
    begun: bool = False
    deadline: str | None = None

    def frame(self, path: str) -> Frame:
        """The frame at a path, a new one when there is none."""
        found = self.frames.get(path)
        if found is None:
            found = self.frames[path] = {}
        return found

    def close(self, path: str) -> None:
        """Forget a frame."""
        self.frames.pop(path, None)

    def close_below(self, path: str) -> None:
        """Forget the frame at a path and all below it: what was going on there was given up."""
        prefix = path + "/"
        for key in [key for key in self.frames if key == path or key.startswith(prefix)]:
            del self.frames[key]

    def dump(self) -> dict[str, Any]:
        """The state as plain JSON, a deep copy."""
        return copy.deepcopy(
            {
                "input": self.input,
                "context": self.context,
                "frames": self.frames,
                "begun": self.begun,
                "deadline": self.deadline,
            }
        )

    @classmethod
    def load(cls, content: dict[str, Any]) -> "RunState":
        """The state that `dump` gave."""
        return cls(
            input=content["input"],
            context=content["context"],
            frames=content["frames"],
            begun=content["begun"],
            deadline=content["deadline"],
        )

    def for_retry(self) -> "RunState":
        """The same place with fresh clocks: timeouts, waits and retry counters start again."""
        frames = {
            path: {key: value for key, value in frame.items() if key not in _FORGOTTEN_ON_RETRY} | _mark(frame)
            for path, frame in self.frames.items()
        }
        return RunState(copy.deepcopy(self.input), copy.deepcopy(self.context), copy.deepcopy(frames), self.begun)


def _mark(frame: Frame) -> Frame:
    # A task that is taken up again is reported as running again; a scope is no task.
    return {"retaken": True} if "rawInput" in frame else {}
