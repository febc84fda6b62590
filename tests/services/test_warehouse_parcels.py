"""A parcel that a warehouse told is its buyer's: shown with the order, exported, erased, and nobody's afterwards."""

from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

from domain.access import Role, Scope
from domain.canonical import OrderData, Origin, ShipmentData
from domain.canonical.announcing import announce
from domain.catalog import CATALOG
from domain.customers.folding import fold
from domain.customers.records import record_of
from services.erasure import ErasureService
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.profiles import ProfileService
from services.tag_book import StoredTags
from storage.engine import Database, sqlalchemy_url
from storage.record_comparison import RecordComparison
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.house import House
from tests.services.test_erasure import ADMIN, everything, house, worked_off
from tests.services.test_export import told
from tests.services.test_profiles import NOW, Person, a_person

__all__ = ["house"]

SHOP, OTHER = "jd/flagship", "jd/outlet"


def a_parcel(waybill: str, shop: str | None = SHOP, version: int = 1, order_id: str = "E1") -> ShipmentData:
    return ShipmentData(
        platform="erp", account="main", version=version, occurred_at=NOW, order_id=order_id, order_account=shop,
        waybill=waybill, company="顺丰速运", state="shipped",
    )  # fmt: skip


def an_order_at(account: str, order_id: str = "E1") -> OrderData:
    platform, slug = account.split("/")
    return OrderData(platform=platform, account=slug, version=1, occurred_at=NOW, order_id=order_id, status="paid")


async def take_in(database: Database, *records: Origin) -> None:
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(announce(each, NOW), NOW) for each in records])


async def shops(database: Database) -> Mapping[str, str | None]:
    """By waybill, the shop that is known of its order."""
    async with UnitOfWork(database) as work:
        rows = await work.session.execute(text("SELECT waybill, order_account FROM shipments"))
        return {row.waybill: row.order_account for row in rows}


@pytest.mark.parametrize("told_last", ["warehouse", "shop"])
async def test_a_parcel_that_shop_and_warehouse_tell_is_shown_once_as_it_was_told_last(
    database: Database, told_last: str
) -> None:
    person = await a_person(database)
    own = ShipmentData(
        platform="jd", account="flagship", version=1, occurred_at=NOW, order_id="E1", waybill="SF7", state="shipped"
    )
    both = {"shop": own, "warehouse": a_parcel("SF7")}
    both[told_last] = both[told_last].model_copy(update={"state": "signed"})
    for at, who in enumerate(sorted(both, key=lambda who: who == told_last)):
        async with UnitOfWork(database) as work:
            when = NOW + timedelta(minutes=at)
            arrival = Arrival.of(announce(both[who].model_copy(update={"occurred_at": when}), when), when)
            await Intake(IdentityService()).take_in(work, [arrival])
    profiles = ProfileService(database, CATALOG.masking(), StoredTags())
    shown = await profiles.show(an_actor("reader", Role.SUPERVISOR, scope=Scope.everything()), person.customer)
    assert [each.data["state"] for each in shown.parcels if each.data["waybill"] == "SF7"] == ["signed"]


async def erased(house: House, database: Database, clock: SteppedClock) -> Person:
    person = await a_person(database)
    await take_in(database, a_parcel("SF7"), a_parcel("SF8", OTHER))
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    return person


@pytest.mark.parametrize(
    ("scope", "parcels"),
    [
        (Scope.everything(), {"SF1", "SF7"}),
        (Scope.of_accounts(SHOP), {"SF1", "SF7"}),
        (Scope.of_branch("/east/"), {"SF1", "SF7"}),
        (Scope.of_accounts("wecom/main"), set()),
    ],
)
async def test_who_sees_the_order_sees_the_parcel(database: Database, scope: Scope, parcels: set[str]) -> None:
    person = await a_person(database)
    await take_in(database, a_parcel("SF7"), a_parcel("SF8", OTHER), a_parcel("SF9", None, order_id="nobody's"))
    profiles = ProfileService(database, CATALOG.masking(), StoredTags())
    shown = await profiles.show(an_actor("reader", Role.SUPERVISOR, scope=scope), person.customer)
    assert {each.data["waybill"] for each in shown.parcels} == parcels


