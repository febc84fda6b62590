"""What a process opens."""

from contextlib import AsyncExitStack

from pydantic import SecretStr

from runtime.application import CONNECTIONS, open_database
from runtime.settings import MOST_INBOX_LANES, Settings
from storage.unit_of_work import UnitOfWork


async def test_all_lanes_of_the_inbox_in_one_process_leave_the_others_their_connections(database_url: str) -> None:
    key = SecretStr("k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=")
    settings = Settings(database_url=SecretStr(database_url), field_keys=key, inbox_lanes=MOST_INBOX_LANES)
    database = open_database(settings)
    async with AsyncExitStack() as lanes:
        for _ in range(MOST_INBOX_LANES):
            await (await lanes.enter_async_context(UnitOfWork(database))).session.connection()
        async with AsyncExitStack() as others:
            for _ in range(CONNECTIONS):
                await (await others.enter_async_context(UnitOfWork(database))).session.connection()
    await database.close()
