"""What a WeChat Store's callbacks say of a coupon in somebody's hands.

Lists tell coupons by buyer only, so nobody can read again what a lost callback would have told.
Source: developers.weixin.qq.com, the store's coupon callbacks: received [O]; used, given back and expired, by public
SDKs [S].
"""

from collections.abc import Mapping
from typing import NamedTuple

from connectors.accounts import Account
from connectors.reading import not_from_the_future, optional_text, text, unix_time
from connectors.webhooks import Verified
from connectors.wechat.callbacks import created_at, read_fields
from connectors.wechat_store.settings import WechatStoreSettings
from domain.canonical import Buyer, CouponData
from domain.canonical.announcing import announce
from domain.canonical.interactions import CouponState
from domain.events import Event


class _Step(NamedTuple):
    """state: where the coupon is then. within: where the callback keeps its fields. moment: when it happened.

    rank: of two steps within one second, which is the later.
    """

    state: CouponState
    within: str
    moment: str
    rank: int


COUPON_STEPS: Mapping[str, _Step] = {
    "channels_ec_coupon_receive": _Step("taken", "receive_info", "receive_time", 1),
    "channels_ec_user_coupon_use": _Step("used", "use_info", "use_time", 2),
    "channels_ec_user_coupon_unuse": _Step("returned", "use_info", "unuse_time", 3),
    "channels_ec_user_coupon_expire": _Step("expired", "user_coupon_info", "expire_time", 4),
}


def coupon_event(record: Verified, account: Account) -> Event:
    """The event of one callback. Raises ValidationProblem for what it does not promise."""
    step, fields = COUPON_STEPS[record.kind], read_fields(record.payload)
    told = created_at(fields, record.received_at)
    stated = not_from_the_future(unix_time(fields, f"{step.within}.{step.moment}"), record.received_at, step.moment)
    moment, batch = stated or told, text(fields, f"{step.within}.coupon_id")
    is_live = batch in account.parse_settings(WechatStoreSettings).live_coupons
    coupon = CouponData(
        platform=account.platform,
        account=account.slug,
        version=int(moment.timestamp()) * 10 + step.rank,
        occurred_at=moment,
        buyer=Buyer(openid=text(fields, "FromUserName")),
        coupon_id=text(fields, f"{step.within}.user_coupon_id"),
        batch_id=batch,
        state=step.state,
        source="live" if is_live else None,
        order_id=optional_text(fields, f"{step.within}.order_id", limit=64),
    )
    return announce(coupon, record.received_at)
