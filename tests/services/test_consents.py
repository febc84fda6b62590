"""Who agreed to marketing, in which channel, how and when; and that nobody is written to who took it back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.client import Client

from domain.access import Role, Scope
from domain.canonical import Buyer, ConsentData, ContactData
from domain.canonical.announcing import announce
from domain.canonical.consents import ConsentState, Purpose
from domain.catalog import CATALOG
from domain.catalog.messages import About, SendArguments
from domain.customers.consents import Statement, consent_to, in_force, newest_first
from domain.events import Event
from domain.journeys.reach import ReachPolicy
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from services.consents import ConsentService
from services.customers import CustomerService
from services.export import ExportService
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.orchestrator import Orchestrator
from services.profiles import ProfileService
from services.reach import Cause, ReachService
from services.tag_book import StoredTags
from storage.audit import AuditEntryRow
from storage.consents import ConsentRow
from storage.engine import Database
from storage.events import EventRow
from storage.identities import Identities
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ADMIN, SUPERVISOR = an_actor("root"), an_actor("zhou", Role.SUPERVISOR)
CAUSE = Cause("k1", "run-1", "/do/0/tell", "wecom/corp")
STRICT = ReachPolicy(quiet_hours=None, caps=(), marketing_consent="required")
LENIENT = ReachPolicy(quiet_hours=None, caps=())
BUYER = Buyer(unionid="U1")
CONTACT = ContactData(platform="wecom", account="corp", version=1, external_userid="wm1", userid="lin", unionid="U1")


async def take_in(database: Database, *arrivals: Arrival) -> None:
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, arrivals)


def said(state: ConsentState, *, days_ago: float = 0, buyer: Buyer = BUYER, **more: Any) -> Arrival:
    at = NOW - timedelta(days=days_ago)
    data = ConsentData(
        platform="generic",
        account="crm",
        version=int(at.timestamp() * 1000),
        occurred_at=at,
        buyer=buyer,
        state=state,
        source="会员登记表",
        **more,
    )
    return Arrival.of(announce(data, NOW), NOW)


@pytest.fixture
async def customer(database: Database) -> UUID:
    """A contact in WeCom whose unionid is known."""
    event = Event(
        id="c1",
        source="/wecom/corp",
        type="tandem.contact.added",
        subject="customer:wecom/wm1",
        time=NOW,
        data=CONTACT.model_dump(mode="json"),
    )
    await take_in(database, Arrival.of(event, NOW))
    async with UnitOfWork(database) as work:
        return UUID(str(await work.session.scalar(text("SELECT id FROM customers"))))


async def refusals(database: Database, **more: Any) -> dict[str, tuple[str | None, str | None]]:
    """Why marketing must not go out now where consent is demanded and where it is not; and a service message."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for purpose in PURPOSES:
        request = SendArguments(account="corp", to="wm1", text="新品", purpose=purpose, about=About(**more))
        strict = await ReachService(database, STRICT).refusal(request, CAUSE)
        found[purpose] = (strict, await ReachService(database, LENIENT).refusal(request, CAUSE))
    return found


PURPOSES: tuple[Purpose, ...] = ("marketing", "service")
ALL_MAY = {"marketing": (None, None), "service": (None, None)}
NOBODY_SAID = {"marketing": ("no_consent", None), "service": (None, None)}
NO_MARKETING = {"marketing": ("no_consent", "no_consent"), "service": (None, None)}


async def test_marketing_needs_consent_where_the_merchant_says_so_and_never_goes_against_a_withdrawal(
    database: Database, customer: UUID
) -> None:
    assert await refusals(database) == NOBODY_SAID
    service = ConsentService(database)
    given = await service.record(SUPERVISOR, customer, "given", " 门店登记表 ", at=NOW - 2 * DAY)
    assert [(each.state, each.source, each.made_by, each.in_force) for each in given] == [
        ("given", "门店登记表", "zhou", True)
    ]
    assert await refusals(database) == ALL_MAY
    await service.record(SUPERVISOR, customer, "withdrawn", "来电", channel="wecom", at=NOW - DAY)
    assert await refusals(database) == NO_MARKETING
    # What was said before, however late it is written down, changes nothing.
    await service.record(SUPERVISOR, customer, "given", "旧表", at=NOW - 3 * DAY)
    assert await refusals(database) == NO_MARKETING
    await service.record(SUPERVISOR, customer, "given", "小程序授权")
    assert await refusals(database) == ALL_MAY
    await service.record(SUPERVISOR, customer, "withdrawn", "投诉", purpose="service")
    assert await refusals(database) == {"marketing": (None, None), "service": ("no_consent", "no_consent")}


async def test_what_an_account_tells_counts_and_telling_it_again_changes_nothing(
    database: Database, customer: UUID
) -> None:
    for _ in range(2):
        await take_in(database, said("given", days_ago=400), said("given", days_ago=400))
    assert await refusals(database) == ALL_MAY
    await take_in(database, said("withdrawn", days_ago=3, channel="wecom"), said("given", days_ago=9))
    assert await refusals(database) == NO_MARKETING
    shown = await ConsentService(database).of_customer(SUPERVISOR, customer)
    assert [(each.state, each.channel, each.account_id, each.in_force) for each in shown] == [
        ("withdrawn", "wecom", "generic/crm", True),
        ("given", None, "generic/crm", True),
        ("given", None, "generic/crm", False),
    ]


