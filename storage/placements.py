"""Where records belong that come from a shop: its organisation unit."""

from collections.abc import Collection

from sqlmodel import col, select

from domain.organisation import Placement
from storage.accounts import AccountRow
from storage.unit_of_work import Repository


class Placements(Repository):
    """Read only."""

    async def of_accounts(self, account_ids: Collection[str]) -> dict[str, Placement]:
        """The placement of each account (`youzan/flagship`) that exists."""
        if not account_ids:
            return {}
        statement = select(AccountRow.id, AccountRow.unit_path).where(col(AccountRow.id).in_(account_ids))
        rows = await self.session.execute(statement)
        return {account_id: Placement(unit_path, account_id) for account_id, unit_path in rows}
