"""A long queue of one platform or shop delays nobody else's pushes, and of one thing nothing is read too early."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest
from sqlalchemy import text

from connectors.canonical_records import handed_in
from connectors.loading import load_connectors
from domain.calls import Catalog
from services import inbox as inboxes
from services.inbox import DEADLY, InboxService
from services.intake import Arrival
from services.push_reading import PushReader, Senders
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_inbox import Killed, in_quarantine, slow_down

NOW = datetime.now(UTC).replace(microsecond=0)


def an_order(account: str, order: str, *, version: int = 1, at: datetime = NOW) -> Push:
    """A push of `platform/slug` that tells an order in a version."""
    platform, _, slug = account.partition("/")
    told = {"order_id": order, "status": "paid", "paid_minor": 1, "version": version}
    push = handed_in("order", told, at)
    return Push(platform, slug, push.dedupe_key, push.kind, push.payload, at)


async def wait(database: Database, *pushes: Push) -> None:
    async with UnitOfWork(database) as work:
        assert await Inbox(work).add_many(pushes) == len(pushes)


async def read_of(database: Database, account: str) -> int:
    async with UnitOfWork(database) as work:
        count = await work.session.scalar(
            text("SELECT count(*) FROM inbox WHERE state = 'done' AND platform || '/' || account = :account"),
            {"account": account},
        )
        return int(count or 0)


def an_inbox(database: Database) -> InboxService:
    return InboxService(database, load_connectors(Catalog()))


async def test_what_comes_behind_a_long_queue_is_read_in_the_next_batch(database: Database) -> None:
    await wait(database, *(an_order("generic/promotion", f"E{number:03}") for number in range(300)))
    later = NOW + timedelta(minutes=1)
    await wait(database, an_order("generic/neighbour", "N1", at=later), an_order("youzan/other", "O1", at=later))
    drained = await an_inbox(database).drain(20)
    assert drained.read == 20, "a batch is as large as ever"
    assert await read_of(database, "generic/neighbour") == 1
    assert await read_of(database, "youzan/other") == 1


async def test_each_platform_has_its_part_however_many_shops_of_another_one_wait(database: Database) -> None:
    crowd = [an_order(f"generic/s{shop}", f"E{number}") for shop in range(30) for number in range(10)]
    await wait(database, *crowd)
    await wait(
        database, *(an_order("youzan/other", f"O{number}", at=NOW + timedelta(minutes=1)) for number in range(20))
    )
    await an_inbox(database).drain(40)
    assert await read_of(database, "youzan/other") == 10


async def test_of_one_thing_nothing_is_read_before_what_came_before_it(database: Database) -> None:
    pick, pushes, versions = Random(7), list[Push](), defaultdict[str, int](int)
    for number in range(400):
        account = pick.choices(["generic/a", "generic/b", "generic/c", "youzan/d"], [20, 3, 1, 1])[0]
        order = f"E{pick.randrange(8)}"
        versions[account + order] += 1
        at = NOW + timedelta(milliseconds=number)
        pushes.append(an_order(account, order, version=versions[account + order], at=at))
    await wait(database, *pushes)
    order_of_reading = defaultdict[tuple[str, str], list[int]](list)
    while True:
        async with UnitOfWork(database) as work:
            taken = await Inbox(work).take_waiting(16, ["generic", "youzan"], shared=True)
            await Inbox(work).done([stored.id for stored in taken])
        if not taken:
            break
        for stored in taken:
            order_of_reading[stored.push.platform, stored.push.account].append(stored.id)
    assert {shop: sorted(ids) for shop, ids in order_of_reading.items()} == order_of_reading
    assert sum(map(len, order_of_reading.values())) == len(pushes)


async def test_a_push_that_ends_processes_is_found_however_many_stand_before_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, deaths = PushReader.arrivals, 0

    def arrivals(self: PushReader, push: Push, senders: Senders) -> list[Arrival]:
        if push.account == "small":
            raise Killed
        return read(self, push, senders)

    monkeypatch.setattr(PushReader, "arrivals", arrivals)
    monkeypatch.setattr(inboxes, "_MOST_SUSPECTED", 40)
    await wait(database, *(an_order("generic/promotion", f"E{number:03}") for number in range(300)))
    await wait(database, an_order("generic/small", "N1", at=NOW + timedelta(minutes=1)))
    while deaths < 9:
        inbox = an_inbox(database)
        if deaths:
            await inbox.suspect()
        try:
            while (await inbox.drain(20)).read:
                pass
            break
        except Killed:
            deaths += 1
    (found,) = await in_quarantine(database)
    assert (found.push.account, found.reason) == ("small", DEADLY)
    assert await read_of(database, "generic/promotion") == 300


async def test_a_slow_push_of_a_small_shop_does_not_stop_the_queue(
    database: Database, database_url: str, clock: SteppedClock
) -> None:
    await wait(database, *(an_order("generic/promotion", f"E{number:03}") for number in range(40)))
    await wait(database, replace(an_order("generic/small", "SLOW"), received_at=NOW + timedelta(minutes=1)))
    await slow_down(database_url, "CASE NEW.order_id WHEN 'SLOW' THEN 5 ELSE 0 END")
    hurried = Database(database_url, database.keyring, pool_size=2, clock=clock, statement_timeout_s=1)
    try:
        inbox = an_inbox(hurried)
        read = [(await inbox.drain(16)).read for _ in range(3)]
    finally:
        await hurried.close()
    assert read == [4, 16, 16], "once it was found to be slow, those before it come first"


async def test_a_queue_that_came_since_the_statistics_were_made_is_shared_as_fast(
    database: Database, database_url: str, clock: SteppedClock
) -> None:
    many = (
        "INSERT INTO inbox (platform, account, dedupe_key, kind, payload, received_at, state, changed_at) "
        "SELECT 'generic', 's' || n %% 200, %(state)s || n, 'x', '', now() + n * interval '1 ms', %(state)s, now() "
        "FROM generate_series(1, 80000) AS n"
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(many, {"state": "done"})
        await connection.execute("VACUUM ANALYZE inbox")
        await connection.execute(many, {"state": "waiting"})
    hurried = Database(database_url, database.keyring, pool_size=2, clock=clock, statement_timeout_s=2)
    try:
        async with UnitOfWork(hurried) as work:
            taken = await Inbox(work).take_waiting(2_000, ["generic"], shared=True)
            assert (await Inbox(work).waiting_since()).keys() == {"generic"}
            assert await Inbox(work).suspect(100) == 100
    finally:
        await hurried.close()
    assert len(taken) == 2_000
    assert len({stored.push.account for stored in taken}) == 200
