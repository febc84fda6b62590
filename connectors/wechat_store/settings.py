"""What Tandem must be told about a WeChat Store."""

from pydantic import Field

from connectors.wechat.settings import WechatSettings


class WechatStoreSettings(WechatSettings):
    """One store. live_coupons: numbers of the coupons that are given out in live rooms, which callbacks do not tell."""

    live_coupons: tuple[str, ...] = Field(default=(), max_length=1_000)
