"""What Tandem must be told about a WeCom corp."""

from pydantic import Field, SecretStr

from connectors.accounts import AccountSettings

BASE_URL = "https://qyapi.weixin.qq.com"


class WecomSettings(AccountSettings):
    """One corp: the customer-contact secret, the application that writes to staff, and the callback's keys.

    token, encoding_aes_key: as shown where the callback address is entered. archive_url: where the chat archive's port
    stands, the program around WeCom's own library; archive_secret: what opens it. Without, no chats are read.
    """

    corp_id: str = Field(min_length=1, max_length=64)
    contact_secret: SecretStr = Field(min_length=1)
    agent_id: int | None = Field(default=None, ge=0)
    agent_secret: SecretStr | None = None
    token: SecretStr = Field(min_length=1)
    encoding_aes_key: SecretStr = Field(min_length=43, max_length=43)
    archive_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    archive_secret: SecretStr | None = None
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")
