"""Pushes that could not be read: found, corrected, read again, put away; nothing is lost, all is on record."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy import text

from connectors.canonical_records import handed_in
from connectors.loading import load_connectors
from connectors.webhooks import Verified
from domain.access import Role, Scope
from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.exact_json import read_exactly
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from services.audit import AuditTrail
from services.inbox import InboxService
from services.push_reading import PushReader
from services.quarantine import Corrected, QuarantineService
from storage.engine import Database
from storage.inbox import Inbox
from storage.paging import PageRequest
from storage.quarantine import QuarantineFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_inbox import RECEIVED, a_refund_push

ADMIN = an_actor("root")
TRUSTED = an_actor("zhou", Role.ADMIN, Role.SUPERVISOR)
EVERYTHING = QuarantineFilter()


@pytest.fixture
def inbox(database: Database) -> InboxService:
    return InboxService(database, load_connectors(Catalog()))


@pytest.fixture
def quarantine(database: Database) -> QuarantineService:
    return QuarantineService(database, PushReader(load_connectors(Catalog())), CATALOG.masking())


def a_bad_push(number: str, **change: Any) -> Verified:
    return a_refund_push(number, refunded_fee="much", **change)


async def numbers(quarantine: QuarantineService, wanted: QuarantineFilter = EVERYTHING) -> list[int]:
    return [each.id for each in (await quarantine.list(ADMIN, wanted, PageRequest())).items]


async def audited(database: Database, action: str) -> Mapping[str, Any]:
    """The newest entry's detail."""
    found = await AuditTrail(database).list(ADMIN, PageRequest(1), action=action)
    return found.items[0].detail


async def test_they_are_found_by_what_they_have_in_common(inbox: InboxService, quarantine: QuarantineService) -> None:
    for number in range(3):
        await inbox.accept("youzan", "shop", a_bad_push(f"R{number}"))
    await inbox.accept("youzan", "outlet", a_bad_push("R7"))
    await inbox.accept("nowhere", "shop", a_refund_push("R8"))
    assert (await inbox.drain()).quarantined == 5
    groups = await quarantine.groups(ADMIN)
    assert [(each.platform, each.account, each.count) for each in groups] == [
        ("youzan", "shop", 3),
        ("nowhere", "shop", 1),
        ("youzan", "outlet", 1),
    ]
    assert len(await numbers(quarantine, QuarantineFilter(platform="youzan"))) == 4
    assert len(await numbers(quarantine, QuarantineFilter(account="outlet"))) == 1
    assert len(await numbers(quarantine, QuarantineFilter(reason="refunded_fee"))) == 4
    assert len(await numbers(quarantine, QuarantineFilter(reason="refunded%fee"))) == 0, "a pattern is a text here"
    assert len(await numbers(quarantine, QuarantineFilter(before=RECEIVED))) == 0
    assert len(await numbers(quarantine, QuarantineFilter(since=RECEIVED, before=RECEIVED + timedelta(days=1)))) == 5


