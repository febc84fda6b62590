"""A unit of work: one transaction, from opening to commit.

It commits when the block ends and rolls back when it raises; nobody calls `commit()`. What must be written although the
caller is refused (a failed login) belongs in a unit of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.problems import ProblemError, Text, UnavailableProblem
from storage.engine import Database
from storage.tables import Table


class UnitOfWork:
    """`async with UnitOfWork(database) as work:`, then repositories are made from it: `Users(work)`.

    now: the instant the unit began, the same for everything it writes.
    :raises UnavailableProblem: the database is away, slow or out of connections; its member `written` is `nothing`, or
        `unknown` when the connection broke during the commit itself.
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
            await self.session.close()
        if error is None:
            for callback in self._after_commit:
                callback()
        elif is_database_away(error):
            raise _database_away() from error

    async def _commit(self) -> None:
        try:
            await self.session.commit()
        except Exception as error:
            if is_database_away(error):
                raise _database_away(written="unknown") from error
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


def violated_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint that a statement broke."""
    diagnosis: Any = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)


def is_database_away(error: BaseException) -> bool:
    """Whether an error means that the same work may succeed later: lost, slow, busy or deadlocked database."""
    if isinstance(error, (PoolTimeoutError, InterfaceError)):
        return True
    if isinstance(error, OperationalError):
        return not isinstance(error.orig, (pg.DiskFull, pg.ProgramLimitExceeded))
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _database_away(*, written: Literal["nothing", "unknown"] = "nothing") -> UnavailableProblem:
    if written == "unknown":
        return UnavailableProblem(
            Text(
                "提交时与数据库的连接中断，本次操作是否已写入尚不确定；请先查询，再决定是否重试",
                "The connection to the database broke during the commit: it is not known whether this was written. "
                "Look it up before trying again",
            ),
            written=written,
        )
    return UnavailableProblem(
        Text(
            "数据库暂时无法响应，本次操作没有写入任何数据，请稍后重试",
            "The database does not answer at the moment; nothing was written, please try again shortly",
        ),
        written=written,
    )
