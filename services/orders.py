"""Orders as their shops told them last, in pushes and when they were read again."""

from sqlmodel import col, select

from domain.catalog.goods import GoodsCheckArguments
from domain.catalog.orders import OrderGetArguments, OrderGetOutput
from storage.engine import Database
from storage.identities import IdentityRow
from storage.orders import OrderLineRow, OrderRow
from storage.unit_of_work import UnitOfWork

MOST_ITEMS = 50
"""As many as `send` takes in its `about`."""


class OrderService:
    """Answers about orders, at the moment of asking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, request: OrderGetArguments) -> OrderGetOutput:
        """The order with its goods, and the customer whose it is today."""
        account_id = f"{request.platform}/{request.account}"
        async with UnitOfWork(self._database) as work:
            found = await work.session.execute(
                select(OrderRow, col(IdentityRow.customer_id))
                .outerjoin(IdentityRow, col(IdentityRow.id) == col(OrderRow.identity_id))
                .where(col(OrderRow.account_id) == account_id, col(OrderRow.order_id) == request.order_id)
            )
            if (first := found.first()) is None:
                return OrderGetOutput(known=False)
            order, customer = first
            lines = (
                await work.session.scalars(
                    select(OrderLineRow)
                    .where(col(OrderLineRow.order_key) == order.id)
                    .order_by(col(OrderLineRow.line_id))
                )
            ).all()
        named = list(dict.fromkeys(line.item_id for line in lines if line.item_id is not None))[:MOST_ITEMS]
        shop = {"platform": request.platform, "account": request.account}
        return OrderGetOutput(
            known=True,
            status=order.status,
            customer_id=str(customer) if customer is not None else None,
            amount_minor=order.paid_minor,
            currency=order.currency,
            created_at=order.created_at,
            paid_at=order.paid_at,
            title=lines[0].title if lines else None,
            items=tuple(GoodsCheckArguments(**shop, item_id=item) for item in named),
        )
