"""What Tandem must be told about a Taobao or Tmall shop."""

from pydantic import Field, SecretStr, model_validator

from connectors.accounts import ADDRESS, AccountSettings
from connectors.gateway_signing import SignMethod

BASE_URL = "https://gw.api.taobao.com"


class TaobaoSettings(AccountSettings):
    """One shop and the application that acts for it."""

    app_key: str = Field(min_length=1, max_length=64, description="开放平台应用的 App Key · The application's key")
    app_secret: SecretStr = Field(min_length=1, description="应用的 App Secret · The application's secret")
    session: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="店铺授权得到的 session，用到失效为止；与 refresh_token 至少填一个 · What the shop's "
        "authorisation gave, used until it dies. This or refresh_token, or both",
    )
    refresh_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="用来换新的 session；不填则失效后须重新授权 · Gives new sessions; without it the shop "
        "has to authorise again when the session dies",
    )
    seller_nick: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="消息里的卖家昵称；不填则向平台查询 · What messages call the shop; the platform is asked "
        "when left out",
    )
    sign_method: SignMethod = Field(default="hmac-sha256", description="签名算法 · How calls are signed")
    message_group: str = Field(
        default="default",
        min_length=1,
        max_length=64,
        description="店铺所在的消息分组；同组其他店铺的消息留给它们，所以同组店铺都应接入 · The group of the "
        "message service that the shop belongs to; messages of the group's other shops are left "
        "to them, so connect all of them",
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)

    @model_validator(mode="after")
    def _has_a_session(self) -> "TaobaoSettings":
        if self.session is None and self.refresh_token is None:
            raise ValueError("须填 session 或 refresh_token · session or refresh_token is needed")
        return self
