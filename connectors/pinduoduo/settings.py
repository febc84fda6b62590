"""What Tandem must be told about a Pinduoduo shop."""

from pydantic import Field, SecretStr, model_validator

from connectors.accounts import AccountSettings

BASE_URL = "https://gw-api.pinduoduo.com"
CHANNEL_URL = "wss://message-api.pinduoduo.com"


class PinduoduoSettings(AccountSettings):
    """One shop and the application that acts for it.

    authorization_code: from the address that the shop was sent back to; it lives ten minutes and works once, so save
    the account and test it at once. refresh_token: instead of the code, from an authorisation made elsewhere. Each
    authorisation of the shop kills what an earlier one gave. mall_id: what the message channel calls the shop; without
    it the account gets no messages.
    """

    client_id: str = Field(min_length=1, max_length=64)
    client_secret: SecretStr = Field(min_length=1)
    authorization_code: SecretStr | None = Field(default=None, min_length=1)
    refresh_token: SecretStr | None = Field(default=None, min_length=1)
    mall_id: int | None = Field(default=None, gt=0)
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")
    channel_url: str = Field(default=CHANNEL_URL, pattern=r"^wss?://[^\s?#]+$")

    @model_validator(mode="after")
    def _has_an_authorisation(self) -> "PinduoduoSettings":
        if self.authorization_code is None and self.refresh_token is None:
            raise ValueError("须填 authorization_code 或 refresh_token · authorization_code or refresh_token is needed")
        return self
