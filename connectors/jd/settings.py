"""What Tandem must be told about a JD shop."""

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, AccountSettings

BASE_URL = "https://api.jd.com"
OAUTH_URL = "https://open-oauth.jd.com"


class JdSettings(AccountSettings):
    """One POP shop and the application that acts for it.

    The order interfaces answer only to servers in JD's own cloud.
    """

    app_key: str = Field(min_length=1, max_length=64, description="宙斯应用的 App Key · The application's key")
    app_secret: SecretStr = Field(min_length=1, description="应用的 App Secret · The application's secret")
    refresh_token: SecretStr = Field(
        min_length=1, description="店铺授权得到的刷新令牌 · What the shop's authorisation gave"
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)
    oauth_url: str = Field(
        default=OAUTH_URL,
        pattern=r"^https?://[^\s?#]+$",
        description="换取令牌的地址，一般不改 · Where tokens are exchanged; leave it, but for tests",
    )