async def test_those_of_a_kind_are_read_again_after_the_cause_is_mended(
    inbox: InboxService, quarantine: QuarantineService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = load_connectors(Catalog())["youzan"]
    with monkeypatch.context() as broken:
        broken.setattr(type(connector), "to_events", lambda *_: 1 / 0)
        await inbox.accept("youzan", "shop", a_refund_push("R1"))
        await inbox.accept("youzan", "shop", a_refund_push("R2"))
        assert (await inbox.drain()).quarantined == 2
    await inbox.accept("youzan", "shop", a_bad_push("R3"))
    await inbox.drain()
    moved = await quarantine.redrive(ADMIN, QuarantineFilter(reason="ZeroDivisionError"))
    assert (moved.found, moved.more) == (2, False)
    drained = await inbox.drain()
    assert (drained.events, drained.quarantined) == (2, 0)
    assert len(await numbers(quarantine)) == 1
    assert await audited(database, "inbox.redrive") == {"reason": "ZeroDivisionError", "found": 2}


async def test_a_correction_is_tried_first_and_keeps_what_came(
    inbox: InboxService, quarantine: QuarantineService, database: Database
) -> None:
    await inbox.accept("youzan", "shop", a_bad_push("202611230959300000000001"))
    await inbox.drain()
    (number,) = await numbers(quarantine)
    shown = await quarantine.show(ADMIN, number)
    assert (shown.media, shown.masked) == ("json", True)
    message = json.loads(a_refund_push("202611230959300000000001").payload)["msg"]
    with pytest.raises(ValidationProblem, match="still cannot be read"):
        await quarantine.correct(ADMIN, number, {"msg": quote_plus('{"tid": 1}')}, "typo", whole=False)
    assert await numbers(quarantine) == [number], "a correction that does not help changes nothing"
    new = await quarantine.correct(ADMIN, number, {"msg": message}, "the shop typed a word", whole=False)
    drained = await inbox.drain()
    assert (drained.read, drained.events, drained.quarantined) == (1, 1, 0)
    detail = await audited(database, "inbox.correct")
    assert (detail["id"], detail["new"], detail["reason"]) == (number, new, "the shop typed a word")
    assert detail["before"] != detail["after"]
    async with UnitOfWork(database) as work:
        rows = (await work.session.execute(text("SELECT id, state, length(payload) > 0 FROM inbox ORDER BY id"))).all()
    assert [tuple(row) for row in rows] == [(number, "done", True), (new, "done", True)]
    with pytest.raises(NotFoundProblem):
        await quarantine.correct(ADMIN, number, {"msg": message}, "again", whole=False)
    assert not await inbox.accept("youzan", "shop", a_bad_push("202611230959300000000001")), "a repetition is none"


async def test_the_bytes_as_they_came_are_shown_in_clear_only_and_audited(
    inbox: InboxService, quarantine: QuarantineService, database: Database
) -> None:
    # Read as JSON and written again, neither the space nor the number would be the same.
    came = '{"buyer":  "王小明", "fee": 1.50}'.encode()
    await inbox.accept("youzan", "shop", Verified("trade_refund_BuyerCreated", came, "p1", RECEIVED))
    await inbox.drain()
    (number,) = await numbers(quarantine)
    with pytest.raises(ValidationProblem, match="unmask"):
        await quarantine.show(TRUSTED, number, raw=True)
    with pytest.raises(AuthorizationProblem):
        await quarantine.show(ADMIN, number, unmask_for="complaint 17", raw=True)
    shown = await quarantine.show(TRUSTED, number, unmask_for="complaint 17", raw=True)
    assert (shown.media, b64decode(shown.content), shown.masked) == ("base64", came, False)
    assert await audited(database, "inbox.unmask") == {"reason": "complaint 17"}


async def test_numbers_of_a_corrected_push_stay_as_they_were_written(
    inbox: InboxService, quarantine: QuarantineService, database: Database
) -> None:
    good = json.loads(a_refund_push("202611230959300000000001").payload)["msg"]
    came = (
        b'{"type": "trade_refund_BuyerCreated", "msg": "%%", "version": 1, '
        b'"share": 0.12345678901234567890, "big": 12345678901234567890.10, "tiny": 1.50e-7, "id": 9007199254740993}'
    )
    await inbox.accept("youzan", "shop", Verified("trade_refund_BuyerCreated", came, "p1", RECEIVED))
    await inbox.drain()
    (number,) = await numbers(quarantine)
    assert (await quarantine.show(ADMIN, number)).content["share"] == "0.12345678901234567890"
    assert (await quarantine.show(ADMIN, number)).content["tiny"] == 1.5e-7
    changes = read_exactly(json.dumps({"msg": good})[:-1] + ', "rate": 3.14159265358979323846, "big": null}')
    await quarantine.correct(ADMIN, number, changes, "cut off on the way", whole=False)
    async with UnitOfWork(database) as work:
        (waiting,) = await Inbox(work).take_waiting(10, ["youzan"])
    kept = waiting.push.payload.decode()
    for written in ('"share": 0.12345678901234567890', '"tiny": 1.50e-7', '"id": 9007199254740993'):
        assert written in kept
    assert '"rate": 3.14159265358979323846' in kept
    assert "big" not in kept


async def test_what_is_no_json_is_shown_in_clear_only_and_corrected_as_a_whole(
    inbox: InboxService, quarantine: QuarantineService, database: Database
) -> None:
    secret = "王小明 13800138000".encode()
    await inbox.accept("youzan", "shop", Verified("trade_refund_BuyerCreated", secret, "p1", RECEIVED))
    await inbox.accept("youzan", "shop", Verified("trade_refund_BuyerCreated", b"\xff\xfe", "p2", RECEIVED))
    await inbox.drain()
    first, second = await numbers(quarantine)
    assert (await quarantine.show(ADMIN, first)).content is None
    with pytest.raises(ValidationProblem, match="reason"):
        await quarantine.show(TRUSTED, first, unmask_for=" ")
    assert (await quarantine.show(TRUSTED, first, unmask_for="complaint 17")).content == "王小明 13800138000"
    assert await audited(database, "inbox.unmask") == {"reason": "complaint 17"}
    assert (await quarantine.show(TRUSTED, second, unmask_for="complaint 17")).media == "base64"
    with pytest.raises(ValidationProblem, match="JSON"):
        await quarantine.correct(ADMIN, first, {"a": 1}, "why", whole=False)
    good = a_refund_push("202611230959300000000001").payload.decode()
    await quarantine.correct(ADMIN, first, good, "cut off on the way", whole=True)
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE inbox SET state = 'quarantined' WHERE id = :id"), {"id": first})
    with pytest.raises(ConflictProblem):
        await quarantine.correct(ADMIN, first, good, "cut off on the way", whole=True)


async def test_many_are_corrected_alike_and_what_still_cannot_be_read_stays(
    inbox: InboxService, quarantine: QuarantineService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.quarantine.LARGEST_PAGE", 2)
    for number, amount in enumerate([1, 1, -1, 1, 1]):
        order = {"order_id": f"E{number}", "status": "paid", "paid_minor": amount, "version": 1}
        push = handed_in("order", order, RECEIVED)
        odd = json.dumps(json.loads(push.payload) | {"shop": "till"}).encode()
        await inbox.accept("generic", "till" if number < 4 else "other", replace(push, payload=odd))
    assert (await inbox.drain()).quarantined == 5
    of_the_till = QuarantineFilter(account="till")
    third = (await numbers(quarantine, of_the_till))[2]
    done, cursor = list[Corrected](), None
    while not done or cursor:
        done.append(
            await quarantine.correct_all(ADMIN, of_the_till, {"shop": None}, "the till's own word", cursor=cursor)
        )
        cursor = done[-1].next_cursor
    assert [(each.corrected, each.refused) for each in done] == [(2, 0), (1, 1)]
    assert "paid_minor" in (done[1].problem or "")
    drained = await inbox.drain()
    assert (drained.events, drained.quarantined) == (3, 0)
    assert await numbers(quarantine, of_the_till) == [third]
    assert len(await numbers(quarantine)) == 2, "another account's are none of these"
    assert (await audited(database, "inbox.correct"))["reason"] == "the till's own word"
    with pytest.raises(AuthorizationProblem):
        await quarantine.correct_all(an_actor("li", Role.AGENT), of_the_till, {"shop": None}, "x")


async def test_what_is_worth_nothing_is_put_away(
    inbox: InboxService, quarantine: QuarantineService, database: Database
) -> None:
    for number in range(2):
        await inbox.accept("youzan", "shop", a_bad_push(f"R{number}"))
    await inbox.drain()
    first, second = await numbers(quarantine)
    with pytest.raises(ValidationProblem):
        await quarantine.put_away(ADMIN, QuarantineFilter(ids=[first]), " ")
    assert (await quarantine.put_away(ADMIN, QuarantineFilter(ids=[first]), "a test shop")).found == 1
    assert await numbers(quarantine) == [second]
    assert await audited(database, "inbox.put-away") == {"ids": [first], "found": 1, "reason": "a test shop"}
    assert (await inbox.drain()).read == 0


async def test_only_those_may_who_may(inbox: InboxService, quarantine: QuarantineService) -> None:
    await inbox.accept("youzan", "shop", a_bad_push("R1"))
    await inbox.drain()
    (number,) = await numbers(quarantine)
    agent, auditor = an_actor("agent", Role.AGENT), an_actor("auditor", Role.AUDITOR)
    narrow = an_actor("ops", Role.OPS, scope=Scope(kind="accounts", accounts=frozenset({"youzan/shop"})))
    for actor in (agent, narrow):
        with pytest.raises(AuthorizationProblem):
            await quarantine.list(actor, EVERYTHING, PageRequest())
    for actor in (agent, auditor, narrow):
        with pytest.raises(AuthorizationProblem):
            await quarantine.redrive(actor, EVERYTHING)
        with pytest.raises(AuthorizationProblem):
            await quarantine.correct(actor, number, "{}", "why", whole=True)
    with pytest.raises(AuthorizationProblem):
        await quarantine.show(auditor, number, unmask_for="curious")
