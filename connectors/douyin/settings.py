"""What Tandem must be told about a Douyin shop."""

from pydantic import Field, SecretStr

from connectors.accounts import AccountSettings

BASE_URL = "https://openapi-fxg.jinritemai.com"


class DouyinSettings(AccountSettings):
    """One shop and the application that acts for it.

    refresh_token: only for applications of others that the shop has authorised; a shop's own application needs none.
    """

    app_key: str = Field(min_length=1, max_length=64)
    app_secret: SecretStr = Field(min_length=1)
    shop_id: int = Field(gt=0)
    refresh_token: SecretStr | None = None
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")
