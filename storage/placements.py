"""Where records belong that come from a shop: its organisation unit."""

from collections.abc import Collection

from sqlmodel import col, select

from domain.organisation import Placement
from domain.publishing import account_of
from storage.accounts import AccountRow
from storage.unit_of_work import Repository


class Placements(Repository):
    """Read only."""

    async def of_accounts(self, account_ids: Collection[str]) -> dict[str, Placement]:
        """The placement of each account (`youzan/flagship`).

        An account that is not connected here belongs to headquarters, under its own name.
        """
        if not account_ids:
            return {}
        statement = select(AccountRow.id, AccountRow.unit_path).where(col(AccountRow.id).in_(set(account_ids)))
        units = {row.id: row.unit_path for row in await self.session.execute(statement)}
        return {
            account: Placement(units[account], account) if account in units else Placement(account_id=account)
            for account in account_ids
        }

    async def of_sources(self, sources: Collection[str]) -> dict[str, Placement]:
        """Where events of these sources belong, those left out that name no account."""
        accounts = {source: account for source in sources if (account := account_of(source)) is not None}
        places = await self.of_accounts(accounts.values())
        return {source: places[account] for source, account in accounts.items()}
