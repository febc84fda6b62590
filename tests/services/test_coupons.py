"""Whether a coupon can still be spent, as its shop told last."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.catalog.coupons import CouponCheckArguments
from services.coupons import CouponService
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
