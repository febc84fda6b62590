"""`listen`: consume events, one, all or any of several, until something says enough.

Source: Serverless Workflow DSL 1.0.3, "Listen", "Event Consumption Strategy", "Correlation".
"""

from typing import TYPE_CHECKING, Any

from domain.correlation import correlate, matches
from domain.dsl.execution import END, Execution, Raw
from domain.dsl.model import EventConsumption, EventFilter, ListenTask
from domain.events import Event

if TYPE_CHECKING:
    from domain.dsl.interpreter import Interpreter

MOST_EVENTS = 10_000
"""Events one `listen` consumes at most: every wait has an end."""


async def listen(interpreter: "Interpreter", execution: Execution, task: ListenTask) -> Raw:
    """The consumed events in order, as `read` says, or what `foreach` made of each."""
    return await _Listener(task, interpreter, execution).consume()


class _Listener:
    """frame: `consumed` items, `outputs` made of them, filters `met` and `stopped` by number, values `expected`."""

    def __init__(self, task: ListenTask, interpreter: "Interpreter", execution: Execution) -> None:
        self.task = task
        self.interpreter = interpreter
        self.execution = execution
        self.strategy = task.listen.to
        until = self.strategy.until
        self.until = until if isinstance(until, EventConsumption) else None
        self.frame = execution.frame
        for name, empty in (("consumed", []), ("outputs", []), ("met", []), ("stopped", []), ("expected", {})):
            self.frame.setdefault(name, empty)

    async def consume(self) -> Raw:
        if len(self.frame["outputs"]) < len(self.frame["consumed"]):
            # Taken up again in the middle of `foreach`.
            ended = await self._process(len(self.frame["outputs"]))
            if ended is not None:
                return ended
        self.interpreter.report(self.execution, "waiting")
        while not self._enough():
            event = await self._receive()
            if event is not None:
                ended = await self._take(event)
                if ended is not None:
                    return ended
        return Raw(self.frame["outputs"])

    def _enough(self) -> bool:
        consumed, strategy = self.frame["consumed"], self.strategy
        if len(consumed) >= MOST_EVENTS:
            return True
        if strategy.all is not None:
            return len(self.frame["met"]) == len(strategy.all)
        if self.until is not None:
            wanted = len(self.until.all) if self.until.all is not None else 1
            return len(self.frame["stopped"]) >= wanted
        if strategy.until is False:
            return False
        if isinstance(strategy.until, str):
            return bool(consumed) and self.interpreter.condition(strategy.until, self.execution, consumed)
        return bool(consumed)

    async def _receive(self) -> Event | None:
        """The next event that a filter not met yet wants; None for one that helps to end the listening.

        Events are looked at in the order they came, so that nothing is taken after the one that ends it.
        """
        frame, repeatable = self.frame, self.strategy.all is None
        match: tuple[list[int] | None, int, dict[str, Any]] = (None, 0, {})

        def wanted(event: Event) -> bool:
            nonlocal match
            stop = self._first(self.until, frame["stopped"], event) if self.until is not None else None
            if stop is not None:
                match = frame["stopped"], *stop
                return True
            found = self._first(self.strategy, [] if repeatable else frame["met"], event)
            if found is not None:
                match = None if repeatable else frame["met"], *found
            return found is not None

        event = await self.interpreter.receive(wanted, self.execution)
        noted, number, values = match
        frame["expected"].update(values)
        if noted is not None:
            noted.append(number)
        return None if noted is frame["stopped"] else event

    def _first(self, strategy: EventConsumption, met: list[int], event: Event) -> tuple[int, dict[str, Any]] | None:
        """The number of the first filter, not met yet, that wants the event, and its correlation values."""
        if not strategy.filters:
            return 0, {}  # `any: []` means whatever comes
        for number, candidate in enumerate(strategy.filters):
            values = self._values(candidate, event) if number not in met else None
            if values is not None:
                return number, values
        return None

    def _values(self, candidate: EventFilter, event: Event) -> dict[str, Any] | None:
        def evaluate(text: str, value: Any) -> Any:
            return self.interpreter.evaluate(text, self.execution, value)

        if not matches(candidate, event, evaluate):
            return None
        expected = dict(self.frame["expected"])
        for name, correlation in candidate.correlate.items():
            if correlation.expect is not None:
                expected[name] = self._expectation(correlation.expect)
        return correlate(candidate, event, evaluate, expected)

    def _expectation(self, expect: str) -> Any:
        if expect.lstrip().startswith("${"):
            return self.interpreter.evaluate(expect, self.execution, self.execution.input)
        return expect

    async def _take(self, event: Event) -> Raw | None:
        """Read an event, run `foreach` over it; the END of the flow when its tasks said so."""
        item = event.envelope() if self.task.listen.read == "envelope" else event.data
        self.frame["consumed"].append(item)
        return await self._process(len(self.frame["consumed"]) - 1)

    async def _process(self, index: int) -> Raw | None:
        output = item = self.frame["consumed"][index]
        iterator = self.task.foreach
        if iterator is not None:
            loop = {iterator.item: item, iterator.at: index}
            nodes = self.execution.node.children.get("foreach/do", ())
            path = f"{self.execution.path}/foreach[{index}]"
            result = await self.interpreter.scope(nodes, item, path, {**self.execution.variables, **loop})
            output = result.output
            if result.directive == END:
                return result
            if iterator.output is not None:
                output = await self.interpreter.transform_output(iterator.output, output, self.execution, loop)
            if iterator.export is not None:
                await self.interpreter.export(iterator.export, output, self.execution, loop)
        self.frame["outputs"].append(output)
        return None
