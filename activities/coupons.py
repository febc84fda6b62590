"""`coupon.check`: whether a coupon can still be spent, as the shop told last."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.coupons import COUPON_CHECK, CouponCheckArguments, CouponCheckOutput
from services.coupons import CouponService


def coupon_activities(binder: CallBinder, coupons: CouponService) -> list[Activity]:
    """The calls about coupons."""

    async def check(request: CouponCheckArguments, _: CallContext) -> CouponCheckOutput:
        return await coupons.check(request)

    return [binder.bind(COUPON_CHECK, check)]
