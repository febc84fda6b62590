"""Coupons as their shops told them last."""

from datetime import date
from zoneinfo import ZoneInfo

from domain.catalog.coupons import CouponCheckArguments, CouponCheckOutput
from storage.engine import Database
from storage.interactions import Interactions
from storage.unit_of_work import UnitOfWork

_SHOPS_TIME = ZoneInfo("Asia/Shanghai")


class CouponService:
    """Answers about coupons, at the moment of asking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, request: CouponCheckArguments) -> CouponCheckOutput:
        """Where the coupon stands, whether its shop said so or not: one whose last day is over has expired, one that
        stands on an order of its holder's is used."""
        async with UnitOfWork(self._database) as work:
            row = await Interactions(work).find(f"{request.platform}/{request.account}", "coupon", request.coupon_id)
            today = work.now.astimezone(_SHOPS_TIME).date()
            is_spent = row is not None and row.state == "taken" and await Interactions(work).is_on_an_order(row)
        if row is None:
            return CouponCheckOutput(usable=False, state="unknown")
        state, last_day = row.state or "unknown", row.details.get("expires_on")
        if state == "taken" and last_day is not None and date.fromisoformat(last_day) < today:
            state = "expired"
        if is_spent:
            state = "used"
        return CouponCheckOutput(usable=state == "taken", state=state, code=(row.personal or {}).get("code"))
