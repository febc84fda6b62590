"""Whose orders are, asked so that nobody learns it meanwhile."""

from collections.abc import Collection, Mapping

from storage.bulk import fetch
from storage.orders import OrderName
from storage.unit_of_work import Repository

# In the order of keys, in which batches take them too.
_OWNERS = """
    SELECT account_id, order_id, identity_id FROM orders
    WHERE (account_id, order_id) IN (SELECT * FROM unnest(%(accounts)b::text[], %(numbers)b::text[]))
    ORDER BY account_id, order_id FOR SHARE
"""


class OrderOwners(Repository):
    """The identities that orders stand on."""

    async def of(self, orders: Collection[OrderName]) -> Mapping[OrderName, int]:
        """The identity of each order that has one. Nobody else writes any of these orders until the transaction ends;
        what others are writing is waited for."""
        if not orders:
            return {}
        accounts, numbers = zip(*orders, strict=True)
        rows = await fetch(self.work, _OWNERS, {"accounts": list(accounts), "numbers": list(numbers)})
        return {(account_id, order_id): owner for account_id, order_id, owner in rows if owner is not None}
