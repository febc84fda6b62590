"""What Tandem must be told about a WeCom corp."""

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, AccountSettings

BASE_URL = "https://qyapi.weixin.qq.com"


class WecomSettings(AccountSettings):
    """One corp: the customer-contact secret, the application that writes to staff, and the callback's keys."""

    corp_id: str = Field(min_length=1, max_length=64, description="企业 ID · The corp's id")
    contact_secret: SecretStr = Field(
        min_length=1, description="“客户联系”的 Secret · The secret of “customer contact”"
    )
    agent_id: int | None = Field(
        default=None,
        ge=0,
        description="给员工发消息的应用的 AgentId；不填则不能发 · The application that writes to staff; "
        "without it nothing is written to them",
    )
    agent_secret: SecretStr | None = Field(default=None, description="该应用的 Secret · The secret of that application")
    token: SecretStr = Field(
        min_length=1, description="接收事件服务器的 Token · The token, as shown where the callback address is entered"
    )
    encoding_aes_key: SecretStr = Field(
        min_length=43,
        max_length=43,
        description="接收事件服务器的 EncodingAESKey，43 位 · The EncodingAESKey of that callback, 43 characters",
    )
    archive_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="会话存档接口程序的地址；不填则不读聊天 · Where the chat archive's port stands, the "
        "program around WeCom's own library; without it no chats are read",
    )
    archive_secret: SecretStr | None = Field(default=None, description="会话存档接口程序的密钥 · What opens that port")
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)
