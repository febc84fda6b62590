"""Where records belong that come from a shop: its organisation unit."""

from collections.abc import Collection

from sqlmodel import col, select

from domain.organisation import Placement
from domain.publishing import account_of
from storage.accounts import AccountRow
from storage.unit_of_work import Repository


class Placements(Repository):
    """Read only."""

    async def of_sources(self, sources: Collection[str]) -> dict[str, Placement]:
        """Where events of these sources belong, those left out that name no account.

        An account that is not connected here belongs to headquarters, under its own name.
        """
        accounts = {source: account for source in sources if (account := account_of(source)) is not None}
        if not accounts:
            return {}
        statement = select(AccountRow.id, AccountRow.unit_path).where(col(AccountRow.id).in_(set(accounts.values())))
        units = {row.id: row.unit_path for row in await self.session.execute(statement)}
        return {
            source: Placement(units[account], account) if account in units else Placement(account_id=account)
            for source, account in accounts.items()
        }
