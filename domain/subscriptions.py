"""Which types of events a flow wants: what its triggers start it by, and what its runs listen to.

Known before any event comes, so that an event looks only at the flows and runs that could want it.
"""

from collections.abc import Iterator, Mapping

from domain.dsl.expressions import is_expression
from domain.dsl.model import (
    CallTask,
    EventConsumption,
    EventFilter,
    Flow,
    ListenTask,
    TaskBase,
    walk_tasks,
)

ANY_TYPE = "*"
"""Stands for every event type, where a filter computes its type or names none."""


def filtered_type(wanted: EventFilter) -> str:
    """The event type a filter names; `ANY_TYPE` when it names none or computes it."""
    return _literal_type(wanted.with_.type)


def listened_types(flow: Flow) -> tuple[str, ...]:
    """Every event type that a run of this flow may listen to, sorted; `ANY_TYPE` alone when it cannot be told."""
    found = {name for task in _all_tasks(flow) for name in _types_of(task)}
    return (ANY_TYPE,) if ANY_TYPE in found else tuple(sorted(found))


def _all_tasks(flow: Flow) -> Iterator[TaskBase]:
    lists = [flow.do_]
    for item in flow.use.extensions:
        lists += [item.extension.before, item.extension.after]
    for tasks in lists:
        for _, _, task in walk_tasks(tasks, ""):
            yield task
    yield from flow.use.functions.values()


def _types_of(task: TaskBase) -> Iterator[str]:
    match task:
        case ListenTask():
            yield from _consumed_types(task.listen.to)
        case CallTask() if task.call.partition(":")[0].partition("@")[0] == "wait-for":
            awaited = task.with_.get("events")
            for event in awaited.values() if isinstance(awaited, Mapping) else ({},):
                yield _literal_type(event.get("type") if isinstance(event, Mapping) else None)
        case _:
            return


def _consumed_types(consumption: EventConsumption) -> Iterator[str]:
    # An empty `any` takes every event.
    yield from map(filtered_type, consumption.filters) if consumption.filters else (ANY_TYPE,)
    if isinstance(consumption.until, EventConsumption):
        yield from _consumed_types(consumption.until)


def _literal_type(name: object) -> str:
    return name if isinstance(name, str) and name and not is_expression(name) else ANY_TYPE
