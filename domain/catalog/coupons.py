"""What a flow can ask about a coupon before it reminds somebody of it."""

from pydantic import Field

from domain.calls import Arguments, Call, Result
from domain.problems import Text


class CouponCheckArguments(Arguments):
    """A coupon in somebody's hands."""

    platform: str = Field(min_length=1, max_length=64, description="平台，如 youzan · The platform, e.g. youzan")
    account: str = Field(min_length=1, max_length=64, description="店铺代号 · The shop's slug")
    coupon_id: str = Field(min_length=1, max_length=128, description="优惠券编号 · The coupon's id")


class CouponCheckOutput(Result):
    """usable: taken, and its last day (in Shanghai) is not over. state: `unknown`, `taken`, `used`, `expired`,
    `returned`. code: what the customer types in to spend it, None where nobody told one."""

    usable: bool
    state: str
    code: str | None = None


COUPON_CHECK: Call[CouponCheckArguments, CouponCheckOutput] = Call(
    name="coupon.check",
    title=Text("查询优惠券状态", "Check a coupon"),
    input=CouponCheckArguments,
    output=CouponCheckOutput,
    timeout_s=10,
    example={"usable": True, "state": "taken", "code": "LIVE20"},
)

COUPON_CALLS = (COUPON_CHECK,)
