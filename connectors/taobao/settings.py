"""What Tandem must be told about a Taobao or Tmall shop."""

from pydantic import Field, SecretStr, model_validator

from connectors.accounts import AccountSettings
from connectors.gateway_signing import SignMethod

BASE_URL = "https://gw.api.taobao.com"


class TaobaoSettings(AccountSettings):
    """One shop and the application that acts for it.

    session: what the shop's authorisation gave; it is used until it dies. refresh_token: gives new sessions; without it
    the shop has to authorise again when the session dies. message_group: the group of the message service that this
    shop belongs to; messages of other shops of the group are left to them, so that all of them should be connected.
    seller_nick: what messages call the shop; without it the platform is asked.
    """

    app_key: str = Field(min_length=1, max_length=64)
    app_secret: SecretStr = Field(min_length=1)
    session: SecretStr | None = Field(default=None, min_length=1)
    refresh_token: SecretStr | None = Field(default=None, min_length=1)
    seller_nick: str | None = Field(default=None, min_length=1, max_length=64)
    sign_method: SignMethod = "hmac-sha256"
    message_group: str = Field(default="default", min_length=1, max_length=64)
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")

    @model_validator(mode="after")
    def _has_a_session(self) -> "TaobaoSettings":
        if self.session is None and self.refresh_token is None:
            raise ValueError("须填 session 或 refresh_token · session or refresh_token is needed")
        return self
