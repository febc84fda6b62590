"""Steps of orders that a short push told, and the whole orders that complete them.

What starts flows and goes to subscribers is the order as a whole: buyer, articles, amount. So the event of a step waits
for the reading that tells them. It keeps its id and its name, so it is told once, whichever of the two came first.
"""

from domain.canonical import OrderData
from domain.customers.records import PROGRESS, Record
from domain.events import Event

_OF_THE_STEP = ("version", "occurred_at", "status")


def is_step(event: Event, record: Record) -> bool:
    """Whether an event tells a step of an order alone. What names somebody does not wait: it says whose it is."""
    return _is_order(record) and not record.people and _told_in_part(event)


def is_whole(event: Event, record: Record) -> bool:
    """Whether an event tells an order as a whole."""
    return _is_order(record) and not _told_in_part(event)


def stage_of(record: Record) -> int:
    """How far an order is: a step is completed by what is at least as far."""
    return PROGRESS["orders"].index(record.values["status"])


def completed(step: Event, whole: Event) -> Event:
    """The event of a step with everything that the whole order says; the whole order's own event where it is the same.

    What the step says of its moment stays: the order may be further by now.
    """
    if step.id == whole.id:
        return whole
    short, full = OrderData.model_validate(step.data), OrderData.model_validate(whole.data)
    nothing = OrderData(platform=full.platform, account=full.account, version=0, order_id="", status="unknown")
    gaps = {
        name: getattr(short, name)
        for name in OrderData.model_fields
        if name in _OF_THE_STEP or getattr(full, name) == getattr(nothing, name)
    }
    data = full.model_copy(update={**gaps, "told_in_part": False})
    return step.model_copy(update={"data": data.model_dump(mode="json"), "tandemkeys": whole.tandemkeys})


def _is_order(record: Record) -> bool:
    return record.shelf == "orders"


def _told_in_part(event: Event) -> bool:
    return isinstance(event.data, dict) and event.data.get("told_in_part") is True
