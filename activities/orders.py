"""`order.get`: an order as its shop told it last."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.orders import ORDER_GET, OrderGetArguments, OrderGetOutput
from services.orders import OrderService


def order_activities(binder: CallBinder, orders: OrderService) -> list[Activity]:
    """The calls about orders."""

    async def get(request: OrderGetArguments, _: CallContext) -> OrderGetOutput:
        return await orders.get(request)

    return [binder.bind(ORDER_GET, get)]
