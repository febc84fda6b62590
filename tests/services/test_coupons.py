"""Whether a coupon can still be spent, as its shop told last."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from domain.canonical import Buyer, CouponData
from domain.canonical.announcing import announce
from domain.catalog.coupons import CouponCheckArguments
from services.coupons import CouponService
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.engine import Database
from storage.interactions import InteractionRow
from storage.unit_of_work import UnitOfWork


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
