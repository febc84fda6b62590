"""Buyer 1001 of two tills is two people; buyer 1001 of two shops of one platform is one."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.access import Role
from domain.accounts import NewAccount
from domain.canonical.announcing import announce
from domain.canonical.records import parse_record
from services.accounts import PlatformAccounts
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_profiles import SUPERVISOR, _found

ADMIN = an_actor("boss", Role.ADMIN)
NOW = datetime.now(UTC)


async def owners(database: Database, platform: str, *buyers: dict[str, Any]) -> list[UUID | None]:
    """Whose the orders of two accounts are; the second account begins with the second buyer."""
    found: list[UUID | None] = []
    for slug, buyer in zip(("east", "west"), buyers, strict=True):
        new = NewAccount(platform=platform, slug=slug, name=slug, credentials={"secret": "x"})
        await PlatformAccounts(database).connect(ADMIN, new)
        data = {"order_id": f"E-{slug}", "status": "paid", "paid_minor": 9_900, "version": 1, "buyer": buyer}
        order = parse_record("order", data, platform=platform, account=slug, received_at=NOW)
        async with UnitOfWork(database) as work:
            await Intake(IdentityService()).take_in(work, [Arrival.of(announce(order, NOW), NOW)])
        (customer,) = await _found(database, SUPERVISOR, order=f"E-{slug}")
        found.append(customer)
    return found


@pytest.mark.parametrize("platform", ["generic", "bazaar"])
async def test_one_number_at_two_systems_is_two_people_and_both_are_found(database: Database, platform: str) -> None:
    east, west = await owners(database, platform, {"buyer_id": "1001"}, {"buyer_id": "1001"})
    assert east != west
    assert set(await _found(database, SUPERVISOR, key="1001")) == {east, west}
    assert await _found(database, SUPERVISOR, key=f"buyer/{platform}/east/1001") == [east]


async def test_one_number_in_two_shops_of_a_platform_is_one_person(database: Database) -> None:
    east, west = await owners(database, "youzan", {"buyer_id": "1001"}, {"buyer_id": "1001"})
    assert east == west
    assert await _found(database, SUPERVISOR, key="buyer/youzan/1001") == [east]


@pytest.mark.parametrize("more", [{"buyer_scope": "generic/east"}, {"phone": "13800138000"}])
async def test_two_systems_are_joined_by_what_they_share(database: Database, more: dict[str, Any]) -> None:
    buyer = {"buyer_id": "1001", **more}
    east, west = await owners(database, "generic", buyer, buyer)
    assert east == west
