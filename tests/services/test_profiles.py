"""A customer from all sides: what is shown, to whom, how fast, and page after page."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access import Actor, Role, Scope
from domain.canonical.keys import IdentityKey
from domain.catalog import CATALOG
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from domain.tags.views import CustomerGrade
from services.customer_facts import CustomerFactsService
from services.customer_search import CustomerSearch, Wanted
from services.identities import IdentityService, Sighting
from services.profiles import HeldTag, ProfileService, Timeline
from services.tag_book import StoredTags
from storage.encryption import Keyring
from storage.engine import Database
from storage.human_tasks import NEVER_DUE, HumanTaskRow
from storage.interactions import InteractionRow
from storage.nickname_digests import buyer_digests, name_digests
from storage.orders import OrderLineRow, OrderRow, RefundRow, ShipmentRow
from storage.paging import PageRequest
from storage.profile import Kind
from storage.reach import TouchRow
from storage.runs import RunRow
from storage.suppressions import Article, SuppressionRow, Suppressions
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
PHONE, CHAT, BUYER, CONTACT = "+8613800138000", "我的电话是13800138000", "jd-buyer-00001", "wmCONTACT000001"
SUPERVISOR = an_actor("wang", Role.SUPERVISOR)


def at(hours: int) -> datetime:
    return NOW - timedelta(hours=hours)


class Person:
    """One customer with a record of every kind, at two shops."""

    def __init__(self, customer: UUID, keys: dict[str, int]) -> None:
        self.customer = customer
        self.keys = keys


async def a_person(database: Database) -> Person:
    """The customer of a JD shop in the east and of a corp in the west, with one record of each kind and instant."""
    buyer, phone = IdentityKey("buyer", "jd", BUYER), IdentityKey("phone", "", PHONE)
    contact = IdentityKey("external_userid", "wecom/main", CONTACT)
    async with UnitOfWork(database) as work:
        assigned = await IdentityService().assign(
            work,
            [
                Sighting((buyer, phone), "jd/flagship", "orders:jd/flagship/E1", NOW),
                Sighting((contact, phone), "wecom/main", "contact:1", NOW),
            ],
        )
        customer = assigned.customers[buyer]
        keys = {"buyer": assigned.identities[buyer], "contact": assigned.identities[contact]}
        work.session.add_all(_records(customer, keys, database.keyring))
        await work.session.flush()
        order = await work.session.scalar(text("SELECT id FROM orders"))
        line = OrderLineRow(order_key=order, line_id="1", title="羊毛衫", quantity=1, price_minor=100, total_minor=100)
        work.session.add(line)
    return Person(customer, keys)


def _records(customer: UUID, keys: dict[str, int], keyring: Keyring) -> Iterable[Any]:
    jd: dict[str, Any] = {"account_id": "jd/flagship", "unit_path": "/east/", "recorded_at": NOW}
    wecom: dict[str, Any] = {"account_id": "wecom/main", "unit_path": "/west/", "customer_owner": "li"}
    wecom["recorded_at"] = NOW
    versions: dict[str, Any] = {"version": 1, "detail_version": 1}
    yield OrderRow(
        **jd, **versions, order_id="E1", identity_id=keys["buyer"], status="completed", paid_minor=19900,
        refunded_minor=900, created_at=at(9), paid_at=at(9), told_at=at(8), buyer={"nickname": "小张"},
        names=buyer_digests(keyring, "jd/flagship", {"nickname": "小张"}),
    )  # fmt: skip
    yield RefundRow(
        **jd, **versions, refund_id="R1", order_id="E1", identity_id=keys["buyer"], status="refunded",
        amount_minor=900, told_at=at(7),
    )  # fmt: skip
    yield ShipmentRow(**jd, waybill="SF1", order_id="E1", state="signed", version=1, told_at=at(6))
    for kind, hours, personal in (
        ("chat", 5, {"text": CHAT}),
        ("contact", 4, {"name": "张三丰"}),
        ("coupon", 3, None),
        ("visit", 2, None),
    ):
        yield InteractionRow(
            **wecom, kind=kind, key=kind, identity_id=keys["contact"], version=1, occurred_at=at(hours),
            personal=personal,
            names=name_digests(keyring, personal),
        )  # fmt: skip
    yield RunRow(
        **{name: value for name, value in wecom.items() if name != "recorded_at"}, id="flow/care/hello/1",
        namespace="care", name="hello", version="1.0.0", digest="d", subject="", subjects=[f"customer:{customer}"],
        listens=[], customer=str(customer), phase="completed", started_by="x", input_digest="", created_at=at(1),
        hears_from=at(1), ended_at=NOW,
    )  # fmt: skip
    yield HumanTaskRow(
        unit_path="/west/", account_id="wecom/main", customer_owner="li", id="t1", run_id="flow/care/hello/1",
        name="call", reference="/do/0", subject="", queue="care", title="请致电张三丰", form={},
        data={"contact_name": "张三丰"}, urgency=50, due_sort=NEVER_DUE, state="ready", excluded=[],
        opened_at=at(0), changed_at=at(0), changed_by="x",
    )  # fmt: skip
    yield TouchRow(
        key="k", channel="wecom", recipient=CONTACT, purpose="service", run_id="flow/care/hello/1",
        reference="/do/0", at=at(0),
    )  # fmt: skip


@pytest.fixture
def profiles(database: Database) -> ProfileService:
    return ProfileService(database, CATALOG.masking(), StoredTags())


async def test_an_order_that_is_on_its_way_counts_as_paid(database: Database, profiles: ProfileService) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE orders SET paid_at = NULL, status = 'shipped'"))
    (total,) = (await profiles.show(SUPERVISOR, person.customer)).totals
    assert (total.paid_orders, total.paid_minor) == (1, 19900)
    found = await CustomerFactsService(database).get(f"customer:{person.customer}")
    assert (found.orders, found.paid_minor, found.first_paid_at) == (1, 19900, at(9))
    assert found.last_order is not None
    assert found.last_order.paid_at == at(9)
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE orders SET status = 'unpaid'"))
    (total,) = (await profiles.show(SUPERVISOR, person.customer)).totals
    assert (total.orders, total.paid_orders, total.paid_minor) == (1, 0, 0)


async def test_everything_at_a_glance_and_masked(database: Database, profiles: ProfileService) -> None:
    person = await a_person(database)
    shown = await profiles.show(SUPERVISOR, person.customer)
    assert shown.masked
    assert {key.value for key in shown.identities} == {"jd-b****0001", "wmCO****0001", "+86138****8000"}
    (total,) = shown.totals
    assert (total.platform, total.orders, total.paid_orders, total.paid_minor) == ("jd", 1, 1, 19900)
    assert (total.refunded_minor, total.last_order_at) == (900, at(9))
    assert [line["title"] for line in shown.orders[0].data["lines"]] == ["羊毛衫"]
    assert shown.orders[0].data["buyer"]["nickname"] == "小**"
    lists = (shown.refunds, shown.parcels, shown.chats, shown.contacts, shown.coupons, shown.activities)
    assert [[each.kind for each in some] for some in lists] == [
        ["refund"], ["parcel"], ["chat"], ["contact"], ["coupon"], ["visit"],
    ]  # fmt: skip
    assert [len(some) for some in (shown.runs, shown.tasks, shown.touches)] == [1, 1, 1]
    everything = repr(shown)
    for secret in (PHONE, "13800138000", "张三丰", "小张", BUYER):
        assert secret not in everything, secret


async def test_a_message_of_which_nobody_knows_whether_it_went_out_is_shown_as_such(
    database: Database, profiles: ProfileService
) -> None:
    person = await a_person(database)
    (touch,) = (await profiles.show(SUPERVISOR, person.customer)).touches
    assert "pending" not in touch.data
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE touches SET pending = true"))
    (touch,) = (await profiles.show(SUPERVISOR, person.customer)).touches
    assert touch.data["pending"] is True


async def test_what_they_are_left_alone_about_is_shown_with_the_reason(
    database: Database, profiles: ProfileService
) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        refund = await work.session.scalar(text("SELECT id FROM refunds"))
        work.session.add(
            SuppressionRow(
                identity_id=person.keys["buyer"], account_id="jd/flagship", item_id="coat", refund_key=refund,
                reason="refund", made_at=at(7),
            )
        )  # fmt: skip
        await Suppressions(work).silence(person.keys.values(), None, f"来电 {PHONE} 要求", "li", None)
        await Suppressions(work).silence(person.keys.values(), Article("jd/flagship", "scarf"), "x", "li", at(-1))
        await work.session.execute(text("UPDATE suppressions SET until = made_at WHERE item_id = 'scarf'"))
    everything, refunded = (await profiles.show(SUPERVISOR, person.customer)).suppressions
    assert (everything.reason, everything.item_id, everything.made_by) == ("manual", None, "li")
    assert PHONE not in (everything.note or "")
    assert "要求" in (everything.note or "")
    assert (refunded.reason, refunded.platform, refunded.account, refunded.item_id) == (
        "refund", "jd", "flagship", "coat",
    )  # fmt: skip
    clear = await profiles.show(SUPERVISOR, person.customer, unmask_for="投诉回访")
    assert PHONE in (clear.suppressions[0].note or "")
    in_the_west = an_actor("west", Role.SUPERVISOR, scope=Scope.of_branch("/west/"))
    (seen,) = (await profiles.show(in_the_west, person.customer)).suppressions
    assert seen.reason == "manual", "a refund out of scope is not told of"


async def test_clear_text_needs_a_right_and_a_reason_and_is_audited(
    database: Database, profiles: ProfileService
) -> None:
    person = await a_person(database)
    with pytest.raises(AuthorizationProblem):
        await profiles.show(an_actor("li", Role.AGENT), person.customer, unmask_for="好奇")
    with pytest.raises(ValidationProblem):
        await profiles.show(SUPERVISOR, person.customer, unmask_for=" ")
    shown = await profiles.show(SUPERVISOR, person.customer, unmask_for="投诉回访")
    assert not shown.masked
    assert {PHONE, BUYER, CONTACT} == {key.value for key in shown.identities}
    assert shown.chats[0].data["text"] == CHAT
    page = await profiles.timeline(SUPERVISOR, person.customer, PageRequest(), unmask_for="投诉回访")
    assert CHAT in repr(page)
    async with UnitOfWork(database) as work:
        found = await work.session.execute(text("SELECT action, target FROM audit_entries"))
        assert [tuple(row) for row in found] == [("customer.unmask", f"customer:{person.customer}")] * 2


async def _through(profiles: ProfileService, actor: Actor, customer: UUID, size: int) -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = []
    cursor: str | None = None
    while True:
        page: Timeline = await profiles.timeline(actor, customer, PageRequest(size, cursor))
        entries += [(each.kind, each.key) for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return entries


async def test_the_timeline_pages_through_everything_once(database: Database, profiles: ProfileService) -> None:
    person = await a_person(database)
    kinds = ["task", "touch", "run", "visit", "coupon", "contact", "chat", "parcel", "refund", "order"]
    for size in (1, 2, 3, 50):
        assert [kind for kind, _ in await _through(profiles, SUPERVISOR, person.customer, size)] == kinds
    with pytest.raises(ValidationProblem):
        await profiles.timeline(SUPERVISOR, person.customer, PageRequest(5, "bm9uc2Vuc2U"))


async def test_ties_are_neither_lost_nor_repeated(database: Database, profiles: ProfileService) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        for number in range(25):
            row = InteractionRow(
                kind="chat", key=f"tie-{number}", identity_id=person.keys["contact"], version=1, occurred_at=at(7),
                recorded_at=NOW,
            )  # fmt: skip
            row.account_id = "wecom/main"
            work.session.add(row)
    whole = await _through(profiles, SUPERVISOR, person.customer, 200)
    assert len(whole) == len(set(whole)) == 35
    for size in (1, 4, 7):
        assert await _through(profiles, SUPERVISOR, person.customer, size) == whole


SCOPES = {
    "everything": (Scope.everything(), {"order", "refund", "parcel", "chat", "run", "task", "touch"}),
    "the shop": (Scope.of_accounts("jd/flagship"), {"order", "refund", "parcel"}),
    "the corp": (Scope.of_accounts("wecom/main"), {"chat", "run", "task", "touch"}),
    "the east": (Scope.of_branch("/east/"), {"order", "refund", "parcel"}),
    "the west": (Scope.of_branch("/west/"), {"chat", "run", "task", "touch"}),
    "their own": (Scope.of_own_customers("li"), {"chat", "run", "task", "touch"}),
}


@pytest.mark.parametrize("name", SCOPES)
async def test_only_records_within_the_scope_are_shown(database: Database, profiles: ProfileService, name: str) -> None:
    scope, wanted = SCOPES[name]
    person = await a_person(database)
    reader = an_actor("reader", Role.SUPERVISOR, scope=scope)
    found = {kind for kind, _ in await _through(profiles, reader, person.customer, 50)}
    assert found - {"contact", "coupon", "visit"} == wanted
    shown = await profiles.show(reader, person.customer)
    assert bool(shown.totals) == ("order" in wanted)
    assert bool(shown.chats) == ("chat" in wanted)
    kinds = {key.kind for key in shown.identities}
    assert "phone" in kinds
    assert ("buyer" in kinds, "external_userid" in kinds) == ("order" in wanted, "chat" in wanted)


ELSEWHERE = [Scope.of_accounts("jd/other"), Scope.of_branch("/north/"), Scope.of_own_customers("zhao")]


@pytest.mark.parametrize("scope", ELSEWHERE)
async def test_nobody_is_there_without_a_record_in_the_scope(
    database: Database, profiles: ProfileService, scope: Scope
) -> None:
    person = await a_person(database)
    reader = an_actor("reader", Role.SUPERVISOR, scope=scope)
    for question in (profiles.show(reader, person.customer), profiles.timeline(reader, person.customer, PageRequest())):
        with pytest.raises(NotFoundProblem):
            await question


async def test_who_only_works_on_tasks_sees_their_own_and_their_queues(
    database: Database, profiles: ProfileService
) -> None:
    person = await a_person(database)
    for queues, count in (({"care"}, 1), ({"warehouse"}, 0), ({"*"}, 1)):
        agent = an_actor("zhao", Role.AGENT, queues=frozenset(queues))
        assert len((await profiles.show(agent, person.customer)).tasks) == count, queues


_FILL = """
INSERT INTO customers (created_at, changed_at) SELECT now(), now() FROM generate_series(1, 20000);
INSERT INTO identities (kind, scope, digest, value, customer_id, first_seen_at)
    SELECT 'buyer', 'jd', decode(md5(id::text), 'hex'), '\\x00', id, now() FROM customers;
