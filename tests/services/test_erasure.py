"""Export and erasure: a person's data is planted everywhere, and afterwards it is nowhere."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import LargeBinary, select, text, type_coerce
from sqlalchemy.exc import IntegrityError
from temporalio.client import Client

from domain.access import Role, Scope
from domain.canonical.keys import IdentityKey
from domain.catalog import CATALOG
from domain.catalog.messages import SendArguments, SendOutput
from domain.events import Event
from domain.journeys.reach import ReachPolicy
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from services.audit import AuditTrail
from services.customer_search import CustomerSearch, Wanted
from services.customer_tags import CustomerTagService
from services.customers import CustomerService
from services.erasure import ErasureService, ErasureWorker
from services.export import ExportService
from services.identities import IdentityService, Sighting
from services.intake import Arrival, Intake
from services.profiles import ProfileService
from services.reach import Cause, ReachService
from services.suppressions import SuppressionService
from services.tag_book import StoredTags
from storage.awaited_orders import AwaitedOrderRow
from storage.effects import EffectRow
from storage.encryption import encrypted_type
from storage.engine import Database
from storage.erasing import Erasing
from storage.events import Events
from storage.human_tasks import NEVER_DUE, HumanTaskRow
from storage.idempotency import IdempotencyKeyRow
from storage.inbox import InboxRow
from storage.orders import OrderRow
from storage.paging import PageRequest
from storage.runs import RunRow
from storage.suppressions import Suppressions
from storage.tables import load_tables
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.house import House
from tests.services.test_profiles import BUYER, CHAT, CONTACT, NOW, PHONE, a_person

ADMIN = an_actor("root")
SECRETS = (PHONE, "13800138000", BUYER, CONTACT, "张三丰", "小张", CHAT)
OTHER_PHONE = "+8613900139000"


def plant(customer: UUID) -> Iterator[Any]:
    """The person in everything that only mentions them, and others beside them."""
    about = {"phone": "13800138000", "name": "张三丰"}
    yield InboxRow(
        platform="jd", account="flagship", dedupe_key=f"buyer/{BUYER}/1", kind="x", received_at=NOW, changed_at=NOW,
        state="done", payload=json.dumps({"pin": BUYER, "fullname": "张三丰"}).encode(),
    )  # fmt: skip
    yield InboxRow(
        platform="jd", account="flagship", dedupe_key="p2", kind="x", received_at=NOW, changed_at=NOW,
        state="quarantined", reason=f"no such field in {BUYER}", payload=b"buyer=%2B8613800138000&name=%E5%BC%A0",
    )  # fmt: skip
    yield InboxRow(
        platform="jd", account="flagship", dedupe_key="p3", kind="x", received_at=NOW, changed_at=NOW, state="done",
        payload=b'{"pin": "somebody-else"}',
    )  # fmt: skip
    yield a_step("E1")
    yield IdempotencyKeyRow(
        login="ops", key="k1", request_digest="d", leased_until=NOW, status=200, body=about, expires_at=NOW
    )
    for key, run, money in (("e1", "flow/care/hello/1", False), ("e2", "flow/care/hello/1", True), ("e3", "", True)):
        yield EffectRow(
            key=key, call="x", request_digest="d", run_id=run, state="finished", answer=about, started_at=NOW,
            changed_at=NOW, moves_money=money,
        )  # fmt: skip
    report = {"sent": [about, {"phone": OTHER_PHONE, "name": "李四"}]}
    yield RunRow(
        id="flow/brief/morning/1", namespace="brief", name="morning", version="1", digest="d", subject="", subjects=[],
        listens=[], phase="completed", started_by="x", input_digest="", output=report, created_at=NOW, hears_from=NOW,
        ended_at=NOW,
    )  # fmt: skip
    yield HumanTaskRow(
        id="t2", run_id="flow/brief/morning/1", name="read", reference="/do/0", subject="", queue="care",
        title="早报", form={}, data=report, urgency=50, due_sort=NEVER_DUE, state="ready", excluded=[],
        opened_at=NOW, changed_at=NOW, changed_by="x",
    )  # fmt: skip
    yield RunRow(
        id="flow/child/call/1", namespace="child", name="call", version="1", digest="d", subject="", subjects=[],
        listens=[], phase="completed", started_by="x", input_digest="", input={"task": "回访"},
        parent_id="flow/care/hello/1", output={"said": "张三丰 satisfied"}, created_at=NOW, hears_from=NOW,
        ended_at=NOW,
    )  # fmt: skip
    yield RunRow(
        id="flow/child/note/1", namespace="child", name="note", version="1", digest="d", subject="", subjects=[],
        listens=[], phase="completed", started_by="x", input_digest="", input={"note": "张三丰 again"},
        parent_id="flow/child/call/1", created_at=NOW, hears_from=NOW, ended_at=NOW,
    )  # fmt: skip


def a_step(order_id: str = "E1") -> AwaitedOrderRow:
    """A step of an order that a short push told, with what platforms say beside it."""
    event = an_order(order_id, told_in_part=True)
    return AwaitedOrderRow(
        account_id="jd/flagship", event_id=event.id, platform="jd", order_id=order_id, stage=3, event=event.envelope(),
        received_at=NOW, waits_since=NOW, ask_at=NOW, tell_at=NOW,
    )  # fmt: skip


def an_order(order_id: str = "E1", **more: Any) -> Event:
    data = {
        "platform": "jd", "account": "flagship", "version": 9, "order_id": order_id, "status": "completed",
        "paid_minor": 19900, "buyer": {"buyer_id": BUYER, "phone": PHONE, "nickname": "小张"},
        "delivery": {"city": "杭州", "name_ciphertext": "张三丰"}, **more,
    }  # fmt: skip
    keys = (f"key:buyer/jd/{BUYER}",)
    source = "/jd/flagship"
    return Event(
        id=f"late-{order_id}", source=source, type="tandem.order.completed", time=NOW, subject=f"order:{order_id}",
        tandemkeys=keys, data=data,
    )  # fmt: skip


async def everything(database: Database) -> str:
    """Every column of every table, decrypted, as one text."""
    told: list[str] = []
    keyring = database.keyring
    async with UnitOfWork(database) as work:
        for table in load_tables().sorted_tables:
            columns = [type_coerce(each, LargeBinary) if encrypted_type(each.type) else each for each in table.columns]
            for row in await work.session.execute(select(*columns)):
                for column, value in zip(table.columns, row, strict=True):
                    if value is not None and encrypted_type(column.type):
                        value = keyring.decrypt(bytes(value), f"{table.name}.{column.name}").decode()
                    told.append(f"{table.name}.{column.name}={value}")
    return "\n".join(told)


@pytest.fixture
async def house(database: Database, temporal: Client) -> Any:
    built = House(database, temporal)
    yield built
    await built.close()


async def worked_off(house: House, clock: SteppedClock) -> None:
    worker = ErasureWorker(house.database, house.orchestrator)
    for _ in range(200):
        if not await worker.work(batch=2):
            clock.advance(seconds=30)
    assert not await worker.work()


async def test_a_person_is_nowhere_afterwards(house: House, database: Database, clock: SteppedClock) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        work.session.add_all(list(plant(person.customer)))
        await Events(work).add([an_order("E1"), an_order("E2")])
        await Suppressions(work).silence(person.keys.values(), None, f"张三丰 {PHONE}：别再打扰", "li", None)
    before = await everything(database)
    assert all(secret in before for secret in SECRETS)
    service = ErasureService(database)
    asked = await service.erase(ADMIN, person.customer, "本人要求")
    assert (asked.state, asked.step) == ("working", "awaited_orders")
    assert (await service.erase(ADMIN, person.customer, "本人要求")).requested_at == asked.requested_at
    await worked_off(house, clock)
    shown = await service.show(ADMIN, person.customer)
    assert shown.state == "done", shown
    after = await everything(database)
    for secret in SECRETS:
        assert secret not in after, [line for line in after.splitlines() if secret in line]
    for kept in ("somebody-else", OTHER_PHONE, "李四", "早报", "orders.order_id=E1", "orders.paid_minor=19900"):
        assert kept in after, kept
    async with UnitOfWork(database) as work:
        effects = (await work.session.execute(text("SELECT key, answer FROM effects ORDER BY key"))).all()
        order = (await work.session.scalars(select(OrderRow))).one()
        audited = await work.session.execute(text("SELECT action, target FROM audit_entries ORDER BY at, id"))
        silenced = await work.session.scalar(text("SELECT count(*) FROM suppressions"))
    assert [tuple(each) for each in effects] == [("e2", None), ("e3", None)]
    assert silenced == 0
    assert (order.identity_id, order.buyer, order.names, order.receiver, order.refunded_minor) == (*(None,) * 4, 900)
    target = f"customer:{person.customer}"
    assert [tuple(each) for each in audited] == [("customer.erase", target), ("customer.erased", target)]
    for question in (
        ProfileService(database, CATALOG.masking(), StoredTags()).show(ADMIN, person.customer),
        ExportService(database, house.orchestrator).export(ADMIN, person.customer, "x"),
    ):
        with pytest.raises(NotFoundProblem):
            await question


_SPOIL = "UPDATE {} SET {column} = set_byte({column}, 30, 255 - get_byte({column}, 30)) WHERE {}"


async def spoil(database: Database, table: str, column: str, condition: str) -> None:
    """Damage the ciphertext of a column."""
    async with UnitOfWork(database) as work:
        await work.session.execute(text(_SPOIL.format(table, condition, column=column)))


async def test_rows_that_nobody_can_decrypt_hold_nothing_up_and_are_told_of(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        work.session.add_all(list(plant(person.customer)))
        await Events(work).add([an_order("E1")])
    # The first names the person by its reason, and a task and a run by another column; of the others nobody can tell.
    await spoil(database, "inbox", "payload", "dedupe_key IN ('p2', 'p3')")
    await spoil(database, "human_tasks", "title", "id = 't2'")
    await spoil(database, "idempotency_keys", "body", "key = 'k1'")
    await spoil(database, "effects", "answer", "key = 'e3'")
    service, exports = ErasureService(database), ExportService(database, house.orchestrator)
    lines = [json.loads(each) async for each in (await exports.export(ADMIN, person.customer, "x")).lines]
    assert lines[-1]["end"]["unreadable"] == {"effects": 1, "human_tasks": 1, "idempotency_keys": 1, "inbox": 2}
    await service.erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    shown = await service.show(ADMIN, person.customer)
    assert (shown.state, shown.unreadable) == ("incomplete", {"effects": 1, "idempotency_keys": 1, "inbox": 1})
    for table in ("inbox WHERE dedupe_key = 'p3'", "idempotency_keys", "effects WHERE key = 'e3'"):
        async with UnitOfWork(database) as work:
            await work.session.execute(text(f"DELETE FROM {table}"))
    after = await everything(database)
    assert not [secret for secret in SECRETS if secret in after]
    (entry,) = (await AuditTrail(database).list(ADMIN, PageRequest(1), action="customer.erased")).items
    assert entry.detail["unreadable"] == shown.unreadable


async def test_nobody_finds_or_decides_about_a_person_from_the_moment_it_is_asked_for(
    house: House, database: Database
) -> None:
    person = await a_person(database)
    search, customers = CustomerSearch(database, StoredTags()), CustomerService(database)
    wanted = Wanted(phone=PHONE)
    assert [each.customer for each in (await search.find(ADMIN, wanted, PageRequest())).items] == [person.customer]
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    assert (await search.find(ADMIN, wanted, PageRequest())).items == []
    for question in (
        customers.explain(ADMIN, person.customer),
        customers.split(ADMIN, person.customer, [1], "x"),
        CustomerTagService(database).of_customer(ADMIN, person.customer),
        SuppressionService(database).silence(ADMIN, person.customer, "x"),
    ):
        with pytest.raises(NotFoundProblem, match="erased on request"):
            await question


async def test_a_crash_goes_on_where_it_stood(
    house: House, database: Database, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        work.session.add_all(list(plant(person.customer)))
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    empty = Erasing.empty_records

    async def die(self: Erasing, identities: Sequence[int], size: int) -> Mapping[str, int]:
        assert any((await empty(self, identities, size)).values())
        raise RuntimeError("crash")

    monkeypatch.setattr(Erasing, "empty_records", die)
    worker = ErasureWorker(database, house.orchestrator)
    with pytest.raises(RuntimeError, match="crash"):
        await worked_off(house, clock)
    assert "orders.order_id=E1" in await everything(database)
    monkeypatch.undo()
    assert not await worker.work()
    await worked_off(house, clock)
    assert (await ErasureService(database).show(ADMIN, person.customer)).state == "done"
    assert not [secret for secret in SECRETS if secret in await everything(database)]


async def test_what_the_database_refuses_is_told_and_holds_up_no_other(
    house: House, database: Database, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await a_person(database)
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    empty, theirs = Erasing.empty_records, set(person.keys.values())

    async def refused(self: Erasing, identities: Sequence[int], size: int) -> Mapping[str, int]:
        if theirs.intersection(identities):
            raise IntegrityError("DELETE", {}, UniqueViolation())
        return await empty(self, identities, size)

    async with UnitOfWork(database) as work:
        other = IdentityKey("buyer", "jd", "another")
        assigned = await IdentityService().assign(
            work, [Sighting((other,), "jd/flagship", "orders:jd/flagship/E7", NOW)]
        )
    await ErasureService(database).erase(ADMIN, assigned.customers[other], "本人要求")
    with monkeypatch.context() as patched:
        patched.setattr(Erasing, "empty_records", refused)
        worker = ErasureWorker(house.database, house.orchestrator)
        for _ in range(60):
            if not await worker.work(batch=2):
                clock.advance(seconds=30)
    shown = await ErasureService(database).show(ADMIN, person.customer)
    assert (shown.state, shown.problem) == ("working", "UniqueViolation: records")
    assert (await ErasureService(database).show(ADMIN, assigned.customers[other])).state == "done"
    await worked_off(house, clock)
    done = await ErasureService(database).show(ADMIN, person.customer)
    assert (done.state, done.problem) == ("done", None)


async def test_what_comes_later_is_nobodys(house: House, database: Database, clock: SteppedClock) -> None:
    person = await a_person(database)
    service = ErasureService(database)
    await service.erase(ADMIN, person.customer, "本人要求")
    intake = Intake(IdentityService())

    async def told() -> None:
        events = [an_order("E1"), an_order("E9"), an_order("E1", buyer={}, version=12)]
        async with UnitOfWork(database) as work:
            await intake.take_in(work, [Arrival.of(event, NOW) for event in events])

    await told()
    await worked_off(house, clock)
    await told()
    after = await everything(database)
    for secret in SECRETS:
        assert secret not in after, [line for line in after.splitlines() if secret in line]
    assert "orders.order_id=E9" in after
    assert "events.seq" not in after
    page = await CustomerSearch(database, StoredTags()).find(ADMIN, Wanted(phone=PHONE), PageRequest())
    assert page.items == []


WAITS = """
- wait-long:
    wait: PT1H
