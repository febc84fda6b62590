import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import psycopg
import pytest
from sqlalchemy import text

from connectors.accounts import Account
from connectors.canonical_records import handed_in
from connectors.douyin.pushes import event_sign
from connectors.loading import load_connectors
from connectors.webhooks import UNPARSED_KIND, Verified, WebhookRequest
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.problems import UnavailableProblem, ValidationProblem
from services import inbox_bounds
from services.accounts import PlatformAccounts
from services.inbox import DEADLY, InboxService
from services.intake import Arrival
from services.push_reading import PushReader, Senders
from storage.engine import Database
from storage.events import Events
from storage.inbox import Inbox, Push, StoredPush
from storage.paging import PageRequest
from storage.quarantine import Quarantine, QuarantineFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock

ADMIN = an_actor("root")
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


@pytest.fixture
def inbox(database: Database) -> InboxService:
    return InboxService(database, load_connectors(Catalog()))


def a_refund_push(refund_id: str, received_at: datetime = RECEIVED, **change: Any) -> Verified:
    message = {
        "update_time": "2026-11-23 09:59:30",
        "refund_type": "REFUND_AND_RETURN",
        "refunded_fee": "299.00",
        "refund_id": refund_id,
        "version": 1795399170123,
        "oids": "2800001",
        "tid": "E20261115093000900000001",
        **change,
    }
    body = {"type": "trade_refund_BuyerCreated", "msg": quote_plus(json.dumps(message)), "version": 1}
    return Verified("trade_refund_BuyerCreated", json.dumps(body).encode(), f"push-{refund_id}", received_at)


async def in_quarantine(database: Database) -> Sequence[StoredPush]:
    async with UnitOfWork(database) as work:
        return (await Quarantine(work).page(QuarantineFilter(), PageRequest())).items


async def test_a_push_of_a_platform_that_came_later_waits_for_a_process_that_knows_it(
    inbox: InboxService, database: Database, clock: SteppedClock
) -> None:
    """While workers are replaced one after the other, an older one meets the pushes of a new connector."""
    await inbox.accept("nowhere", "shop", a_refund_push("202611230959300000000001", clock.now))
    await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000002", clock.now))
    drained = await inbox.drain()
    assert (drained.read, drained.quarantined) == (1, 0)
    assert not await inbox.wait_for_work(0.1)
    clock.advance(minutes=61)
    assert await inbox.wait_for_work(0.1)
    assert (await inbox.drain()).quarantined == 1


async def _claimed(database: Database) -> list[str]:
    async with UnitOfWork(database) as work:
        return [pending.event.type for pending in await Events(work).claim(100, timedelta(seconds=1))]


async def test_a_push_becomes_one_event_however_often_it_is_delivered(inbox: InboxService, database: Database) -> None:
    assert await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000001"))
    assert not await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000001"))
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0)
    assert (await inbox.drain()).read == 0
    assert await _claimed(database) == ["tandem.refund.created"]


async def test_the_same_key_of_two_shops_is_two_pushes(inbox: InboxService) -> None:
    push = a_refund_push("202611230959300000000001")
    assert await inbox.accept("youzan", "shop", push)
    assert await inbox.accept("youzan", "outlet", push)


async def test_what_cannot_be_read_is_put_aside_with_its_reason(inbox: InboxService, database: Database) -> None:
    await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000001", refunded_fee="much"))
    await inbox.accept("nowhere", "shop", a_refund_push("202611230959300000000002"))
    await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000003"))
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (3, 1, 2)
    quarantined = await in_quarantine(database)
    assert ["refunded_fee" in (each.reason or "") for each in quarantined] == [True, False]
    assert "no connector for nowhere" in (quarantined[1].reason or "")


