"""Where a run stands, as plain JSON: enough to go on in another workflow execution, or from the step that failed.

Every open task has a frame under its path: the data it started with and how far it got. A task that completed has
none; its output lives on as the input of what follows. So the frames are the stack of the run, and nothing more.
"""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]

# What frames hold of the flow's data: never changed in place, and mostly the same at every level.
_DATA = frozenset({"rawInput", "input", "value", "items"})

# What a retried step starts afresh: its time and how often it had been tried.
_FORGOTTEN_ON_RETRY = ("deadline", "resumeAt", "attempt", "attemptEnds", "started")


@dataclass(slots=True)
class RunState:
    """input: the raw input of the run. context: `$context`. frames: open tasks and scopes by path.

    deadline: when the flow's time is up; allowance_s: how much it had. idle_turns: tasks executed since the flow last
    waited for anything. result: the output of the last task, in a list of one, once there is no task left.
    """

    input: Any = None
    context: Any = None
    frames: dict[str, Frame] = field(default_factory=dict)
    begun: bool = False
    deadline: str | None = None
    allowance_s: float | None = None
    idle_turns: int = 0
    result: list[Any] | None = None

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
        """The state as plain JSON, a copy; data that many frames have in common is stored once."""
        values: list[Any] = []
        places: dict[str, int] = {}

        def stored(value: Any) -> int:
            place = places.setdefault(json.dumps(value), len(values))
            if place == len(values):
                values.append(copy.deepcopy(value))
            return place

        content: dict[str, Any] = {
            "values": values,
            "frames": {
                path: {name: stored(value) if name in _DATA else copy.deepcopy(value) for name, value in frame.items()}
                for path, frame in self.frames.items()
            },
            "begun": self.begun,
            "deadline": self.deadline,
            "allowance_s": self.allowance_s,
            "idle_turns": self.idle_turns,
            "result": None if self.result is None else stored(self.result[0]),
        }
        return content | {"input": stored(self.input), "context": stored(self.context)}

    @classmethod
    def load(cls, content: dict[str, Any]) -> "RunState":
        """The state that `dump` gave."""
        values, result = content["values"], content["result"]
        return cls(
            input=values[content["input"]],
            context=values[content["context"]],
            frames={
                path: {name: values[value] if name in _DATA else copy.deepcopy(value) for name, value in frame.items()}
                for path, frame in content["frames"].items()
            },
            begun=content["begun"],
            deadline=content["deadline"],
            allowance_s=content["allowance_s"],
            idle_turns=content["idle_turns"],
            result=None if result is None else [values[result]],
        )

    def for_retry(self) -> "RunState":
        """The same place with fresh clocks: timeouts and retry counters start again; an instant waited for stays."""
        state = RunState.load(self.dump())
        state.deadline, state.idle_turns = None, 0
        for frame in state.frames.values():
            for name in _FORGOTTEN_ON_RETRY:
                frame.pop(name, None)
            if frame.get("phase") == "pause":
                frame["phase"] = "try"
            if "rawInput" in frame:
                # A task that is taken up again is reported as running again; a scope is no task.
                frame["retaken"] = True
        return state
