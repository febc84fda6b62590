"""What a process opens."""

import asyncio
from contextlib import AsyncExitStack

from pydantic import SecretStr

from connectors.lookups import can_be_asked
from runtime.application import Application
from runtime.connections import CONNECTIONS, open_database
from runtime.settings import MOST_INBOX_LANES, Settings
from storage.notifications import lookups_channel, wait_for_notification, wake_lookups
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


async def test_who_waits_to_ask_a_platform_takes_no_connection_from_the_others(database_url: str) -> None:
    key = SecretStr("k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=")
    address = "127.0.0.1:1"
    settings = Settings(database_url=SecretStr(database_url), field_keys=key, temporal_address=address, inbox_lanes=1)
    application = await Application.connect(settings, lazy=True)
    asked = [platform for platform, each in application.connectors.items() if can_be_asked(each)]
    assert len(asked) >= 5

    async def nothing() -> bool:
        return False

    waiting = [
        asyncio.create_task(wait_for_notification(application.database, lookups_channel(platform), 30, nothing))
        for platform in asked
    ]
    async with AsyncExitStack() as others:
        for _ in range(CONNECTIONS + settings.inbox_lanes):
            await (await others.enter_async_context(UnitOfWork(application.database))).session.connection()
        assert not any(each.done() for each in waiting)
    async with UnitOfWork(application.database) as work:
        await wake_lookups(work, asked[:1])
    assert await waiting[0]
    assert not any(each.done() for each in waiting[1:]), "only who asks this platform wakes"
    async with UnitOfWork(application.database) as work:
        await wake_lookups(work, asked)
    assert all(await asyncio.gather(*waiting))
    await application.close()
