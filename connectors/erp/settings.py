"""What Tandem must be told about an ERP or warehouse system."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.accounts import AccountSettings
from connectors.standard_webhooks import checked_secret


class ErpSettings(AccountSettings):
    """One system."""

    client_id: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[\x21-\x7e]+$",
        description="对方认识我们的编号 · What the system knows us by",
    )
    secret: Annotated[SecretStr, AfterValidator(checked_secret)] = Field(
        description="双向签名的密钥：whsec_ 加 base64 · Signs both directions: whsec_ and base64"
    )
    base_url: str = Field(
        pattern=r"^https?://[^\s?#]+$", description="对方接口的地址 · Where the system's interface is"
    )