async def test_of_a_push_with_many_messages_only_the_one_that_cannot_be_read_is_put_aside(
    inbox: InboxService, database: Database
) -> None:
    douyin = load_connectors(Catalog())["douyin"]
    account = Account("douyin", "shop", {"app_key": "key", "app_secret": "secret", "shop_id": 7})

    def pushed(*numbers: int) -> Verified:
        paid = {"shop_id": 7, "order_status": 2, "pay_time": int(RECEIVED.timestamp()), "pay_amount": 12900}
        data = [{**paid, "p_id": f"69170000000000{number:05}"} for number in numbers]
        data[0]["pay_amount"] = -1
        messages = [
            {"tag": "101", "msg_id": f"m{number}", "data": said} for number, said in zip(numbers, data, strict=True)
        ]
        body = json.dumps(messages).encode()
        headers = {"app-id": "key", "event-sign": event_sign("key", body, "secret")}
        return douyin.verify(WebhookRequest("POST", {}, headers, body, RECEIVED), account)

    assert await inbox.accept("douyin", "shop", pushed(*range(100)))
    assert not await inbox.accept("douyin", "shop", pushed(0, 5, 7)), "each is known, also in other company"
    drained = await inbox.drain()
    assert (drained.read, drained.quarantined) == (100, 1)
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM orders WHERE status = 'paid'")) == 99
    (aside,) = await in_quarantine(database)
    assert (aside.push.dedupe_key, "pay_amount" in (aside.reason or "")) == ("m0", True)


async def test_a_bug_of_a_connector_holds_up_no_other_push(
    inbox: InboxService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = load_connectors(Catalog())["youzan"]
    real = connector.to_events

    def broken(record: Verified, account: Any) -> Any:
        if record.dedupe_key.endswith("1"):
            raise KeyError("tid")
        return real(record, account)

    monkeypatch.setattr(type(connector), "to_events", lambda _, record, account: broken(record, account))
    await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000001"))
    await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000002"))
    drained = await inbox.drain()
    assert (drained.events, drained.quarantined) == (1, 1)
    assert "KeyError" in ((await in_quarantine(database))[0].reason or "")


def an_order_push(order_id: str) -> Verified:
    order = {
        "order_info": {"tid": order_id, "status": "WAIT_SELLER_SEND_GOODS", "update_time": "2026-11-23 09:59:30"},
        "pay_info": {"payment": "299.00"},
        "orders": [{"oid": "1", "title": "羊毛大衣", "num": 2, "price": "299.00", "total_fee": "299.00"}],
    }
    body = {"type": "trade_TradePaid", "msg": quote_plus(json.dumps({"full_order_info": order})), "version": 1}
    return Verified("trade_TradePaid", json.dumps(body).encode(), f"push-{order_id}", RECEIVED)


async def test_an_inbox_that_is_full_takes_no_more_until_it_was_read(
    inbox: InboxService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_bounds, "MOST_WAITING", 2)
    monkeypatch.setattr(inbox_bounds, "_LOOKS_EVERY_S", 0.0)
    for number in range(3):
        assert await inbox.accept("youzan", "shop", an_order_push(f"E{number}"))
    with pytest.raises(UnavailableProblem, match="send it again later"):
        await inbox.accept("youzan", "shop", an_order_push("E3"))
    await inbox.drain()
    assert await inbox.accept("youzan", "shop", an_order_push("E3"))


async def test_an_account_whose_quarantine_is_full_is_refused_and_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_bounds, "_LOOKS_EVERY_S", 0.0)
    inbox = InboxService(database, load_connectors(Catalog()), most_quarantined=2)
    for number in range(2):
        await inbox.accept("youzan", "shop", a_refund_push(f"R{number}", refunded_fee="much"))
        assert (await inbox.drain()).quarantined == 1
    with pytest.raises(UnavailableProblem, match="2 pushes of youzan/shop are in quarantine"):
        await inbox.accept("youzan", "shop", a_refund_push("R3"))
    assert await inbox.accept("youzan", "other", a_refund_push("R3"))
    assert len(await in_quarantine(database)) == 2
    async with UnitOfWork(database) as work:
        await Quarantine(work).put_away(QuarantineFilter(), 1, "no use")
    assert await inbox.accept("youzan", "shop", a_refund_push("R3"))


async def test_two_drainers_never_read_the_same_push(inbox: InboxService, database: Database) -> None:
    for number in range(40):
        await inbox.accept("youzan", "shop", a_refund_push(f"2026112309593000000000{number:02}"))
    rounds = await asyncio.gather(inbox.drain(20), inbox.drain(20), inbox.drain(20))
    assert sum(each.read for each in rounds) == 40
    assert sum(each.events for each in rounds) == 40


