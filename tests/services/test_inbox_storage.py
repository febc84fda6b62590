"""What the inbox keeps: what cannot be stored or decrypted is put aside alone; nothing is readable in the database."""

from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from connectors.loading import load_connectors
from connectors.webhooks import Verified
from domain.calls import Catalog
from domain.events import Event
from domain.problems import ConfigurationProblem, ConflictProblem
from services.inbox import TOO_SLOW, InboxService
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import KEY_MISSING
from storage.quarantine import Quarantine
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_inbox import a_refund_push, an_order_push, in_quarantine, inbox, slow_down

__all__ = ["inbox"]


@pytest.mark.parametrize(
    "unclean",
    [
        {"data": {"membership": "\x00"}},
        {"tandemkeys": ("".join(map(chr, Random(1).choices(range(0x4E00, 0x9F00), k=3_000))),)},
        {"tandemkeys": ("customer:youzan/\ud83d",)},
    ],
    ids=["a text that PostgreSQL cannot hold", "a key that is larger than an index holds", "half a character"],
)
async def test_what_cannot_be_stored_is_found_and_put_aside_alone(
    inbox: InboxService, database: Database, monkeypatch: pytest.MonkeyPatch, unclean: dict[str, Any]
) -> None:
    connector = load_connectors(Catalog())["youzan"]
    real = connector.to_events

    def careless(record: Verified, account: Any) -> list[Event]:
        """Lets through what PostgreSQL does not take."""
        events = real(record, account)
        if record.dedupe_key != "push-E5":
            return events
        return [each.model_copy(update=unclean | {"data": each.data | unclean.get("data", {})}) for each in events]

    monkeypatch.setattr(type(connector), "to_events", lambda _, record, account: careless(record, account))
    for number in range(9):
        await inbox.accept("youzan", "shop", an_order_push(f"E{number}"))
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (9, 8, 1)
    (found,) = await in_quarantine(database)
    assert "the database refused it" in (found.reason or "") or "UnicodeEncodeError" in (found.reason or "")
    async with UnitOfWork(database) as work:
        rows = await work.session.execute(
            text("SELECT paid_minor, status, quantity FROM orders JOIN order_lines ON order_key = id")
        )
        assert [tuple(row) for row in rows] == [(29900, "paid", 2)] * 8


async def test_a_push_that_alone_takes_too_long_is_put_aside_and_holds_up_no_other(
    inbox: InboxService, database: Database, database_url: str, clock: SteppedClock
) -> None:
    for number in range(3):
        await inbox.accept("youzan", "shop", an_order_push(f"E{number}"))
    await slow_down(database_url, "CASE NEW.order_id WHEN 'E1' THEN 5 ELSE 0 END")
    hurried = Database(database_url, database.keyring, pool_size=2, clock=clock, statement_timeout_s=1)
    try:
        slow, read, quarantined = InboxService(hurried, load_connectors(Catalog())), 0, 0
        for _ in range(3):
            drained = await slow.drain()
            read, quarantined = read + drained.read, quarantined + drained.quarantined
        assert (read, quarantined) == (3, 1)
    finally:
        await hurried.close()
    (found,) = await in_quarantine(database)
    assert (found.push.dedupe_key, found.reason) == ("push-E1", TOO_SLOW)


async def test_a_database_behind_its_migrations_is_no_pushs_fault(
    inbox: InboxService, database: Database, database_url: str
) -> None:
    await inbox.accept("youzan", "shop", an_order_push("E1"))
    await inbox.accept("youzan", "shop", an_order_push("E2"))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("ALTER TABLE orders RENAME COLUMN membership TO grade_of_buyer")
        with pytest.raises(ConfigurationProblem):
            await inbox.drain()
        await connection.execute("ALTER TABLE orders RENAME COLUMN grade_of_buyer TO membership")
    assert await in_quarantine(database) == []
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (2, 2, 0)


async def test_a_push_that_nobody_can_decrypt_holds_up_no_other(inbox: InboxService, database: Database) -> None:
    for number in range(3):
        await inbox.accept("youzan", "shop", an_order_push(f"E{number}"))
    async with UnitOfWork(database) as work:
        # A byte of the middle one is another one now: a bad disk, or somebody who should not.
        await work.session.execute(
            text(
                "UPDATE inbox SET payload = set_byte(payload, 40, 255 - get_byte(payload, 40)) WHERE dedupe_key = :key"
            ),
            {"key": "push-E1"},
        )
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (3, 2, 1)
    (found,) = await in_quarantine(database)
    assert found.push.dedupe_key == "push-E1"
    assert "cannot be read: it was altered" in (found.reason or "")
    async with UnitOfWork(database) as work:
        with pytest.raises(ConflictProblem, match="cannot be decrypted"):
            await Quarantine(work).require(found.id)


async def test_while_keys_change_nothing_stays_behind_that_a_process_could_not_read(
    inbox: InboxService, database: Database, database_url: str, clock: SteppedClock
) -> None:
    """The first process that has the new key writes with it; another one that has not yet been restarted reads."""
    newer = Database(database_url, Keyring({"k2": b"2" * 32, "k1": b"1" * 32}), pool_size=2, clock=clock)
    try:
        restarted = InboxService(newer, load_connectors(Catalog()))
        await restarted.accept("youzan", "shop", an_order_push("E1"))
        await inbox.accept("youzan", "shop", an_order_push("E2"))
        drained = await inbox.drain()
        assert (drained.read, drained.events, drained.quarantined) == (2, 1, 1)
        assert (await in_quarantine(database))[0].reason == KEY_MISSING.format(key="k2") + (
            "Data in inbox.payload was encrypted with the key “k2”, which the settings do not hold. "
            "Put it back at the end of TANDEM_FIELD_KEYS."
        )
        drained = await restarted.drain()
        assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0)
    finally:
        await newer.close()


async def test_a_reason_that_cannot_be_stored_puts_its_push_aside_all_the_same(
    inbox: InboxService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = load_connectors(Catalog())["youzan"]

    def broken(*_: Any) -> list[Event]:
        raise ValueError("a name with \x00 and \ud83d in it")

    monkeypatch.setattr(type(connector), "to_events", broken)
    await inbox.accept("youzan", "shop", an_order_push("E1"))
    assert (await inbox.drain()).quarantined == 1
    assert (await in_quarantine(database))[0].reason == "ValueError: a name with \ufffd and \ufffd in it"


async def test_payloads_are_unreadable_in_the_database(inbox: InboxService, database_url: str) -> None:
    push = a_refund_push("202611230959300000000001")
    await inbox.accept("youzan", "shop", push)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT payload FROM inbox")).fetchone()
    assert row is not None
    assert b"refund" not in bytes(row[0])