"""


TELLS = """
- tell:
    set: "${ .input }"
"""


async def test_it_is_for_who_sees_everything_and_says_why(house: House, database: Database) -> None:
    person = await a_person(database)
    service, exports = ErasureService(database), ExportService(database, house.orchestrator)
    for actor in (an_actor("li", Role.SUPERVISOR), an_actor("li", scope=Scope.of_accounts("jd/flagship"))):
        with pytest.raises(AuthorizationProblem):
            await service.erase(actor, person.customer, "x")
        with pytest.raises(AuthorizationProblem):
            await exports.export(actor, person.customer, "x")
    for wrong in (service.erase(ADMIN, person.customer, " "), exports.export(ADMIN, person.customer, "")):
        with pytest.raises(ValidationProblem):
            await wrong
    with pytest.raises(NotFoundProblem):
        await service.show(ADMIN, person.customer)


async def test_nothing_is_sent_to_them_and_nothing_noted(house: House, database: Database, clock: SteppedClock) -> None:
    person = await a_person(database)
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))
    letter = SendArguments(channel="wecom", to=CONTACT, template="hello", purpose="service")
    cause = Cause("flow/brief/morning/2", "flow/brief/morning/2", "/do/0", "wecom/main")
    assert await reach.refusal(letter, cause) is None
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    assert await reach.refusal(letter, cause) == "contact_gone"
    await worked_off(house, clock)
    assert await reach.refusal(letter, cause) == "contact_gone", "also when nobody knows their keys any more"
    await reach.record(letter, SendOutput(sent=False, skipped_reason="contact_gone"), cause)
    assert CONTACT not in await everything(database)
