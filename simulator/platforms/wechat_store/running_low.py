"""When a WeChat Store says that a variant runs low: at 20 % and at 10 % of what it was last filled up to."""

from __future__ import annotations

from simulator.entities import Goods

EVENT = "channels_ec_stock_no_enough"
SHARES = (0.2, 0.1)


class RunningLow:
    """What each variant was filled up to, as far as this process saw it."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def crosses(self, row: Goods) -> bool:
        """Whether the stock has just fallen to one of the shares."""
        filled, before = self._seen.get(row.id, (row.stock, row.stock))
        if row.stock > before:
            filled = row.stock
        self._seen[row.id] = filled, row.stock
        return any(row.stock <= share * filled < before for share in SHARES)


def low(row: Goods) -> dict[str, object]:
    """The callback's body."""
    left = {"product_id": row.item_id, "sku_id": row.sku_id, "remaining_stock_amount": str(row.stock)}
    return {EVENT: {**left, "remaining_code_amount": "0"}}
