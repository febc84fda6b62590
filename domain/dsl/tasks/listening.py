"""`listen`: consume events, one, all or any of several, until something says enough.

Source: Serverless Workflow DSL 1.0.3, "Listen", "Event Consumption Strategy", "Correlation".
"""

import asyncio
from typing import TYPE_CHECKING, Any

from domain.correlation import correlate, matches
from domain.dsl.concurrency import cancel_all, first_finished
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
    def __init__(self, task: ListenTask, interpreter: "Interpreter", execution: Execution) -> None:
        self.task = task
        self.interpreter = interpreter
        self.execution = execution
        frame = execution.frame
        frame.setdefault("consumed", [])
        frame.setdefault("outputs", [])
        frame.setdefault("met", [])
        frame.setdefault("expected", {})
        self.frame = frame

    async def consume(self) -> Raw:
        strategy = self.task.listen.to
        if len(self.frame["outputs"]) < len(self.frame["consumed"]):
            # Taken up again in the middle of `foreach`.
            ended = await self._process(len(self.frame["outputs"]))
            if ended is not None:
                return ended
        self.interpreter.report(self.execution, "waiting")
        if strategy.until is None or strategy.until is False or isinstance(strategy.until, str):
            return await self._until_enough(strategy)
        return await self._until_events(strategy, strategy.until)

    async def _until_enough(self, strategy: EventConsumption) -> Raw:
        while not self._enough(strategy):
            ended = await self._take(await self._receive(strategy))
            if ended is not None:
                return ended
        return Raw(self.frame["outputs"])

    async def _until_events(self, strategy: EventConsumption, until: EventConsumption) -> Raw:
        stop: asyncio.Task[Any] = asyncio.ensure_future(self._met(until))
        try:
            while len(self.frame["consumed"]) < MOST_EVENTS:
                incoming: asyncio.Task[Any] = asyncio.ensure_future(self._receive(strategy))
                await first_finished([stop, incoming])
                if not incoming.done():
                    await cancel_all([incoming])
                    break
                ended = await self._take(incoming.result())
                if ended is not None:
                    return ended
            return Raw(self.frame["outputs"])
        finally:
            await cancel_all([stop])

    def _enough(self, strategy: EventConsumption) -> bool:
        consumed = self.frame["consumed"]
        if len(consumed) >= MOST_EVENTS:
            return True
        if strategy.all is not None:
            return len(self.frame["met"]) == len(strategy.all)
        if isinstance(strategy.until, str):
            return bool(consumed) and self.interpreter.condition(strategy.until, self.execution, consumed)
        return bool(consumed)

    async def _receive(self, strategy: EventConsumption) -> Event:
        """The next event that a filter not met yet wants; its correlation values bind the ones after it."""
        taken: list[tuple[int, dict[str, Any]]] = []

        def wanted(event: Event) -> bool:
            filters = strategy.filters
            if not filters:
                return True
            for number, candidate in enumerate(filters):
                if strategy.all is not None and number in self.frame["met"]:
                    continue
                values = self._values(candidate, event)
                if values is not None:
                    taken[:] = [(number, values)]
                    return True
            return False

        event = await self.interpreter.host.receive(wanted, self.execution.site)
        self.interpreter.waited()
        # The mailbox may have asked about later events meanwhile: ask again about the one it gave.
        wanted(event)
        if taken:
            number, values = taken[0]
            self.frame["expected"].update(values)
            if strategy.all is not None:
                self.frame["met"].append(number)
        return event

    async def _met(self, until: EventConsumption) -> None:
        """Return when the events that end the listening have come; they are not part of the output."""
        missing = list(until.filters)
        while missing:
            event = await self.interpreter.host.receive(
                lambda event: any(self._values(candidate, event) is not None for candidate in missing),
                self.execution.site,
            )
            if until.all is None:
                return
            met = next(candidate for candidate in missing if self._values(candidate, event) is not None)
            missing.remove(met)

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
                await self.interpreter.export(iterator.export, output, self.execution)
        self.frame["outputs"].append(output)
        return None
