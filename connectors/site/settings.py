"""What Tandem must be told about a site."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.accounts import AccountSettings
from connectors.standard_webhooks import checked_secret
from domain.organisation import AccountId

PLATFORM = "site"


class SiteSettings(AccountSettings):
    """One site or app."""

    site_key: str = Field(
        pattern=r"^[A-Za-z0-9_-]{16,64}$",
        description="写在每个页面里，不保密，16 至 64 位字母数字 · Stands in every page and is no secret; 16 "
        "to 64 letters and digits",
    )
    signing_secret: Annotated[SecretStr, AfterValidator(checked_secret)] = Field(
        description="给访客身份签名的密钥，只放在商家服务器上：whsec_ 加 base64 · Signs who a visitor is, "
        "and stays on your server: whsec_ and base64",
    )
    origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]{1,200}$")], ...] = Field(
        default=(),
        max_length=50,
        description="可以上报的页面来源（https://www.example.com）；不填则不限 · The pages that may tell of "
        "events (https://www.example.com); any when left out",
    )
    members_of: AccountId | None = Field(
        default=None,
        description="会员号属于哪个账号（generic/crm）；不填则为本站点自己的 · The account whose member "
        "numbers the site uses (generic/crm); its own when left out",
    )

    def accounts_named(self) -> Mapping[str, str]:
        return {"members_of": self.members_of} if self.members_of else {}
