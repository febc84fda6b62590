"""Waking up a drainer at once instead of asking again and again: PostgreSQL's LISTEN and NOTIFY."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.problems import Text, UnavailableProblem
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

EVENTS_CHANNEL = "tandem_events"
INBOX_CHANNEL = "tandem_inbox"
_LOOKUPS_CHANNEL = "tandem_lookups"


def lookups_channel(platform: str) -> str:
    """The channel of those who ask a platform; those who ask others sleep on."""
    return f"{_LOOKUPS_CHANNEL}_{platform}"


async def wake_lookups(work: UnitOfWork, platforms: Iterable[str]) -> None:
    """Wake whoever asks these platforms when the unit commits."""
    for platform in sorted(set(platforms)):
        await notify(work, lookups_channel(platform))


async def notify(work: UnitOfWork, channel: str) -> None:
    """Wake whoever waits on the channel when the unit commits; many calls in one unit wake once."""
    await work.session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})


async def wait_for_notification(
    database: Database, channel: str, timeout_s: float, has_work: Callable[[], Awaitable[bool]]
) -> bool:
    """True as soon as there is work, False when the time was up first. Holds one connection while it waits.

    has_work is asked once after the listening began, so that nothing is missed in between.

    :raises UnavailableProblem: the database is away.
    """
    try:
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver: Any = (await connection.get_raw_connection()).driver_connection
            try:
                await driver.execute(f'LISTEN "{channel}"')
                found = await has_work()
                if not found:
                    async for _ in driver.notifies(timeout=timeout_s, stop_after=1):
                        found = True
                await driver.execute("UNLISTEN *")
            except BaseException:
                # Broken, or cancelled in the middle of waiting: nobody else should get this connection.
                await connection.invalidate()
                raise
            return found
    except (psycopg.OperationalError, DBAPIError, PoolTimeoutError) as error:
        raise UnavailableProblem(
            Text("数据库暂时无法响应，请稍后重试", "The database does not answer at the moment; try again shortly")
        ) from error