INSERT INTO identity_links (low, tier, high, account_id, record, seen_at)
    SELECT id, 3, id + 1, 'jd/flagship', 'order:x', now() FROM identities WHERE id < (SELECT max(id) FROM identities);
INSERT INTO orders (order_id, account_id, identity_id, version, detail_version, status, currency, refunded_minor,
    paid_at, told_at, recorded_at, names, coupon_ids)
    SELECT 'F' || i || '-' || n, 'jd/flagship', i, 1, 1, 'paid', 'CNY', 0, now(), now() - n * interval '1 day', now(),
        ARRAY[decode(md5(i::text), 'hex')], '{}' FROM (SELECT id AS i FROM identities) x, generate_series(1, 4) n;
INSERT INTO shipments (account_id, waybill, order_id, state, version, told_at, recorded_at)
    SELECT account_id, 'W' || id, order_id, 'signed', 1, told_at, now() FROM orders;
INSERT INTO refunds (account_id, refund_id, order_id, identity_id, version, detail_version, status, currency, line_ids,
    told_at, recorded_at)
    SELECT account_id, 'R' || id, order_id, identity_id, 1, 1, 'refunded', 'CNY', '{}', told_at, now() FROM orders;
INSERT INTO interactions (account_id, kind, key, identity_id, version, occurred_at, recorded_at, details)
    SELECT 'wecom/main', 'chat', 'c' || id, identity_id, 1, told_at, now(), '{}' FROM orders;