async def test_an_export_holds_it(house: House, database: Database) -> None:
    person = await a_person(database)
    await take_in(database, a_parcel("SF7"), a_parcel("SF8", OTHER))
    rows = [each["data"] for each in await told(house, person.customer) if each.get("table") == "shipments"]
    assert {each["waybill"] for each in rows} == {"SF1", "SF7"}


async def test_erasure_deletes_it_and_leaves_that_of_another_shop_s_order_with_the_number(
    house: House, database: Database, clock: SteppedClock
) -> None:
    await erased(house, database, clock)
    assert await shops(database) == {"SF8": OTHER}


@pytest.mark.parametrize("shop", [SHOP, None])
async def test_what_comes_later_is_not_stored(
    house: House, database: Database, clock: SteppedClock, shop: str | None
) -> None:
    await erased(house, database, clock)
    await take_in(database, a_parcel("SF7", shop, version=2), a_parcel("SF10", shop))
    assert await shops(database) == {"SF8": OTHER}
    after = await everything(database)
    assert "SF7" not in after, "no event either"
    assert "SF10" not in after
    record = record_of(announce(a_parcel("SF7", shop), NOW), NOW)
    assert record is not None
    async with UnitOfWork(database) as work:
        difference, _ = await RecordComparison(work).difference(fold([record]))
    assert difference.records == 0, "it is not here on purpose"


async def test_without_its_shop_it_is_of_the_only_order_with_the_number(database: Database) -> None:
    await take_in(database, an_order_at(SHOP), an_order_at(SHOP, "E2"), an_order_at(OTHER, "E2"))
    await take_in(
        database,
        a_parcel("SF1", None),
        a_parcel("SF2", None, order_id="E2"),
        a_parcel("SF3", None, order_id="E3"),
        an_order_at(OTHER, "E4"),
        a_parcel("SF4", None, order_id="E4"),
    )
    assert await shops(database) == {"SF1": SHOP, "SF2": None, "SF3": None, "SF4": OTHER}


async def test_a_shop_that_was_told_stays_and_one_that_is_told_again_is_learned(database: Database) -> None:
    await take_in(database, a_parcel("SF1", SHOP), a_parcel("SF2", None))
    await take_in(database, a_parcel("SF1", None, version=2), a_parcel("SF2", SHOP))
    assert await shops(database) == {"SF1": SHOP, "SF2": SHOP}


async def test_a_shop_s_own_parcel_needs_no_shop(database: Database) -> None:
    parcel = a_parcel("SF1", None).model_copy(update={"platform": "jd", "account": "flagship"})
    await take_in(database, an_order_at(OTHER), parcel)
    assert await shops(database) == {"SF1": None}


async def test_a_comparison_finds_the_shop_that_is_not_known_here(database: Database) -> None:
    await take_in(database, a_parcel("SF1", None), a_parcel("SF2", SHOP))
    found = [record_of(announce(a_parcel(each), NOW), NOW) for each in ("SF1", "SF2")]
    async with UnitOfWork(database) as work:
        difference, wrong = await RecordComparison(work).difference([each for each in found if each])
    assert (difference.differing, difference.parts) == (1, {"order_account": 1})
    assert [each.key[1] for each in wrong] == ["SF1"]


async def test_the_revision_finds_the_shops_of_parcels_that_were_here(database: Database, database_url: str) -> None:
    await take_in(database, a_parcel("SF1", None), a_parcel("SF2", None, order_id="E2"), a_parcel("SF3", None, 1, "E3"))
    own = a_parcel("SF4", None).model_copy(update={"platform": "jd", "account": "outlet"})
    await take_in(database, an_order_at(SHOP), an_order_at(SHOP, "E2"), an_order_at(OTHER, "E2"), own)
    before = "CREATE INDEX ix_shipments_account_id_order_id ON shipments (account_id, order_id)"
    revision = import_module("storage.migrations.versions.0082_shipments_of_shops")
    with create_engine(sqlalchemy_url(database_url), poolclass=NullPool).begin() as connection:
        connection.execute(text("DROP INDEX ix_shipments_of_orders"))
        connection.execute(text("ALTER TABLE shipments DROP COLUMN order_account"))
        connection.execute(text(before))
        with Operations.context(MigrationContext.configure(connection)):
            revision.upgrade()
    assert await shops(database) == {"SF1": SHOP, "SF2": None, "SF3": None, "SF4": None}
