"""What Tandem must be told about a Youzan shop."""

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, AccountSettings

BASE_URL = "https://open.youzanyun.com"


class YouzanSettings(AccountSettings):
    """One shop and the application that acts for it."""

    client_id: str = Field(min_length=1, max_length=64, description="有赞云应用的 client_id · The application's id")
    client_secret: SecretStr = Field(min_length=1, description="应用的 client_secret · The application's secret")
    kdt_id: int = Field(gt=0, description="店铺编号 kdt_id · The shop's number")
    refresh_token: SecretStr | None = Field(
        default=None,
        description="工具型应用的店铺授权令牌；自用型应用不填 · Of the shop's authorisation, for tool "
        "applications only; a shop's own application needs none",
    )
    accept_body_sign: bool = Field(
        default=False,
        description="也接受没有 Event-Sign 的旧推送；其签名只保护消息本身，"
        "见过一条的人就能改它的类型、编号、版本或店铺 · Also believe older pushes without "
        "Event-Sign, whose signature covers the message alone: whoever has seen one can give it "
        "another type, number, version or shop",
    )
    live_coupons: tuple[str, ...] = Field(
        default=(),
        max_length=1_000,
        description='直播间发放的券组编号，如 ["8810042"]；推送里没有这一项 · Numbers of the coupons that '
        'are given out in live rooms, such as ["8810042"]; pushes do not tell',
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)
