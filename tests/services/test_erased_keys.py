"""Erasure and keys that several share, or that somebody is just finding out."""

import asyncio
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select, text

from connectors.canonical_records import handed_in
from connectors.loading import load_connectors
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.canonical.keys import IdentityKey
from services.accounts import PlatformAccounts
from services.customer_search import CustomerSearch, Wanted
from services.customers import CustomerService
from services.erasure import ErasureService
from services.identities import Assigned, IdentityService, Sighting
from services.inbox import InboxService
from services.intake import Arrival, Intake
from services.tag_book import StoredTags
from storage.engine import Database
from storage.erasures import ErasedKeys, ErasureRow
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.house import House
from tests.services.test_erasure import ADMIN, OTHER_PHONE, an_order, everything, house, worked_off
from tests.services.test_profiles import BUYER, NOW, PHONE, a_person

__all__ = ["house"]


async def test_a_key_that_a_batch_is_just_finding_out_is_erased_with_the_others(database: Database) -> None:
    buyer, unionid = IdentityKey("buyer", "jd", BUYER), IdentityKey("unionid", "", "U-just-now")

    async def sees(batch: UnitOfWork, *keys: IdentityKey) -> Assigned:
        await ErasedKeys(batch).find(())
        return await IdentityService().assign(batch, [Sighting(keys, "jd/flagship", "orders:jd/flagship/E9", NOW)])

    async with UnitOfWork(database) as work:
        (customer,) = (await sees(work, buyer)).touched
    async with UnitOfWork(database) as batch:
        assigned = await sees(batch, buyer, unionid)
        asked = asyncio.create_task(ErasureService(database).erase(ADMIN, customer, "本人申请"))
        await asyncio.sleep(0.3)
        assert not asked.done(), "it waits for the batch"
    await asked
    async with UnitOfWork(database) as work:
        row = (await work.session.scalars(select(ErasureRow))).one()
    assert len(row.identities) == 2
    assert set(row.identities) == set(assigned.identities.values())


async def test_nobody_is_merged_with_who_is_being_erased_at_this_moment(database: Database) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        (other,) = (
            await IdentityService().assign(
                work, [Sighting((IdentityKey("buyer", "jd", "other"),), "jd/flagship", "orders:jd/flagship/E8", NOW)]
            )
        ).touched
    service = CustomerService(database)
    async with UnitOfWork(database) as erasing:
        await ErasedKeys(erasing).hold()
        merging = asyncio.create_task(service.merge(ADMIN, person.customer, [other], "同一个人"))
        await asyncio.sleep(0.3)
        assert not merging.done(), "who is erased is not known yet"
    await merging


async def test_who_shares_a_phone_with_an_erased_person_stays(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    intake = Intake(IdentityService())
    wife = {"buyer_id": "jd-buyer-wife", "phone": OTHER_PHONE}
    async with UnitOfWork(database) as work:
        await intake.take_in(work, [Arrival.of(an_order("W1", buyer=wife), NOW)])
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    async with UnitOfWork(database) as work:
        await intake.take_in(work, [Arrival.of(an_order("W2", buyer={**wife, "phone": PHONE}), NOW)])
    page = await CustomerSearch(database, StoredTags()).find(ADMIN, Wanted(order="W2"), PageRequest())
    assert len(page.items) == 1


async def test_a_phone_that_two_shared_goes_with_the_last_of_them(
    house: House, database: Database, clock: SteppedClock
) -> None:
    phone = IdentityKey("phone", "", "+8613700137000")
    first, second = (IdentityKey("buyer", "taobao", f"tb-buyer-{number}") for number in (1, 2))
    device = IdentityKey("device", "", "shared-device-1")
    async with UnitOfWork(database) as work:
        sightings = [
            Sighting((each, phone, device), "taobao/a", f"order:{each.value}", NOW) for each in (first, second)
        ]
        owners = (await IdentityService().assign(work, sightings)).customers
    search, service = CustomerSearch(database, StoredTags()), ErasureService(database)

    async def found() -> set[UUID]:
        page = await search.find(ADMIN, Wanted(phone=phone.value), PageRequest())
        return {each.customer for each in page.items}

    both = await found()
    assert {owners[first], owners[second]} <= both
    await service.erase(ADMIN, owners[first], "本人要求")
    assert owners[first] not in await found()
    await worked_off(house, clock)
    assert owners[second] in await found(), "the other one still has it"
    assert phone.value in await everything(database)
    await service.erase(ADMIN, owners[second], "本人要求")
    assert await found() == set()
    await worked_off(house, clock)
    after = await everything(database)
    for gone in (phone.value, device.value, first.value, second.value):
        assert gone not in after, gone
    assert await found() == set()


async def test_a_shared_phone_that_a_record_points_at_is_somebody_s(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    phone = IdentityKey("phone", "", OTHER_PHONE)
    async with UnitOfWork(database) as work:
        buyers = [IdentityKey("buyer", "taobao", f"tb-buyer-{number}") for number in (1, 2)]
        sightings = [Sighting((each, phone), "taobao/a", f"order:{each.value}", NOW) for each in buyers]
        owners = await IdentityService().assign(work, sightings)
        statement = text("UPDATE interactions SET identity_id = :phone WHERE kind = 'visit'")
        await work.session.execute(statement, {"phone": owners.identities[phone]})
    for buyer in buyers:
        await ErasureService(database).erase(ADMIN, owners.customers[buyer], "本人要求")
    await worked_off(house, clock)
    assert OTHER_PHONE in await everything(database)
    assert person.customer


async def test_who_was_erased_when_tills_numbers_were_their_platform_s_stays_erased(database: Database) -> None:
    """Nobody knows the value any more, so that the digest cannot be made anew."""
    async with UnitOfWork(database) as work:
        before = IdentityKey("buyer", "generic", "1001")
        (customer,) = (await IdentityService().assign(work, [Sighting((before,), "generic/pos", "1", NOW)])).touched
    await ErasureService(database).erase(ADMIN, customer, "本人要求")
    async with UnitOfWork(database) as work:
        tills = {("buyer", "generic/pos", "1001"), ("buyer", "generic/bar", "1001"), before}
        others = {("buyer", "generic/pos", "1002"), ("buyer", "bazaar/pos", "1001"), ("member", "generic/pos", "1001")}
        assert await ErasedKeys(work).find(tills | others) == tills


async def test_a_push_that_waited_while_they_were_erased_keeps_nothing_that_names_them(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    new = NewAccount(platform="jd", slug="flagship", name="shop", credentials={"secret": "x"})
    await PlatformAccounts(database).connect(ADMIN, new)
    order = {"order_id": "E7", "status": "paid", "version": 1, "buyer": {"buyer_id": BUYER, "phone": PHONE}}
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))
    push = replace(handed_in("order", order, NOW), dedupe_key=f"order/{BUYER}/7")
    await inbox.accept("jd", "flagship", push)
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    assert f"inbox.dedupe_key={push.dedupe_key}" in await everything(database), "it waits"
    while (await inbox.drain()).read:
        pass
    after = await everything(database)
    assert BUYER not in after, [line for line in after.splitlines() if BUYER in line]
    assert "orders.order_id=E7" in after
