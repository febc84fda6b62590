"""A unit of work: one transaction, from opening to commit.

It commits when the block ends and rolls back when it raises; nobody calls `commit()`. What must be written although the
caller is refused (a failed login) belongs in a unit of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.problems import ProblemError
from storage.engine import Database
from storage.failures import is_database_away, problem_of, violated_constraint
from storage.tables import Table


class UnitOfWork:
    """`async with UnitOfWork(database) as work:`, then repositories are made from it: `Users(work)`.

    now: the instant the unit began, the same for everything it writes.
    :raises UnavailableProblem: the database is away, slow or out of connections; its member `written` is `nothing`, or
        `unknown` when the connection broke during the commit itself.
    :raises ConfigurationProblem: the database was not migrated.
    """

    session: AsyncSession
    now: datetime

    def __init__(self, database: Database) -> None:
        self.database = database
        self._after_commit: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        self.session = self.database.sessions()
        self.now = self.database.clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._commit()
        finally:
            # Also when the task is cancelled: the connection goes back to the pool clean.
            await asyncio.shield(asyncio.create_task(self._leave()))
        if error is None:
            for callback in self._after_commit:
                callback()
        elif problem := problem_of(error):
            raise problem from error

    async def _commit(self) -> None:
        try:
            await self.session.commit()
        except Exception as error:  # raised again: only those that are the database's get its words
            if problem := problem_of(error, written="unknown"):
                raise problem from error
            raise

    async def _leave(self) -> None:
        try:
            await self.session.close()
        except SQLAlchemyError as error:
            # The server has gone, and with it what was not committed. What the caller is told is decided already.
            if not is_database_away(error):
                raise

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run something quick when all is written (drop a cache entry), and not otherwise."""
        self._after_commit.append(callback)


class Repository:
    """Base of a repository: the queries of one aggregate inside one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.session = work.session
        self.now = work.now

    async def insert(self, *rows: Table) -> None:
        """Write new rows now, so that a broken constraint is known at this line."""
        self.session.add_all(rows)
        await self.session.flush()


@contextmanager
def refused(constraint: str, refusal: ProblemError) -> Iterator[None]:
    """Turn the violation of a named constraint into a refusal that a person understands; the transaction is over."""
    try:
        yield
    except IntegrityError as error:
        if violated_constraint(error) == constraint:
            raise refusal from error
        raise
