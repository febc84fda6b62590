"""Random small flows that always end, out of every kind of task.

No two waits of a flow have the same length, so that no race is a tie.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml
from hypothesis import strategies as st

from domain.dsl.definition import parse_definition
from domain.dsl.program import Program

EVENT_TYPES = ("a", "b", "c")
_SIZE = "(. | tojson | length)"
_COUNT = '{ seen: (($context | if type == "object" then .seen else 0 end // 0) + 1) }'


@dataclass(frozen=True)
class RandomFlow:
    """events: `(seconds after the start, type)` of events that reach the run."""

    text: str
    events: tuple[tuple[float, str], ...]

    @property
    def program(self) -> Program:
        definition = parse_definition(self.text)
        return Program(definition.flow, definition.data)


class _Author:
    """Writes tasks; `races` allows errors, and what may end differently when something takes longer."""

    def __init__(self, draw: st.DrawFn, *, races: bool) -> None:
        self._draw = draw
        self._races = races
        self._number = 0
        self._left = 14

    def document(self) -> dict[str, Any]:
        head: dict[str, Any] = {"dsl": "1.0.3", "namespace": "law", "name": "flow", "version": "1.0.0"}
        document: dict[str, Any] = {
            "document": head,
            "use": {"functions": {"helper": {"do": [{"inner": self._set()}]}}},
        }
        if self._one_in(3):
            emit = {"emit": {"event": {"with": {"source": "/law", "type": "told", "data": {}}}}}
            audit = {"extend": "call", "before": [{"before": emit}], "after": [{"after": emit}]}
            document["use"]["extensions"] = [{"audit": audit}]
        if self._races and self._one_in(4):
            document["timeout"] = {"after": self._length(20, 90)}
        document["do"] = self._list(0)
        return document

    def _list(self, depth: int) -> list[dict[str, Any]]:
        names = [f"t{self._next()}" for _ in range(self._draw(st.integers(1, 3)))]
        return [{name: self._task(depth, names[index + 1 :])} for index, name in enumerate(names)]

    def _task(self, depth: int, following: list[str]) -> dict[str, Any]:
        self._left -= 1
        simple: list[Callable[[], dict[str, Any]]] = [self._set, self._wait, self._emit, self._function, self._person]
        simple += (
            [self._set, self._call, self._raise, self._listen, self._wait_for] if self._races else [self._call] * 4
        )
        deeper = [self._do, self._for, self._fork, *([self._try] if self._races else [])]
        nested = [partial(each, depth) for each in deeper] if depth < 3 and self._left > 0 else []
        kinds: list[Callable[[], dict[str, Any]]] = [*simple, *nested, *nested]
        kind = self._draw(st.sampled_from(kinds))
        if depth < 2 and following and self._one_in(8):
            return self._switch(following)
        task: dict[str, Any] = kind()
        if self._one_in(6):
            task["if"] = f"{_SIZE} % 3 != 0"
        if self._one_in(6):
            task["output"] = {"as": f"{{ len: {_SIZE}, was: $input }} | {{ len, was: (.was | tojson | length) }}"}
        if self._one_in(8):
            task["input"] = {"from": f"{{ len: {_SIZE} }}"}
        if self._one_in(5):
            task["export"] = {"as": _COUNT}
        if self._one_in(8):
            task["then"] = self._draw(self._places(following))
        return task

    def _set(self) -> dict[str, Any]:
        return {"set": {"k": self._next(), "len": f"${{ {_SIZE} }}"}}

    def _wait(self) -> dict[str, Any]:
        return {"wait": self._length(1, 12)}

    def _emit(self) -> dict[str, Any]:
        kind = self._draw(st.sampled_from(EVENT_TYPES))
        event = {"source": "/law", "type": kind, "data": {"len": f"${{ {_SIZE} }}"}}
        return {"emit": {"event": {"with": event}}, "output": {"as": ".data"}}

    def _call(self) -> dict[str, Any]:
        return {"call": "youzan.get_refund", "with": {"refund_id": f"R{self._next()}"}}

    def _function(self) -> dict[str, Any]:
        return {"call": "helper", "with": {"len": f"${{ {_SIZE} }}"}}

    def _person(self) -> dict[str, Any]:
        return {"call": "human-task", "with": {"queue": "q", "title": "t", "form": {"type": "object"}}}

    def _raise(self) -> dict[str, Any]:
        error = {"type": "https://x.example/e", "status": self._draw(st.integers(400, 403))}
        return {"raise": {"error": error}, "if": f"{_SIZE} % 2 == 0"}

    def _listen(self) -> dict[str, Any]:
        filters = [{"with": {"type": self._draw(st.sampled_from(EVENT_TYPES))}} for _ in range(2)]
        strategy = self._draw(
            st.sampled_from(
                [
                    {"one": filters[0]},
                    {"any": filters},
                    {"all": filters},
                    {"any": filters, "until": "(. | length) >= 2"},
                    {"any": filters[:1], "until": {"one": filters[1]}},
                    {"any": filters[:1], "until": {"all": [filters[1], {"with": {"type": "c"}}]}},
                ]
            )
        )
        task: dict[str, Any] = {"listen": {"to": strategy}}
        if self._one_in(2):
            body = [{f"t{self._next()}": self._wait()}, {f"t{self._next()}": self._set()}]
            task["foreach"] = {"item": "event", "do": body}
        return self._bounded(task)

    def _wait_for(self) -> dict[str, Any]:
        events = {kind: {"type": kind} for kind in self._draw(st.sets(st.sampled_from(EVENT_TYPES), min_size=1))}
        return {"call": "wait-for", "with": {"timeout": self._length(5, 30), "events": dict(sorted(events.items()))}}

    def _switch(self, following: list[str]) -> dict[str, Any]:
        where = self._places(following)
        return {
            "switch": [
                {"even": {"when": f"{_SIZE} % 2 == 0", "then": self._draw(where)}},
                {"other": {"then": self._draw(where)}},
            ]
        }

    def _do(self, depth: int) -> dict[str, Any]:
        task: dict[str, Any] = {"do": self._list(depth + 1)}
        return self._bounded(task) if self._races and self._one_in(3) else task

    def _for(self, depth: int) -> dict[str, Any]:
        task = {"for": {"each": "item", "in": "[10, 200]", "at": "i"}, "do": self._list(depth + 1)}
        return {**task, "while": f"{_SIZE} < 60"} if self._one_in(3) else task

    def _fork(self, depth: int) -> dict[str, Any]:
        branches = [self._branch(depth) for _ in range(self._draw(st.integers(1, 3)))]
        compete = self._races and self._one_in(2)
        # A branch that fails or ends the flow in the very moment in which others begin is a tie as well.
        if not compete and "'raise'" not in str(branches) and "'then': 'end'" not in str(branches):
            return {"fork": {"branches": branches}}
        racing = [{f"t{self._next()}": {"do": [{f"t{self._next()}": self._wait()}, branch]}} for branch in branches]
        return {"fork": {"branches": racing, "compete": compete}}

    def _branch(self, depth: int) -> dict[str, Any]:
        return {f"t{self._next()}": self._task(depth + 1, [])}

    def _try(self, depth: int) -> dict[str, Any]:
        catch: dict[str, Any] = {}
        if self._one_in(2):
            catch["errors"] = {"with": {"status": self._draw(st.integers(400, 403))}}
        if self._one_in(2):
            catch["retry"] = {"delay": self._length(1, 9), "limit": {"attempt": {"count": 2}}}
        if self._one_in(2):
            catch.update({"as": "e", "do": [{f"t{self._next()}": {"set": {"status": "${ $e.status }"}}}]})
        return {"try": self._list(depth + 1), "catch": catch}

    def _bounded(self, task: dict[str, Any]) -> dict[str, Any]:
        return {**task, "timeout": {"after": self._length(8, 40)}}

    def _places(self, following: list[str]) -> st.SearchStrategy[str]:
        # The end of a flow inside a fork is a race as well.
        return st.sampled_from(["continue", "exit", *(["end"] if self._races else []), *following])

    def _length(self, least: int, most: int) -> str:
        return f"PT{self._draw(st.integers(least, most))}.{self._next():03d}S"

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _one_in(self, chances: int) -> bool:
        return self._draw(st.integers(1, chances)) == chances


@st.composite
def random_flows(draw: st.DrawFn, *, races: bool = True) -> RandomFlow:
    """A flow, and the events that reach it."""
    document = _Author(draw, races=races).document()
    arrivals = st.tuples(st.integers(0, 60), st.sampled_from(EVENT_TYPES))
    events = [
        (second + 0.7771 + number / 1000, kind)
        for number, (second, kind) in enumerate(draw(st.lists(arrivals, max_size=6)))
    ]
    return RandomFlow(yaml.safe_dump(document, sort_keys=False), tuple(sorted(events)))
