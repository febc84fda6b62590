"""What a platform lists about erased people is left out; who only shares a phone with one of them is compared."""

from typing import Any

import pytest
from sqlalchemy import text

from connectors.pulling import PulledPage
from connectors.webhooks import Verified
from domain.accounts import NewAccount
from domain.canonical import Buyer, ContactData, CouponData, OrderData, Origin, ShipmentData
from domain.canonical.announcing import announce
from domain.customers.records import Record, record_of
from services.erasure import ErasureService
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.listed import compared_with_list
from storage.accounts import Accounts
from storage.engine import Database
from storage.record_comparison import RecordComparison
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.house import House
from tests.services.test_erasure import ADMIN, house, worked_off
from tests.services.test_profiles import BUYER, CONTACT, NOW, PHONE, a_person

__all__ = ["house"]

ALIVE = "wmALIVE00000001"


def a_contact(external_userid: str, version: int, *phones: str) -> ContactData:
    return ContactData(
        platform="wecom", account="main", version=version, occurred_at=NOW, external_userid=external_userid,
        userid="li", phones=phones,
    )  # fmt: skip


def row(data: Origin) -> Record:
    found = record_of(announce(data, NOW), NOW)
    assert found is not None
    return found


async def taken_in(database: Database, *records: Origin) -> None:
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(announce(each, NOW), NOW) for each in records])


async def test_a_contact_who_shares_a_phone_with_an_erased_person_is_compared(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    await taken_in(database, a_contact(ALIVE, 1))
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    told = [
        (Verified(kind="x", payload=each.encode(), dedupe_key=each, received_at=NOW), [row(a_contact(each, 2, PHONE))])
        for each in (ALIVE, CONTACT, "wmNOBODY0000001")
    ]
    page = PulledPage([pulled for pulled, _ in told], {}, more=False)
    async with UnitOfWork(database) as work:
        difference, left = await compared_with_list(work, "wecom/main", page, told)
    assert difference.records == 1
    assert [each.dedupe_key for each in left.records if each.dedupe_key != ALIVE] == []


async def test_what_is_compared_every_night_leaves_out_erased_people_and_nobody_else(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)

    def a_coupon(number: str, buyer: Buyer) -> CouponData:
        return CouponData(
            platform="jd", account="flagship", version=1, occurred_at=NOW, coupon_id=number, batch_id="B1",
            state="taken", buyer=buyer,
        )  # fmt: skip

    alive = Buyer(unionid="oALIVE", phone=PHONE)
    await taken_in(database, a_coupon("C0", Buyer(unionid="oALIVE")))
    parcel = ShipmentData(
        platform="jd", account="flagship", version=1, waybill="SF1", order_id="E1", state="signed", occurred_at=NOW
    )
    told = [row(each) for each in (a_coupon("C1", alive), a_coupon("C2", Buyer(buyer_id=BUYER)), parcel)]
    async with UnitOfWork(database) as work:
        difference, wrong = await RecordComparison(work).difference(told)
    assert [each.key[-1] for each in wrong] == ["C1"], "the parcel went with the erased person's order"
    assert (difference.records, difference.missing) == (1, 1)


async def test_the_parcel_of_an_order_that_comes_after_its_buyer_was_erased_is_not_kept(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)

    def sold(number: str, buyer: Buyer) -> list[Origin]:
        told: dict[str, Any] = {"platform": "jd", "account": "flagship", "version": 1, "occurred_at": NOW}
        told["order_id"] = number
        order = OrderData(**told, status="shipped", paid_minor=100, buyer=buyer)
        return [order, ShipmentData(**told, waybill=f"SF-{number}", state="shipped")]

    records = [*sold("E8", Buyer(buyer_id=BUYER)), *sold("E9", Buyer(buyer_id="somebody"))]
    await taken_in(database, *records)
    async with UnitOfWork(database) as work:
        kept = await work.session.scalars(text("SELECT waybill FROM shipments"))
        assert list(kept) == ["SF-E9"]
        difference, _ = await RecordComparison(work).difference([row(each) for each in records])
    assert (difference.records, difference.missing) == (3, 0), "both orders, and the parcel that is here"


@pytest.mark.parametrize("order_first", [True, False])
async def test_its_parcel_is_not_kept_either_when_it_is_told_by_itself(
    house: House, database: Database, clock: SteppedClock, order_first: bool
) -> None:
    person = await a_person(database)
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    told: dict[str, Any] = {"version": 1, "occurred_at": NOW, "order_id": "E8"}
    order = OrderData(
        **told, platform="jd", account="flagship", status="shipped", paid_minor=100, buyer=Buyer(buyer_id=BUYER)
    )
    parcel = ShipmentData(
        **told, platform="erp", account="main", order_account="jd/flagship", waybill="SF8", state="shipped"
    )
    for each in (order, parcel) if order_first else (parcel, order):
        await taken_in(database, each)
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM shipments WHERE order_id = 'E8'")) == 0
        started = await work.session.scalar(text("SELECT count(*) FROM events WHERE subjects[1] LIKE '%SF8%'"))
    assert not order_first or not started


async def test_a_parcel_of_no_shop_goes_when_its_erased_order_comes(
    house: House, database: Database, clock: SteppedClock
) -> None:
    """Unless another shop's order has the number: then nobody knows whose it is."""
    person = await a_person(database)
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    async with UnitOfWork(database) as work:
        await Accounts(work).add(NewAccount(platform="erp", slug="main", name="仓库", credentials={}))
    told: dict[str, Any] = {"version": 1, "occurred_at": NOW, "platform": "jd", "status": "shipped", "paid_minor": 100}
    for number in ("E8", "E9"):
        parcel: dict[str, Any] = {"platform": "erp", "account": "main", "waybill": f"SF-{number}", "state": "shipped"}
        await taken_in(database, ShipmentData(version=1, occurred_at=NOW, order_id=number, **parcel))
    await taken_in(database, OrderData(**told, account="outlet", order_id="E9"))
    for number in ("E8", "E9"):
        await taken_in(database, OrderData(**told, account="flagship", order_id=number, buyer=Buyer(buyer_id=BUYER)))
    async with UnitOfWork(database) as work:
        left = await work.session.scalars(text("SELECT waybill FROM shipments WHERE order_id IN ('E8', 'E9')"))
        assert set(left) == {"SF-E9"}
