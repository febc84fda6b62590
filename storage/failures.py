"""What an error of the database means to whoever asked."""

from typing import Literal

from psycopg import errors as pg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.problems import ConfigurationProblem, ProblemError, Text, UnavailableProblem
from storage.engine import APPLICATION_ROLE

_SCHEMA_ERRORS = (pg.UndefinedTable, pg.UndefinedColumn, pg.UndefinedFunction)


def problem_of(error: BaseException, *, written: Literal["nothing", "unknown"] = "nothing") -> ProblemError | None:
    """The problem to raise instead, None when the error is a bug or already a problem.

    written: what is known about the work in hand; `unknown` when the connection broke during the commit.
    """
    if is_schema_behind(error):
        return ConfigurationProblem(
            Text(
                "数据库结构尚未就绪或版本过旧，请先执行：tandem migrate",
                "The database has no schema yet, or an old one. First: tandem migrate",
            )
        )
    if not is_database_away(error):
        return None
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


def is_database_away(error: BaseException) -> bool:
    """Whether the same work may succeed later: lost, slow, busy or deadlocked database."""
    if isinstance(error, (PoolTimeoutError, InterfaceError)):
        return True
    if isinstance(error, OperationalError):
        return not isinstance(error.orig, (pg.DiskFull, pg.ProgramLimitExceeded))
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_refused(error: DBAPIError) -> bool:
    """Whether the database does not take a value, however often it is told: not of its type, told twice, or larger than
    an index holds."""
    if isinstance(error, OperationalError):
        return isinstance(error.orig, pg.ProgramLimitExceeded)
    return isinstance(error, DataError | IntegrityError | ProgrammingError)


def is_deadlock(error: BaseException | None) -> bool:
    """Whether the database ended the work because another one waited for it, and it for the other: nothing was written,
    and the same work may be done anew at once."""
    return isinstance(error, OperationalError) and isinstance(error.orig, pg.DeadlockDetected)


def is_too_slow(error: BaseException | None) -> bool:
    """Whether the database ended a statement because it took too long: nothing was written, and less may be in time."""
    return isinstance(error, OperationalError) and isinstance(error.orig, pg.QueryCanceled)


def depends_on_rows(error: BaseException) -> bool:
    """Whether the error may be due to the rows that were worked on: with fewer, or others, the work may go through."""
    cause = error.__cause__ if isinstance(error, UnavailableProblem) else error
    return is_too_slow(cause) or (isinstance(cause, DBAPIError) and is_refused(cause))


def is_schema_behind(error: BaseException) -> bool:
    """Whether a table, a column or the application role is missing: nobody ran the migrations."""
    if not isinstance(error, DBAPIError):
        return False
    # An error while connecting carries no code, only the server's words.
    no_role = isinstance(error, OperationalError) and f'role "{APPLICATION_ROLE}" does not exist' in str(error.orig)
    return no_role or isinstance(error.orig, _SCHEMA_ERRORS)


def violated_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint that a statement broke."""
    return error.orig.diag.constraint_name if isinstance(error.orig, pg.Error) else None
