"""Several batches at once: what comes out is what one batch after the other makes of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from connectors.canonical_records import handed_in
from connectors.loading import load_connectors
from connectors.webhooks import Verified
from domain.calls import Catalog
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Arrival, Intake, TakenIn
from services.stage_times import StageTimes
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.unit_of_work import UnitOfWork
from tests.services.test_tagging import SHIPPED, publish

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = {"k1": b"1" * 32}
MAY_DIFFER = "tandem.customer.%"
"""What merging and tags tell on the way depends on the order; where it ends does not."""


def inbox_of(database: Database) -> InboxService:
    return InboxService(database, load_connectors(Catalog()), Intake(IdentityService(), Tagging(database)))


def a_crowd(pick: Random) -> list[Verified]:
    """Twenty people who buy, give back and say who else they are; everything comes twice, in any order."""
    pushes: list[Verified] = []

    def told(kind: str, **data: Any) -> None:
        push = handed_in(kind, data, NOW)
        pushes.extend((push, replace(push, dedupe_key=f"{push.dedupe_key}/again")))

    for person in range(20):
        keys = {"buyer_id": f"B{person}", "phone": f"+8613800000{person:03}"}
        told("member", member_id=f"M{person}", version=1, occurred_at=_at(0), **keys)
        for number in range(4):
            order = {"order_id": f"E{person}-{number}", "buyer": {"buyer_id": f"B{person}"}}
            for version, status in enumerate(("unpaid", "paid", "shipped"), 1):
                paid = {} if status == "unpaid" else {"paid_at": _at(number)}
                told(
                    "order", **order, **paid, status=status, version=version, paid_minor=60_000, occurred_at=_at(number)
                )
            if number == 0:
                refund = {"refund_id": f"R{person}", "order_id": f"E{person}-0", "amount_minor": 60_000}
                told("refund", **refund, status="refunded", version=9, occurred_at=_at(number))
        told(
            "chat",
            message_id=f"c{person}",
            direction="in",
            text="还有优惠吗",
            version=1,
            occurred_at=_at(0),
            buyer=keys,
        )
    pick.shuffle(pushes)
    return pushes


def _at(days: int) -> str:
    return (NOW - timedelta(days=days, minutes=5)).isoformat()


async def stored(database: Database, pushes: Sequence[Verified]) -> None:
    async with UnitOfWork(database) as work:
        named = [Push("generic", "till", each.dedupe_key, each.kind, each.payload, each.received_at) for each in pushes]
        assert await Inbox(work).add_many(named) == len(pushes)


async def drained(inbox: InboxService, limit: int) -> int:
    events = 0
    while (done := await inbox.drain(limit)).read:
        assert not done.quarantined
        events += done.events
    return events


async def what_is_known(database: Database) -> dict[str, Any]:
    """All that came out, with customers named by their keys' first digest, which is the same in every database."""
    person = "(SELECT min(digest)::text FROM identities k WHERE k.customer_id = {})"
    owner = person.format("customer_id")
    questions = {
        "orders": "SELECT order_id, status, version, paid_minor, refunded_minor FROM orders",
        "owners": f"SELECT order_id, {owner} FROM orders JOIN identities i ON i.id = identity_id",
        "refunds": "SELECT refund_id, status, identity_id IS NOT NULL, unsettled FROM refunds",
        "interactions": "SELECT kind, key, version FROM interactions",
        "people": "SELECT array_agg(digest ORDER BY digest) FROM identities GROUP BY customer_id",
        # What merged customers carried when they did stays with them.
        "tags": f"SELECT {owner}, rule FROM customer_tags JOIN customers c ON c.id = customer_id "
        "WHERE held AND c.merged_into IS NULL",
        "events": f"SELECT source, event_id, type FROM events WHERE type NOT LIKE '{MAY_DIFFER}'",
        "inbox": "SELECT state, count(*) FROM inbox GROUP BY state",
    }
    async with UnitOfWork(database) as work:
        found = {name: await work.session.execute(text(question)) for name, question in questions.items()}
        return {name: sorted(map(repr, rows)) for name, rows in found.items()}


@asynccontextmanager
async def process(database_url: str) -> AsyncIterator[InboxService]:
    """An inbox with connections of its own, as each worker has one."""
    database = Database(database_url, Keyring(KEYS), pool_size=6)
    try:
        yield inbox_of(database)
    finally:
        await database.close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_lanes_lose_nothing_and_double_nothing(database_url: str, seed: int) -> None:
    pushes = a_crowd(Random(seed))
    database = Database(database_url, Keyring(KEYS), pool_size=6)
    await publish(database, *SHIPPED)
    known = []
    for lanes in (1, 4):
        await stored(database, pushes)
        async with process(database_url) as one, process(database_url) as other:
            await asyncio.gather(*(drained((one, other)[lane % 2], 60) for lane in range(lanes)))
            # Whoever is last looks for refunds whose order was in another lane.
            await one.drain()
        known.append(await what_is_known(database))
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("TRUNCATE inbox, events, customers CASCADE")
    await database.close()
    assert known[1] == known[0]
    assert len(known[0]["orders"]) == 80
    assert len(known[0]["people"]) == 20
    assert known[0]["inbox"] == [repr(("done", len(pushes)))]


async def test_of_two_lanes_the_one_with_the_older_pushes_has_the_earlier_instant(database_url: str) -> None:
    database = Database(database_url, Keyring(KEYS), pool_size=6)
    orders = [
        handed_in("order", {"order_id": f"E{number:03}", "status": "paid", "paid_minor": 1, "version": 1}, NOW)
        for number in range(200)
    ]
    await stored(database, orders)
    async with process(database_url) as one, process(database_url) as other:
        await asyncio.gather(*(drained(inbox, 10) for inbox in (one, other, one, other)))
    async with UnitOfWork(database) as work:
        by_age = text("SELECT received_at FROM events ORDER BY subjects[1]")
        instants = list(await work.session.scalars(by_age))
    await database.close()
    assert len(instants) == 200
    assert instants == sorted(instants)


class HeldUp(Intake):
    """The database ends its first batches as it ends one of two that wait for each other."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    async def take_in(self, work: UnitOfWork, arrivals: Sequence[Arrival], times: StageTimes | None = None) -> TakenIn:
        taken = await super().take_in(work, arrivals, times)
        if self.left:
            self.left -= 1
            await work.session.execute(text("DO $$ BEGIN RAISE deadlock_detected; END $$"))
        return taken


async def test_a_batch_that_wanted_what_another_one_had_is_read_again_at_once(database: Database) -> None:
    held_up = HeldUp(times=2)
    inbox = InboxService(database, load_connectors(Catalog()), held_up)
    for number in range(3):
        order = {"order_id": f"E{number}", "status": "paid", "version": 1}
        await inbox.accept("generic", "till", handed_in("order", order, NOW))
    done = await inbox.drain()
    assert (done.read, done.events, done.quarantined, held_up.left) == (3, 3, 0, 0)