INSERT INTO touches (key, channel, recipient, purpose, run_id, reference, at)
    SELECT 't' || id, 'wecom', 'r' || identity_id, 'service', 'flow/x/' || id, '', told_at FROM orders;
INSERT INTO runs (id, namespace, name, version, digest, subject, subjects, listens, customer, phase, attempt,
    started_by, input_digest, dropped_tasks, created_at, hears_from, start_attempts)
    SELECT 'flow/x/' || o.id, 'x', 'x', '1', 'd', '', '{}', '{}', i.customer_id::text, 'completed', 1, 'x', '', 0,
        told_at, told_at, 0 FROM orders o JOIN identities i ON i.id = o.identity_id;
INSERT INTO human_tasks (id, run_id, name, reference, subject, queue, title, form, data, urgency, due_sort, state,
    excluded, version, opened_at, changed_at, changed_by)
    SELECT 't' || id, id, 'x', '', '', 'q', '\\x00', '{}', '\\x00', 50, now(), 'ready', '{}', 1, created_at, now(), 'x'
    FROM runs
"""


SOME_KINDS: tuple[Kind, ...] = ("refund", "parcel", "run", "touch")
SMALL = {"identity_digest_keys", "order_lines"}
"""Tables with hardly a row here."""


async def _read_through(work: UnitOfWork) -> set[tuple[str, int]]:
    """The tables that this connection has lately read from one end to the other, and how often."""
    statement = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0"
    return {(name, count) for name, count in await work.session.execute(text(statement))}


async def _found(database: Database, actor: Actor, **wanted: str) -> list[UUID]:
    page = await CustomerSearch(database, _OneTag()).find(actor, Wanted(**wanted), PageRequest())
    return [each.customer for each in page.items]


class _OneTag:
    """Everybody holds `vip`."""

    async def held(self, work: UnitOfWork, customer: UUID) -> list[HeldTag]:
        return [HeldTag("vip", NOW, ["3 orders"])]

    async def grades(self, work: UnitOfWork, customer: UUID) -> list[CustomerGrade]:
        return []

    async def holders(self, work: UnitOfWork, tag: str, after: UUID | None, limit: int) -> list[UUID]:
        found = await work.session.scalars(text("SELECT id FROM customers ORDER BY id"))
        return [each for each in found if tag == "vip" and (after is None or each > after)][:limit]


QUESTIONS = [
    ({"phone": "138 0013 8000"}, "everything"),
    ({"phone": PHONE}, "the shop"),
    ({"order": "E1"}, "the shop"),
    ({"order": "E1"}, "the east"),
    ({"nickname": " 张三丰"}, "the corp"),
    ({"nickname": "张三丰"}, "their own"),
    ({"nickname": "小 张"}, "the shop"),
    ({"nickname": "小张"}, "the east"),
    ({"key": f"buyer/jd/{BUYER}"}, "everything"),
    ({"key": f"external_userid/wecom/main/{CONTACT}"}, "the west"),
    ({"tag": "vip"}, "everything"),
    ({"tag": "vip"}, "the corp"),
]
