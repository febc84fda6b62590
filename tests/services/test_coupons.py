"""Whether a coupon can still be spent, as its shop told last."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from domain.canonical import Buyer, CouponData, OrderData, Origin
from domain.canonical.announcing import announce
from domain.catalog.coupons import CouponCheckArguments
from services.coupons import CouponService
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.engine import Database
from storage.interactions import InteractionRow
from storage.unit_of_work import UnitOfWork

TAKEN = datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "days_left", "expected"),
    [
        ("taken", None, (True, "taken")),
        ("taken", 0, (True, "taken")),
        ("taken", -1, (False, "expired")),
        ("used", 5, (False, "used")),
        ("returned", 5, (False, "returned")),
    ],
)
async def test_a_coupon_can_be_spent_until_its_last_day_is_over(
    database: Database, state: str, days_left: int | None, expected: tuple[bool, str]
) -> None:
    async with UnitOfWork(database) as work:
        today = work.now.astimezone(ZoneInfo("Asia/Shanghai")).date()
        last_day = None if days_left is None else (today + timedelta(days=days_left)).isoformat()
        work.session.add(
            InteractionRow(
                account_id="youzan/demo-apparel",
                kind="coupon",
                key="c1",
                version=1,
                occurred_at=work.now,
                recorded_at=work.now,
                state=state,
                details={"expires_on": last_day},
            )
        )
    coupons = CouponService(database)
    found = await coupons.check(CouponCheckArguments(platform="youzan", account="demo-apparel", coupon_id="c1"))
    assert (found.usable, found.state) == expected
    other = await coupons.check(CouponCheckArguments(platform="youzan", account="other", coupon_id="c1"))
    assert (other.usable, other.state) == (False, "unknown")


@pytest.mark.parametrize(
    ("more", "usable"),
    [
        ({}, False),
        ({"status": "unpaid"}, False),
        ({"status": "closed"}, True),
        ({"coupon_ids": ("c2",)}, True),
        ({"buyer": Buyer(buyer_id="B2")}, True),
        ({"account": "other"}, True),
        ({"created_at": TAKEN - timedelta(days=1)}, True),
    ],
)
async def test_a_coupon_that_stands_on_an_order_is_used_though_no_push_said_so(
    database: Database, more: dict[str, Any], usable: bool
) -> None:
    """What a closed order held is given back, and what was ordered before it was taken held another one."""
    shop: dict[str, Any] = {"platform": "wechat_store", "account": "shop", "version": 1, "buyer": Buyer(buyer_id="B1")}
    coupon = CouponData(**shop, coupon_id="c1", batch_id="b1", state="taken", occurred_at=TAKEN)
    ordered = TAKEN + timedelta(hours=1)
    order = {**shop, "order_id": "E1", "status": "paid", "coupon_ids": ("c1",), "created_at": ordered, **more}
    await taken_in(database, coupon, OrderData(**order, occurred_at=ordered))
    asked = CouponCheckArguments(platform="wechat_store", account="shop", coupon_id="c1")
    found = await CouponService(database).check(asked)
    assert (found.usable, found.state) == (usable, "taken" if usable else "used")


async def taken_in(database: Database, *records: Origin) -> None:
    async with UnitOfWork(database) as work:
        arrivals = [Arrival.of(announce(each, TAKEN), TAKEN) for each in records]
        await Intake(IdentityService()).take_in(work, arrivals)


async def test_the_code_of_a_coupon_is_told_by_whoever_told_it_and_kept_encrypted(database: Database) -> None:
    shop = {"platform": "youzan", "account": "demo-apparel"}
    asked = CouponCheckArguments(**shop, coupon_id="c1")
    for version, code in ((1, None), (2, "LIVE20"), (3, None)):
        data = CouponData(
            **shop,
            version=version,
            coupon_id="c1",
            batch_id="b1",
            state="taken",
            code=code,
            buyer=Buyer(buyer_id="B1"),
        )
        async with UnitOfWork(database) as work:
            now = work.now
            await Intake(IdentityService()).take_in(work, [Arrival.of(announce(data, now), now)])
        found = await CouponService(database).check(asked)
        assert (found.usable, found.code) == (True, None if version == 1 else "LIVE20")
    async with UnitOfWork(database) as work:
        rows = await work.session.execute(text("SELECT row_to_json(interactions)::text AS row FROM interactions"))
        assert all("LIVE20" not in each.row for each in rows)
