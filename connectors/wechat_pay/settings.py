"""What Tandem must be told about a WeChat Pay merchant."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from connectors.accounts import AccountSettings
from connectors.wechat_pay.scenes import COMMISSION, LONGEST_CONTENT, LONGEST_TYPE, USUAL, missing_reports

BASE_URL = "https://api.mch.weixin.qq.com"


class WechatPaySettings(AccountSettings):
    """One merchant. serial_no and private_key: of the merchant's API certificate. apiv3_key: opens notices.

    public_key and public_key_id: WeChat Pay's own public key, by which answers and notices are verified; merchants who
    still work with platform certificates apply for it in the merchant console. notify_url: where the platform tells how
    transfers ended, `https://your.host/hooks/wechat_pay/{account}`. scene_id: the transfer scene that was granted.
    scene_reports: what the platform is told of every transfer, by the types that the scene wants
    (`connectors.wechat_pay.scenes`); empty: the usual ones of the scene.

    profit_sharing: whether payees may be paid out of the payments of their own orders. profit_sharing_percent: the most
    of a payment that may be shared, as the merchant console says. shops: whose payments this merchant takes
    (`wechat_store/main`); all shops' when none is named.
    """

    # Merchants and scenes are numbers for whoever writes them as JSON.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    mch_id: str = Field(min_length=1, max_length=32)
    app_id: str = Field(min_length=1, max_length=64)
    serial_no: str = Field(min_length=1, max_length=64)
    private_key: SecretStr = Field(min_length=1)
    apiv3_key: SecretStr = Field(min_length=32, max_length=32)
    public_key: str = Field(min_length=1)
    public_key_id: str = Field(min_length=1, max_length=64)
    scene_id: str = Field(default=COMMISSION, min_length=1, max_length=16)
    scene_reports: dict[
        Annotated[str, Field(min_length=1, max_length=LONGEST_TYPE)],
        Annotated[str, Field(min_length=1, max_length=LONGEST_CONTENT)],
    ] = Field(default={}, max_length=10)
    notify_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    profit_sharing: bool = False
    profit_sharing_percent: int = Field(default=30, ge=1, le=100)
    shops: tuple[Annotated[str, Field(pattern=r"^[a-z_]+/[^\s/]{1,64}$")], ...] = Field(default=(), max_length=100)
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")

    @property
    def reports(self) -> dict[str, str]:
        """What is told of every transfer."""
        return self.scene_reports or dict(USUAL.get(self.scene_id, {}))

    @model_validator(mode="after")
    def _with_what_the_scene_wants(self) -> Self:
        if wrong := missing_reports(self.scene_id, self.reports):
            raise ValueError(f"{wrong.zh} · {wrong.en}")
        return self
