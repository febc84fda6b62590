"""One pool of connections to one PostgreSQL database."""

import selectors
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL, Engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from domain.problems import ConfigurationProblem, Text
from storage.encryption import Keyring, use_keyring

# The role all work runs under: it may insert audit entries but not change them (see `storage.migrations`).
APPLICATION_ROLE = "tandem_app"
_CONNECT_TIMEOUT_S = 10
_POOL_TIMEOUT_S = 10.0
_STATEMENT_TIMEOUT_S = 30
_LOCK_TIMEOUT_S = 10
_IDLE_TRANSACTION_TIMEOUT_S = 60
_TRUSTED_IDLE_S = 30.0


def utc_now() -> datetime:
    """The instant, UTC."""
    return datetime.now(UTC)


def sqlalchemy_url(database_url: str) -> URL:
    """A libpq address (`postgresql://user@host/database?host=/socket`) as SQLAlchemy's, with psycopg 3 as driver.

    :raises ConfigurationProblem: it is no PostgreSQL address.
    """
    from sqlalchemy.engine import make_url

    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in ("postgresql", "postgres") or not url.database:
        scheme = urlsplit(database_url).scheme or "?"
        raise ConfigurationProblem(
            Text(
                f"数据库地址（TANDEM_DATABASE_URL）应为 postgresql://用户:密码@主机:端口/数据库，当前以“{scheme}:”开头或缺少数据库名",
                "The database address (TANDEM_DATABASE_URL) must be postgresql://user:password@host:port/database; "
                f"this one starts with “{scheme}:” or names no database",
            )
        )
    return url.set(drivername="postgresql+psycopg")


class Database:
    """The pool, the keys and the clock that units of work share. Make one per process, `close()` it at the end.

    pool_size: connections at most; a unit of work waits up to ten seconds for a free one. role: the role the work runs
    under, None for the login itself (migrations, maintenance).
    """

    def __init__(
        self,
        database_url: str,
        keyring: Keyring,
        *,
        pool_size: int = 10,
        role: str | None = APPLICATION_ROLE,
        clock: Callable[[], datetime] = utc_now,
        statement_timeout_s: int = _STATEMENT_TIMEOUT_S,
    ) -> None:
        self.keyring = keyring
        self.clock = clock
        options = {
            "timezone": "UTC",
            "statement_timeout": f"{statement_timeout_s}s",
            "lock_timeout": f"{_LOCK_TIMEOUT_S}s",
            "idle_in_transaction_session_timeout": f"{_IDLE_TRANSACTION_TIMEOUT_S}s",
            **({"role": role} if role else {}),
        }
        self.engine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_POOL_TIMEOUT_S,
            pool_use_lifo=True,
            # An error ends up in the log; what was to be stored may be personal.
            hide_parameters=True,
            connect_args={
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "application_name": "tandem",
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            },
        )
        _check_when_taken(self.engine.sync_engine)
        use_keyring(self.engine.dialect, keyring)
        self.sessions = async_sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False)

    async def healthy(self) -> bool:
        """Whether the database answers."""
        try:
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, DBAPIError, OSError):
            return False
        return True

    async def close(self) -> None:
        await self.engine.dispose()


def _check_when_taken(engine: Engine) -> None:
    """Give out no connection whose server has gone: it is replaced, and so are all that were opened before it.

    A server that ends closes the socket, which is seen without asking it. Asking, a round trip for each unit of work
    with SQLAlchemy's own `pool_pre_ping`, is left for connections that lay still for long: something between may have
    forgotten them.
    """

    def taken(connection: Any, record: Any, _: object) -> None:
        still_for = time.monotonic() - record.info.get("returned_at", time.monotonic())
        if still_for < _TRUSTED_IDLE_S and not _has_something_to_say(connection.driver_connection.fileno()):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    def returned(_: object, record: Any) -> None:
        record.info["returned_at"] = time.monotonic()

    event.listen(engine, "checkout", taken)
    event.listen(engine, "checkin", returned)


def _has_something_to_say(socket: int) -> bool:
    """Whether there is something to read, the end of the connection among it."""
    with selectors.DefaultSelector() as selector:
        selector.register(socket, selectors.EVENT_READ)
        return bool(selector.select(0))
