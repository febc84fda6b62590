"""A device or a phone that others turn out to use as well takes nothing of a person with it."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import NullPool, create_engine, text

from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.canonical.interactions import VisitData
from domain.canonical.keys import KINDS, IdentityKey
from domain.settlement.payees import NewPayee
from services.customer_tags import CustomerTagService
from services.customers import CustomerService
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.invitations import InvitationService, Inviter
from services.payees import PayeeRegister
from services.tagging import Tagging
from storage.engine import Database, sqlalchemy_url
from storage.identities import Identities
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.enrolling import a_flow, runs
from tests.services.house import ADMIN, House
from tests.services.test_selling import NOW, QIAN
from tests.services.test_tagging import publish, rule

Shared = Literal["device", "phone"]
SHARED = ("device", "phone")
VALUES = {"device": "fingerprint-1", "phone": "+8613800138000"}
SHOP = {"platform": "youzan", "account": "flagship"}
BOUGHT = rule("all: [ { orders: { count: { at-least: 1 } } } ]", tag="买过")
WELCOME = a_flow("welcome", "{ per: customer }", "tandem.customer.tag-gained")


class Home:
    """A household: orders and visits by members of a shop, over one device or by one phone."""

    def __init__(self, database: Database, shared: Shared) -> None:
        self.database = database
        self.shared = shared
        self._numbers: Iterator[int] = iter(range(1, 100))

    async def visits(self) -> UUID:
        """Somebody comes by what they share, and does not say who they are."""
        await self.tells(
            VisitData(**SHOP, version=1, visit_id=f"V{next(self._numbers)}", name="page_view", buyer=self._buyer(None))
        )
        return await self.owner()

    async def buys(self, member: str, *, alone: bool = False) -> UUID:
        """Whose the member is then. alone: elsewhere, by nothing that is shared."""
        buyer = Buyer(member_id=member) if alone else self._buyer(member)
        await self.tells(
            OrderData(**SHOP, version=1, order_id=f"E{next(self._numbers)}", status="paid", paid_minor=1, buyer=buyer)
        )
        return await self.owner(member)

    async def owner(self, member: str | None = None) -> UUID:
        kind, scope, value = ("member", "youzan/flagship", member) if member else (self.shared, "", VALUES[self.shared])
        async with UnitOfWork(self.database) as work:
            (found,) = (await Identities(work).find([IdentityKey(KINDS[kind], scope, value)])).values()
        return found.customer_id

    async def gained(self) -> Counter[str]:
        """How often each customer gained the tag."""
        statement = "SELECT subjects[1] FROM events WHERE type = 'tandem.customer.tag-gained'"
        async with UnitOfWork(self.database) as work:
            return Counter(map(str, await work.session.scalars(text(statement))))

    async def say(self, customer: UUID, guest: UUID | None = None) -> None:
        """A tag by hand, one that they are kept free of, and who invited them. guest: whom they invited."""
        tags = CustomerTagService(self.database)
        await tags.decide(ADMIN, customer, "老客", "add", "门店老客")
        await tags.decide(ADMIN, customer, "买过", "exclude", "员工账号")
        await PayeeRegister(self.database).put(
            QIAN, [NewPayee(code="P1", name="名", role="promoter", since=date(2026, 1, 1))]
        )
        invitations = InvitationService(self.database)
        await invitations.record(QIAN, customer, Inviter(payee="P1"), NOW, "拼团邀请")
        if guest is not None:
            await invitations.record(QIAN, guest, Inviter(customer=customer), NOW, "海报")

    async def said(self, customer: UUID) -> tuple[list[str], list[str], list[str | None]]:
        """The tags by hand, those excluded, and the inviters of a customer."""
        found = await CustomerTagService(self.database).of_customer(ADMIN, customer)
        invitations = await InvitationService(self.database).of_customer(QIAN, customer)
        return (
            [each.tag for each in found.carried if each.source == "manual"],
            [mark.tag for mark in found.excluded],
            [each.inviter.payee for each in invitations],
        )

    def _buyer(self, member: str | None) -> Buyer:
        return Buyer(member_id=member, **{self.shared: VALUES[self.shared]})

    async def tells(self, record: OrderData | VisitData) -> None:
        async with UnitOfWork(self.database) as work:
            arrival = Arrival.of(announce(record, work.now), work.now)
            await Intake(IdentityService(), Tagging(self.database)).take_in(work, [arrival])


@pytest.mark.parametrize("shared", SHARED)
async def test_who_signs_in_keeps_the_id_and_journeys_when_a_relative_does_as_well(
    house: House, shared: Shared
) -> None:
    await publish(house.database, BOUGHT)
    await house.publish(WELCOME)
    home = Home(house.database, shared)
    visitor = await home.visits()
    assert await home.buys("M1") == visitor
    await _dispatch(house)
    relative = await home.buys("M2")
    await _dispatch(house)
    await home.buys("M1", alone=True)
    await _dispatch(house)
    assert await home.owner("M1") == visitor, "a customer keeps its id for life"
    assert len({visitor, relative, await home.owner()}) == 3
    assert await home.gained() == {f"customer:{visitor}": 1, f"customer:{relative}": 1}
    assert Counter(run.subject for run in await runs(house, "welcome")) == await home.gained()


@pytest.mark.parametrize("shared", SHARED)
async def test_who_was_known_elsewhere_keeps_that_id_beside_an_older_device_or_phone(
    database: Database, shared: Shared
) -> None:
    home = Home(database, shared)
    visitor = await home.visits()
    known = await home.buys("M1", alone=True)
    assert await home.buys("M1") == known
    assert await home.owner() == known
    await home.say(known)
    await home.buys("M2")
    assert (await home.owner("M1"), await home.owner()) == (known, visitor)
    assert await home.said(known) == (["老客"], ["买过"], ["P1"])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("shared", SHARED)
async def test_what_people_said_of_who_signed_in_stays_with_them(database: Database, shared: Shared, when: str) -> None:
    """when: before or after they did."""
    await publish(database, BOUGHT)
    home = Home(database, shared)
    visitor, guest = await home.visits(), await home.buys("M9", alone=True)
    if when == "before":
        await home.say(visitor, guest)
    await home.buys("M1")
    if when == "after":
        await home.say(visitor, guest)
    gained = (await home.gained())[f"customer:{visitor}"]
    await home.buys("M2")
    for _ in range(2):
        await home.buys("M1", alone=True)
    assert await home.said(visitor) == (["老客"], ["买过"], ["P1"])
    assert await home.said(await home.owner()) == ([], [], [])
    assert (await home.gained())[f"customer:{visitor}"] == gained, "they are kept free of it"
    (invitation,) = await InvitationService(database).of_customer(QIAN, guest)
    assert invitation.inviter.customer == visitor


async def test_a_phone_that_was_somebody_before_takes_along_what_was_said_of_them(database: Database) -> None:
    home = Home(database, "phone")
    somebody, known = await home.visits(), await home.buys("M1", alone=True)
    await home.say(somebody)
    customers = CustomerService(database)
    merged = await customers.merge(ADMIN, known, [somebody], "同一人")
    assert await home.said(known) == (["老客"], ["买过"], ["P1"])
    await customers.undo(ADMIN, merged.decision)
    assert await home.said(somebody) == (["老客"], ["买过"], ["P1"])
    assert await home.said(known) == ([], [], [])


async def test_what_both_said_is_said_once_when_the_phone_leaves(database: Database) -> None:
    home = Home(database, "phone")
    visitor = await home.visits()
    await home.say(visitor)
    await home.buys("M1")
    async with UnitOfWork(database) as work:
        # As if the person had been two customers for a while, of whom the same was said.
        copied = "(SELECT id FROM identities WHERE kind = 'member'), tag, kind, source, actor, reason, marked_at"
        await work.session.execute(
            text(
                "INSERT INTO tag_marks (identity_id, tag, kind, source, actor, reason, marked_at) "
                f"SELECT {copied} FROM tag_marks"
            )
        )
    await home.buys("M2")
    assert await home.said(visitor) == (["老客"], ["买过"], ["P1"])
    assert await home.said(await home.owner()) == ([], [], [])


@pytest.mark.parametrize("shared", SHARED)
async def test_who_joined_before_keys_claimed_ids_keeps_all_of_it(
    database: Database, database_url: str, shared: Shared
) -> None:
    home = Home(database, shared)
    visitor = await home.visits()
    await home.say(visitor)
    await home.buys("M1")
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE identities SET home = NULL WHERE kind = 'member'"))
    _migrate(database_url)
    async with UnitOfWork(database) as work:
        kinds = "SELECT DISTINCT kind FROM identities WHERE id IN (SELECT identity_id FROM {})"
        for table in ("tag_marks", "invitations"):
            assert list(await work.session.scalars(text(kinds.format(table)))) == ["member"]
    await home.buys("M2")
    assert await home.owner("M1") == visitor
    assert await home.said(visitor) == (["老客"], ["买过"], ["P1"])


@pytest.mark.parametrize("shared", SHARED)
async def test_what_was_somebody_of_its_own_keeps_what_was_said_of_them_also_when_stored_before(
    database: Database, database_url: str, shared: Shared
) -> None:
    home = Home(database, shared)
    visitor = await home.visits()
    await home.say(visitor)
    known = await home.buys("M1", alone=True)
    assert known != visitor
    await home.buys("M1")
    assert await home.owner() == known
    _migrate(database_url)
    assert await home.said(known) == (["老客"], ["买过"], ["P1"])
    await home.buys("M2")
    assert await home.owner("M1") == known
    assert await home.said(await home.owner()) == (["老客"], ["买过"], ["P1"])
    assert await home.said(known) == ([], [], [])


async def test_who_goes_by_another_id_of_theirs_is_not_merged_once_more(
    database: Database, clock: SteppedClock
) -> None:
    """Whoever merged before today goes by the older id, also where that began with a phone."""
    await publish(database, BOUGHT)
    home = Home(database, "phone")
    visitor, known = await home.visits(), await home.buys("M1", alone=True)
    await home.buys("M1")
    names = {"old": visitor, "new": known}
    async with UnitOfWork(database) as work:
        for statement in (
            "UPDATE identities SET customer_id = :old",
            "UPDATE customers SET merged_into = NULL WHERE id = :old",
            "UPDATE customers SET merged_into = :old WHERE id = :new",
            "UPDATE customer_tags SET customer_id = :old WHERE customer_id = :new",
        ):
            await work.session.execute(
                text(statement), {each: names[each] for each in names if f":{each}" in statement}
            )
    clock.advance(seconds=60)
    told = await _told_of_customers(database)
    assert told == {"tandem.customer.merged": 1, "tandem.customer.tag-gained": 1}
    await home.tells(
        OrderData(**SHOP, version=1, order_id="U1", status="paid", buyer=Buyer(member_id="M1", unionid="U1"))
    )
    assert await home.owner("M1") == await home.owner() == known
    assert await _told_of_customers(database) == told
    assert [each.tag for each in (await CustomerTagService(database).of_customer(ADMIN, known)).carried] == ["买过"]


async def _told_of_customers(database: Database) -> Counter[str]:
    async with UnitOfWork(database) as work:
        return Counter(
            map(str, await work.session.scalars(text("SELECT type FROM events WHERE type LIKE 'tandem.customer.%'")))
        )


async def _dispatch(house: House) -> None:
    while (await house.dispatcher.drain()).dispatched:
        pass


def _migrate(url: str) -> None:
    """What the revision did to the database that it found."""
    (path,) = Path("storage/migrations/versions").glob("*_who_keeps_an_id.py")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    revision = module_from_spec(spec)
    spec.loader.exec_module(revision)
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        revision.upgrade()
