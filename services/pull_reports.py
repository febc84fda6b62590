"""How well platforms are read: where each stream stands, and what the nightly comparisons found."""

from domain.access import Actor, Permission
from storage.comparisons import ComparisonRow, Comparisons
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.pulls import StreamRow, Streams
from storage.unit_of_work import UnitOfWork


class PullReports:
    """Raises AuthorizationProblem without `accounts.read`; shows what belongs to accounts within the data scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def streams(self, actor: Actor, page: PageRequest, *, account_id: str | None = None) -> Page[StreamRow]:
        """Streams that were read at least once, by account and name."""
        actor.require(Permission.ACCOUNTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Streams(work).list(actor.scope, page, account_id=account_id)

    async def comparisons(
        self, actor: Actor, page: PageRequest, *, account_id: str | None = None, stream: str | None = None
    ) -> Page[ComparisonRow]:
        """Comparisons, the newest first."""
        actor.require(Permission.ACCOUNTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Comparisons(work).list(actor.scope, page, account_id=account_id, stream=stream)
