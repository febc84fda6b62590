"""What Tandem must be told about any application on WeChat's open platform."""

import base64
import secrets

from pydantic import Field, SecretStr

from connectors.accounts import Account, AccountSettings

BASE_URL = "https://api.weixin.qq.com"


class WechatSettings(AccountSettings):
    """One application. token: as entered beside the callback address.

    encoding_aes_key: the key of safe mode. With it only sealed callbacks are believed; without it they come in plain,
    and the platform's signature then covers their time but not what they say, so safe mode is the one to choose.
    """

    app_id: str = Field(min_length=1, max_length=64)
    app_secret: SecretStr = Field(min_length=1)
    token: SecretStr = Field(min_length=1)
    encoding_aes_key: SecretStr | None = Field(default=None, min_length=43, max_length=43)
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")


def nobodys_account(platform: str) -> Account:
    """An account with keys that nobody knows."""
    key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    values = {name: secrets.token_hex(8) for name in ("app_id", "app_secret", "token")}
    return Account(platform, "", {**values, "encoding_aes_key": key})
