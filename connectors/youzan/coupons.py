"""What Youzan's pushes say of a coupon in somebody's hands.

A push names the coupon, not the event: taken, used and given back have one number. The buyer is known by `yz_open_id`
in the envelope alone. Nothing is pushed when a coupon runs out.
Source: the platform's push documents, second-hand [S].
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.accounts import Account
from connectors.reading import anomaly, china_time, not_from_the_future, optional_text, text, whole_number
from connectors.webhooks import Verified
from connectors.youzan.settings import YouzanSettings
from domain.canonical import Buyer, CouponData
from domain.canonical.announcing import announce
from domain.canonical.interactions import CouponState
from domain.events import Event
from domain.problems import Text

COUPON_KIND = "COUPON_CUSTOMER_PROMOTION"
_OF_SHOPS = "COUPON_PROMOTION"
"""Within a push of the same kind: the shop changed the coupon itself, which is in nobody's hands."""


class _Step(NamedTuple):
    state: CouponState
    rank: int


_STEPS: Mapping[str, _Step] = {
    "TAKE": _Step("taken", 1),
    "CONSUME": _Step("used", 2),
    # Which of the two is which is in no document at hand [U].
    "BACK": _Step("returned", 3),
    "REVERT": _Step("returned", 3),
}
_FORMS = ("CARD_", "CODE_")


def coupon_events(
    body: Mapping[str, Any], message: Mapping[str, Any], record: Verified, account: Account
) -> list[Event]:
    """The event of one push; none of what a shop does to its coupons. Raises ValidationProblem."""
    if message.get("type") == _OF_SHOPS:
        return []
    status = text(message, "status")
    step = next((_STEPS.get(status.removeprefix(form)) for form in _FORMS if status.startswith(form)), None)
    if step is None:
        raise anomaly("status", Text("不是已知的券状态", "is no known state of a coupon"))
    told = not_from_the_future(china_time(message, "event_time"), record.received_at, "event_time")
    second = int(told.timestamp()) if told is not None else whole_number(body, "version")
    batch = optional_text(message, "coupon_group_id", limit=64) or ""
    coupon = CouponData(
        platform=account.platform,
        account=account.slug,
        version=second * 10 + step.rank,
        occurred_at=told,
        buyer=Buyer(buyer_id=optional_text(body, "yz_open_id", limit=128)),
        coupon_id=text(message, "id"),
        batch_id=batch,
        state=step.state,
        source="live" if batch and batch in account.parse_settings(YouzanSettings).live_coupons else None,
        order_id=optional_text(message, "order_no", limit=64),
    )
    return [announce(coupon, record.received_at)]
