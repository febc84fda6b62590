"""Requests that carry an idempotency key: done once, answered alike however often they are sent."""

from storage.engine import Database
from storage.idempotency import IdempotencyKeys, StoredAnswer
from storage.unit_of_work import UnitOfWork


class RepeatedRequests:
    """Each step is a unit of work of its own, so that the key outlives whatever happens to the work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, login: str, key: str, request_digest: str) -> StoredAnswer | None:
        """None: do the work now. An answer: it was done before, give the same one.

        :raises ReusedKeyProblem: the key came with another request.
        :raises ConflictProblem: the first request is still being worked on.
        """
        async with UnitOfWork(self._database) as work:
            return await IdempotencyKeys(work).begin(login, key, request_digest)

    async def complete(self, login: str, key: str, answer: StoredAnswer) -> None:
        """Keep the answer for whoever repeats the request."""
        async with UnitOfWork(self._database) as work:
            await IdempotencyKeys(work).complete(login, key, answer)

    async def abandon(self, login: str, key: str) -> None:
        """Nothing was done: the same key may be tried again at once."""
        async with UnitOfWork(self._database) as work:
            await IdempotencyKeys(work).abandon(login, key)
