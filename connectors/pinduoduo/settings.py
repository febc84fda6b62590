"""What Tandem must be told about a Pinduoduo shop."""

from pydantic import Field, SecretStr, model_validator

from connectors.accounts import ADDRESS, AccountSettings

BASE_URL = "https://gw-api.pinduoduo.com"
CHANNEL_URL = "wss://message-api.pinduoduo.com"


class PinduoduoSettings(AccountSettings):
    """One shop and the application that acts for it. Each authorisation of the shop kills what an earlier one gave."""

    client_id: str = Field(min_length=1, max_length=64, description="开放平台应用的 client_id · The application's id")
    client_secret: SecretStr = Field(min_length=1, description="应用的 client_secret · The application's secret")
    authorization_code: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="店铺授权后跳转地址中的 code，十分钟内有效且只能用一次：接入后立即测试；与 refresh_token "
        "二选一 · From the address that the shop was sent back to; it lives ten minutes and "
        "works once, so test the account at once. Either this or refresh_token",
    )
    refresh_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="在别处授权得到的刷新令牌；与 authorization_code 二选一 · From an authorisation made "
        "elsewhere. Either this or authorization_code",
    )
    mall_id: int | None = Field(
        default=None,
        gt=0,
        description="店铺编号；不填则不收消息通道的推送，只定时拉取 · What the message channel calls the "
        "shop; without it nothing is pushed, and the shop is only pulled",
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)
    channel_url: str = Field(
        default=CHANNEL_URL,
        pattern=r"^wss?://[^\s?#]+$",
        description="消息通道的地址，一般不改 · Where the message channel is; leave it, but for tests",
    )

    @model_validator(mode="after")
    def _has_an_authorisation(self) -> "PinduoduoSettings":
        if self.authorization_code is None and self.refresh_token is None:
            raise ValueError("须填 authorization_code 或 refresh_token · authorization_code or refresh_token is needed")
        return self
