"""What Tandem must be told about a site."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.accounts import AccountSettings
from connectors.standard_webhooks import checked_secret
from domain.organisation import AccountId

PLATFORM = "site"


class SiteSettings(AccountSettings):
    """One site or app.

    site_key: stands in every page, no secret. signing_secret: `whsec_` and base64; signs who a visitor is, and stays on
    the merchant's server. origins: the pages that may tell of events (`https://www.example.com`); empty: any.
    members_of: the account whose member numbers the site uses; its own when not said.
    """

    site_key: str = Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")
    signing_secret: Annotated[SecretStr, AfterValidator(checked_secret)]
    origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]{1,200}$")], ...] = Field(default=(), max_length=50)
    members_of: AccountId | None = None
