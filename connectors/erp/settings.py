"""What Tandem must be told about an ERP or warehouse system."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.accounts import AccountSettings
from connectors.standard_webhooks import checked_secret


class ErpSettings(AccountSettings):
    """One system. client_id: what it knows us by. secret: `whsec_` and base64, of both directions."""

    client_id: str = Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")
    secret: Annotated[SecretStr, AfterValidator(checked_secret)]
    base_url: str = Field(pattern=r"^https?://[^\s?#]+$")