async def slow_down(database_url: str, seconds: str) -> None:
    """From now on the database needs so many seconds for each order. seconds: in SQL; `NEW` is the order."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        body = f"BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END"
        await connection.execute(f"CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $${body}$$".encode())
        await connection.execute("CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION be_slow()")


async def test_a_batch_that_takes_too_long_is_read_in_smaller_ones(
    inbox: InboxService, database: Database, database_url: str, clock: SteppedClock
) -> None:
    for number in range(8):
        await inbox.accept("youzan", "shop", an_order_push(f"E{number}"))
    await slow_down(database_url, "0.2")
    hurried = Database(database_url, database.keyring, pool_size=2, clock=clock, statement_timeout_s=1)
    try:
        slow = InboxService(hurried, load_connectors(Catalog()))
        read = 0
        async with asyncio.timeout(30):
            while read < 8:
                drained = await slow.drain(8)
                assert drained.quarantined == 0
                read += drained.read
    finally:
        await hurried.close()


async def test_the_drainer_wakes_up_when_a_push_is_stored(inbox: InboxService) -> None:
    assert not await inbox.wait_for_work(0.05)
    waiting = asyncio.ensure_future(inbox.wait_for_work(10))
    await asyncio.sleep(0.2)
    await inbox.accept("youzan", "shop", a_refund_push("202611230959300000000001"))
    async with asyncio.timeout(1):
        assert await waiting


async def test_a_record_that_was_handed_in_for_a_shop_is_read_beside_its_pushes(
    inbox: InboxService, database: Database
) -> None:
    order = {"order_id": "E1", "status": "completed", "paid_minor": 100, "version": 1}
    assert await inbox.accept("youzan", "shop", handed_in("order", order, RECEIVED, past=True))
    assert not await inbox.accept("youzan", "shop", handed_in("order", dict(reversed(order.items())), RECEIVED))
    await inbox.accept("youzan", "shop", handed_in("order", {**order, "status": "sold"}, RECEIVED))
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (2, 1, 1)
    assert await _claimed(database) == ["tandem.order.updated"]


async def test_a_key_of_an_account_that_is_not_here_makes_no_customer(inbox: InboxService, database: Database) -> None:
    corp = NewAccount(platform="wecom", slug="main", name="Corp", credentials={})
    await PlatformAccounts(database).connect(ADMIN, corp)
    chat = {"message_id": "m1", "direction": "in", "version": 1, "external_userid": "wm1", "corp": "wecom/main"}
    assert await inbox.accept("generic", "pos", handed_in("chat", chat, RECEIVED))
    assert await inbox.accept("generic", "pos", handed_in("chat", {**chat, "corp": "wecom/typo"}, RECEIVED))
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (2, 1, 1)
    (aside,) = await in_quarantine(database)
    assert "records/0/data/corp" in str(aside.reason)
    assert "wecom/typo" in str(aside.reason)


async def test_what_came_before_its_account_was_disconnected_is_read_by_its_settings(
    inbox: InboxService, database: Database
) -> None:
    accounts = PlatformAccounts(database)
    keys = {"client_id": "c-1", "client_secret": "s-1"}
    shop = NewAccount(platform="youzan", slug="shop", name="Shop", credentials=keys, settings={"kdt_id": 42})
    await accounts.connect(ADMIN, shop)
    message = {"type": "COUPON", "status": "CARD_TAKE", "id": "C1", "coupon_group_id": "G1"}
    body = {"type": "COUPON_CUSTOMER_PROMOTION", "msg": quote_plus(json.dumps(message)), "version": 1}
    push = Verified("COUPON_CUSTOMER_PROMOTION", json.dumps(body).encode(), "push-1", RECEIVED)
    assert await inbox.accept("youzan", "shop", push)
    await accounts.set_active(ADMIN, "youzan/shop", False)
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0)


class Killed(BaseException):
    """What a process that is killed does: it ends, and nothing of it handles that."""


@pytest.mark.parametrize(("kills", "is_deadly"), [(99, True), (4, False)])
async def test_a_push_that_kills_its_readers_goes_to_quarantine_and_takes_no_other_along(
    database: Database, monkeypatch: pytest.MonkeyPatch, kills: int, is_deadly: bool
) -> None:
    read, deaths = PushReader.arrivals, 0

    def arrivals(self: PushReader, push: Push, senders: Senders) -> list[Arrival]:
        if push.dedupe_key == "push-R150" and deaths < kills:
            raise Killed
        return read(self, push, senders)

    monkeypatch.setattr(PushReader, "arrivals", arrivals)
    first = InboxService(database, load_connectors(Catalog()))
    for number in range(300):
        await first.accept("youzan", "flagship", a_refund_push(f"R{number}"))
    while deaths < 9:
        # Each is a process of its own, started in the place of one that was killed.
        inbox = InboxService(database, load_connectors(Catalog()))
        if deaths:
            await inbox.suspect()
        try:
            while (await inbox.drain()).read:
                pass
            break
        except Killed:
            deaths += 1
    if not is_deadly:
        assert (deaths, await in_quarantine(database)) == (4, []), "somebody else killed them"
        async with UnitOfWork(database) as work:
            assert await work.session.scalar(text("SELECT count(*) FROM inbox WHERE state = 'done'")) == 300
        return
    (found,) = await in_quarantine(database)
    assert (deaths, found.push.dedupe_key, found.reason) == (5, "push-R150", DEADLY)
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM inbox WHERE state = 'done' AND tries = 0")) == 299
        assert await Quarantine(work).release(QuarantineFilter(), 9) == 1
    monkeypatch.undo()
    drained = await InboxService(database, load_connectors(Catalog())).drain()
    assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0), "a mended reader reads it"


async def test_a_push_that_another_lane_holds_is_not_taken_for_deadly(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch holds what it met until it ends, also those pushes that are to be read with care."""
    take, count_tries = InboxService._take, Inbox.count_tries
    is_tried: list[bool] = []

    async def count(self: Inbox, ids: Sequence[int], count: int) -> None:
        await count_tries(self, ids, count)
        is_tried[:] = [count > 0]

    async def take_what_is_held(self: InboxService, *given: Any) -> Any:
        if is_tried != [True]:
            return await take(self, *given)
        is_tried.clear()
        async with UnitOfWork(database) as other:
            assert await Inbox(other).take_waiting(10, ["youzan"], None)
            return await take(self, *given)

    monkeypatch.setattr(Inbox, "count_tries", count)
    monkeypatch.setattr(InboxService, "_take", take_what_is_held)
    inbox = InboxService(database, load_connectors(Catalog()))
    await inbox.accept("youzan", "flagship", a_refund_push("R1"))
    await inbox.suspect()
    for _ in range(6):
        drained = await inbox.drain()
        assert (drained.read, drained.quarantined) == (0, 0)
    monkeypatch.undo()
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0)