async def test_a_withdrawal_ends_what_waits_unless_it_is_long_over(database: Database, customer: UUID) -> None:
    await take_in(database, said("withdrawn", days_ago=3))
    assert await suppressed(database) == []
    await take_in(database, said("given", days_ago=1.5), said("withdrawn", days_ago=1.8))
    assert await suppressed(database) == [], "what they said since holds"
    await take_in(database, said("withdrawn", days_ago=1))
    await ConsentService(database).record(SUPERVISOR, customer, "withdrawn", "来电")
    told = await suppressed(database)
    assert [(each["customer"], each["reason"], each["item_id"]) for each in told] == [
        (str(customer), "consent_withdrawn", None)
    ] * 2


async def suppressed(database: Database) -> list[dict[str, Any]]:
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(select(EventRow).order_by(col(EventRow.seq)))
        return [row.envelope["data"] for row in rows if row.type == "tandem.customer.suppressed"]


async def test_consent_follows_its_person_through_a_merge_and_a_split(database: Database, customer: UUID) -> None:
    await take_in(database, said("withdrawn", buyer=Buyer(phone="+8613800138000"), days_ago=3))
    assert await refusals(database) == NOBODY_SAID, "nobody knows yet that the number is theirs"
    async with UnitOfWork(database) as work:
        (other,) = [
            UUID(str(row.id))
            for row in await work.session.execute(text("SELECT id FROM customers WHERE id <> :own"), {"own": customer})
        ]
    # Of the one who is named and the one who is written to, each must agree.
    assert await refusals(database, customer=str(other)) == NO_MARKETING
    decided = await CustomerService(database).merge(ADMIN, customer, [other], "电话核实")
    assert await refusals(database) == NO_MARKETING
    await CustomerService(database).undo(ADMIN, decided.decision)
    assert await refusals(database) == NOBODY_SAID


async def test_profile_and_copy_show_it_the_audit_log_keeps_it_and_it_goes_with_its_person(
    database: Database, customer: UUID, temporal: Client
) -> None:
    await ConsentService(database).record(SUPERVISOR, customer, "given", "短信回复 13800138000")
    profiles = ProfileService(database, CATALOG.masking(), StoredTags())
    (shown,) = (await profiles.show(SUPERVISOR, customer)).consents
    assert (shown.state, shown.source) == ("given", "短信回复 138****8000")
    copy = await ExportService(database, Orchestrator(temporal)).export(ADMIN, customer, "本人要求")
    lines = [json.loads(line) async for line in copy.lines]
    told = [each["data"] for each in lines if each.get("table") == "consents"]
    assert {(each["state"], each["source"], each["made_by"]) for each in told} == {
        ("given", "短信回复 13800138000", "zhou")
    }
    async with UnitOfWork(database) as work:
        entries = list(await work.session.scalars(select(AuditEntryRow)))
        keys = [row.id for row in await Identities(work).of_customers([customer])]
        rows = list(await work.session.scalars(select(ConsentRow)))
        assert "customer.consent" in {entry.action for entry in entries}
        assert {row.identity_id for row in rows} == set(keys), "whoever takes a key takes what was said under it"
        await work.session.execute(text("DELETE FROM interactions"))
        await work.session.execute(text("DELETE FROM identities"))
    async with UnitOfWork(database) as work:
        assert list(await work.session.scalars(select(ConsentRow))) == []


async def test_what_cannot_be_is_refused(database: Database, customer: UUID) -> None:
    service = ConsentService(database)
    for source, at in (("  ", None), ("x" * 201, None), ("表", NOW + 2 * DAY)):
        with pytest.raises(ValidationProblem):
            await service.record(SUPERVISOR, customer, "given", source, at=at)
    with pytest.raises(AuthorizationProblem):
        await service.record(an_actor("auditor", Role.AUDITOR), customer, "given", "表")
    with pytest.raises(NotFoundProblem):
        await service.record(SUPERVISOR, UUID(int=1), "given", "表")
    assert await service.of_customer(SUPERVISOR, customer) == []


def test_of_several_statements_the_newest_that_speaks_of_it_holds() -> None:
    def statement(state: ConsentState, days: int, channel: Any = None) -> Statement:
        return Statement(state, "marketing", channel, "表", NOW - days * DAY, NOW)

    all_given, none_wecom = statement("given", 2), statement("withdrawn", 1, "wecom")
    assert consent_to([all_given, none_wecom], "marketing", "wecom") == "withdrawn"
    assert consent_to([all_given, none_wecom], "service", "wecom") is None
    same_time = [statement("given", 1, "wecom"), none_wecom]
    for order in (same_time, same_time[::-1]):
        assert consent_to(order, "marketing", "wecom") == "withdrawn", "of two at one moment the withdrawal"
    assert in_force(newest_first([statement("withdrawn", 3, "wecom"), all_given, none_wecom])) == [True, True, False]


async def test_which_shop_it_was_said_to_is_for_who_sees_the_shop(database: Database, customer: UUID) -> None:
    await take_in(database, said("given"))
    (told,) = await ConsentService(database).of_customer(ADMIN, customer)
    assert (told.account_id, bool(told.source)) == ("generic/crm", True)
    here = an_actor("li", Role.AGENT, scope=Scope.of_accounts("wecom/corp"))
    (seen,) = await ConsentService(database).of_customer(here, customer)
    assert (seen.state, seen.in_force, seen.account_id, seen.source) == ("given", True, None, "")
    (shown,) = (await ProfileService(database, CATALOG.masking(), StoredTags()).show(here, customer)).consents
    assert (shown.account_id, shown.source) == (None, "")
