"""Which events of orders wait for the whole order, and which wait no more: see `domain.customers.awaited_orders`."""

from collections.abc import Sequence

from domain.customers.awaited_orders import completed
from storage.awaited_orders import AwaitedOrders, OrderStep
from storage.unit_of_work import UnitOfWork


async def completed_steps(work: UnitOfWork, steps: Sequence[OrderStep], wholes: Sequence[OrderStep]) -> list[OrderStep]:
    """Let the events of steps wait, but for those that these whole orders complete: they are to be told now, with those
    that have waited for them."""
    awaited = AwaitedOrders(work)
    await awaited.add(steps)
    furthest = {}
    for whole in sorted(wholes, key=lambda each: each.stage):
        furthest[whole.order] = whole
    found = await awaited.take({order: whole.stage for order, whole in furthest.items()})
    return [step._replace(event=completed(step.event, furthest[step.order].event)) for step in found]
