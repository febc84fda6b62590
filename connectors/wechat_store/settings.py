"""What Tandem must be told about a WeChat Store."""

from pydantic import Field

from connectors.wechat.settings import WechatSettings


class WechatStoreSettings(WechatSettings):
    """One store."""

    live_coupons: tuple[str, ...] = Field(
        default=(),
        max_length=1_000,
        description='直播间发放的优惠券编号，如 ["8810042"]；推送里没有这一项 · Numbers of the coupons '
        'that are given out in live rooms, such as ["8810042"]; pushes do not tell',
    )
