"""What Tandem must be told about a JD shop."""

from pydantic import Field, SecretStr

from connectors.accounts import AccountSettings

BASE_URL = "https://api.jd.com"
OAUTH_URL = "https://open-oauth.jd.com"


class JdSettings(AccountSettings):
    """One POP shop and the application that acts for it.

    refresh_token: what the shop's authorisation gave. The order interfaces answer only to servers in JD's own cloud.
    """

    app_key: str = Field(min_length=1, max_length=64)
    app_secret: SecretStr = Field(min_length=1)
    refresh_token: SecretStr = Field(min_length=1)
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")
    oauth_url: str = Field(default=OAUTH_URL, pattern=r"^https?://[^\s?#]+$")
