"""A guide hears of a pregnancy: rules follow, and a wrong day is corrected."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from services.customer_tags import CustomerTagService
from services.life_events import LifeEventService
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.test_profiles import a_person
from tests.services.test_tagging import SHIPPED, publish

ROOT = an_actor("root")
CORP = "wecom/main"


async def connect(database: Database) -> None:
    async with UnitOfWork(database) as work:
        await Accounts(work).add(
            NewAccount(platform="wecom", slug="main", name="corp", credentials={}, settings={}, unit_path="/west/")
        )


async def carried(database: Database, customer: UUID) -> set[str]:
    found = await CustomerTagService(database).of_customer(ROOT, customer)
    return {each.tag for each in found.carried if each.tag.startswith("孕")}


def in_days(clock: SteppedClock, days: int) -> date:
    return (clock.now + timedelta(days=days)).date()


async def test_what_a_guide_heard_moves_the_rules_and_can_be_corrected(database: Database, clock: SteppedClock) -> None:
    person = await a_person(database)
    await connect(database)
    await publish(database, *SHIPPED)
    events = LifeEventService(database)
    guide = an_actor("guide", Role.AGENT, scope=Scope.of_accounts(CORP))
    await events.note(guide, person.customer, CORP, "pregnancy", in_days(clock, 200))
    assert await carried(database, person.customer) == {"孕早期"}
    clock.advance(minutes=1)
    await events.note(guide, person.customer, CORP, "pregnancy", in_days(clock, 100))
    assert await carried(database, person.customer) == {"孕中期"}
    async with UnitOfWork(database) as work:
        told = text("SELECT type FROM events JOIN event_outbox USING (seq) ORDER BY seq")
        types = [each.removeprefix("tandem.") for each in await work.session.scalars(told)]
        rows = text("SELECT account_id, identity_id FROM interactions WHERE kind = 'life'")
        noted = (await work.session.execute(rows)).one()
        entries = (await AuditLog(work).list(ROOT.scope, PageRequest(), target=f"customer:{person.customer}")).items
    assert types.count("life.event") == 2
    assert {"customer.tag-gained", "customer.tag-lost"} <= set(types), "flows hear of it at once"
    told_of = [(entry.actor, entry.detail) for entry in entries if entry.action == "customer.life_event"]
    assert told_of == [("guide", {"account": CORP})] * 2, "what was heard stands where an erasure finds it"
    assert tuple(noted) == (CORP, person.keys["contact"]), "one row, at the key that nobody shares"


async def test_nobody_notes_what_is_not_theirs_to_know(database: Database, clock: SteppedClock) -> None:
    person = await a_person(database)
    await connect(database)
    events = LifeEventService(database)
    with pytest.raises(AuthorizationProblem):
        await events.note(an_actor("audit", Role.AUDITOR), person.customer, CORP, "pregnancy", None)
    elsewhere = an_actor("guide", Role.AGENT, scope=Scope.of_accounts("jd/flagship"))
    with pytest.raises(NotFoundProblem):
        await events.note(elsewhere, person.customer, CORP, "pregnancy", None)
    for wrong in ("", "怀孕", "Pregnancy", "a" * 41, "a b"):
        with pytest.raises(ValidationProblem):
            await events.note(ROOT, person.customer, CORP, wrong, None)
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM interactions WHERE kind = 'life'")) == 0
