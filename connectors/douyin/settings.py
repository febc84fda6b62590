"""What Tandem must be told about a Douyin shop."""

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, AccountSettings

BASE_URL = "https://openapi-fxg.jinritemai.com"


class DouyinSettings(AccountSettings):
    """One shop and the application that acts for it."""

    app_key: str = Field(
        min_length=1, max_length=64, description="开放平台应用的 App Key · The application's key on the open platform"
    )
    app_secret: SecretStr = Field(min_length=1, description="应用的 App Secret · The application's secret")
    shop_id: int = Field(gt=0, description="店铺编号 · The shop's number")
    refresh_token: SecretStr | None = Field(
        default=None,
        description="店铺授权得到的刷新令牌；店铺自有应用不需要 · What the shop's authorisation gave; a "
        "shop's own application needs none",
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)
