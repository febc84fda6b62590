"""What Tandem must be told about any application on WeChat's open platform."""

import base64
import secrets

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, Account, AccountSettings

BASE_URL = "https://api.weixin.qq.com"


class WechatSettings(AccountSettings):
    """One application."""

    app_id: str = Field(min_length=1, max_length=64, description="AppID · The application's id")
    app_secret: SecretStr = Field(min_length=1, description="AppSecret · The application's secret")
    token: SecretStr = Field(
        min_length=1, description="服务器配置中填写的 Token · The token as entered beside the callback address"
    )
    encoding_aes_key: SecretStr | None = Field(
        default=None,
        min_length=43,
        max_length=43,
        description="安全模式的密钥，43 位；填了只认加密的回调，不填为明文模式，签名不保护内容，建议填写 · "
        "The key of safe mode, 43 characters. With it only sealed callbacks are believed; "
        "without it they come in plain and the signature does not cover what they say, so set it",
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)


def nobodys_account(platform: str) -> Account:
    """An account with keys that nobody knows."""
    key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    values = {name: secrets.token_hex(8) for name in ("app_id", "app_secret", "token")}
    return Account(platform, "", {**values, "encoding_aes_key": key})