async def test_pushes_that_were_only_there_when_a_process_ended_are_read(database: Database) -> None:
    for _ in range(4):
        inbox = InboxService(database, load_connectors(Catalog()))
        await inbox.accept("youzan", "flagship", a_refund_push("R1", RECEIVED))
        await inbox.suspect()
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0)


def test_a_push_that_was_kept_unparsed_is_taken_in_once_it_can_be_read() -> None:
    """Its platform changed its format; a release, or whoever corrects it, makes it readable."""
    shop = Account("youzan", "shop", {"client_id": "app", "client_secret": "s", "kdt_id": 4242})
    reader = PushReader(load_connectors(Catalog()))
    plain = a_refund_push("202611230959300000000001")
    body = json.loads(plain.payload) | {"kdt_id": 4242}

    def read(kind: str, payload: bytes) -> list[str]:
        push = Push("youzan", "shop", "d1", kind, payload, RECEIVED, None)
        return [each.event.id for each in reader.arrivals(push, Senders({"youzan/shop": shop}, frozenset()))]

    found = read(UNPARSED_KIND, json.dumps(body).encode())
    assert found == read(plain.kind, plain.payload) != []
    with pytest.raises(ValidationProblem, match="JSON"):
        read(UNPARSED_KIND, b"<xml/>")
