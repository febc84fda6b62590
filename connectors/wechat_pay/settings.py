"""What Tandem must be told about a WeChat Pay merchant."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from connectors.accounts import ADDRESS, AccountSettings
from connectors.wechat_pay.scenes import COMMISSION, LONGEST_CONTENT, LONGEST_TYPE, USUAL, missing_reports

BASE_URL = "https://api.mch.weixin.qq.com"


class WechatPaySettings(AccountSettings):
    """One merchant.

    Answers and notices are verified by WeChat Pay's own public key; merchants who still work with platform certificates
    apply for it in the merchant console.
    """

    # Merchants and scenes are numbers for whoever writes them as JSON.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    mch_id: str = Field(min_length=1, max_length=32, description="商户号 · The merchant's number")
    app_id: str = Field(
        min_length=1, max_length=64, description="与商户号绑定的 AppID · The app that is bound to the merchant"
    )
    serial_no: str = Field(
        min_length=1,
        max_length=64,
        description="商户 API 证书的序列号 · Serial number of the merchant's API certificate",
    )
    private_key: SecretStr = Field(
        min_length=1, description="商户 API 证书的私钥（PEM） · Private key of the merchant's API certificate (PEM)"
    )
    apiv3_key: SecretStr = Field(
        min_length=32,
        max_length=32,
        description="APIv3 密钥，32 位，用来解开通知 · The APIv3 key, 32 characters; opens notices",
    )
    public_key: str = Field(
        min_length=1,
        description="微信支付公钥（PEM），在商户平台申请 · WeChat Pay's public key (PEM), from the merchant console",
    )
    public_key_id: str = Field(
        min_length=1, max_length=64, description="微信支付公钥的编号 · The id of that public key"
    )
    scene_id: str = Field(
        default=COMMISSION,
        min_length=1,
        max_length=16,
        description="已开通的转账场景编号 · The transfer scene that was granted",
    )
    scene_reports: dict[
        Annotated[str, Field(min_length=1, max_length=LONGEST_TYPE)],
        Annotated[str, Field(min_length=1, max_length=LONGEST_CONTENT)],
    ] = Field(
        default={},
        max_length=10,
        description="每笔转账的报备信息，按场景要求的类型填写；不填用该场景的常用值 · What the platform is "
        "told of every transfer, by the types that the scene wants; the usual ones of the scene "
        "when left out",
    )
    notify_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="接收转账结果通知的地址：https://你的域名/hooks/wechat_pay/账号；不填则只靠查询 · Where "
        "the platform tells how transfers ended: https://your.host/hooks/wechat_pay/{account}; "
        "without it they are only asked about",
    )
    profit_sharing: bool = Field(
        default=False,
        description="是否允许用订单的付款给收款人分账 · Whether payees may be paid out of the payments of "
        "their own orders",
    )
    profit_sharing_percent: int = Field(
        default=30,
        ge=1,
        le=100,
        description="一笔付款最多分出的百分比，以商户平台为准 · The most of a payment that may be shared, as "
        "the merchant console says",
    )
    shops: tuple[Annotated[str, Field(pattern=r"^[a-z_]+/[^\s/]{1,64}$")], ...] = Field(
        default=(),
        max_length=100,
        description='本商户收款的店铺，如 ["wechat_store/main"]；不填则为全部 · Whose payments this '
        'merchant takes, such as ["wechat_store/main"]; all shops\' when left out',
    )
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)

    @property
    def reports(self) -> dict[str, str]:
        """What is told of every transfer."""
        return self.scene_reports or dict(USUAL.get(self.scene_id, {}))

    @model_validator(mode="after")
    def _with_what_the_scene_wants(self) -> Self:
        if wrong := missing_reports(self.scene_id, self.reports):
            raise ValueError(f"{wrong.zh} · {wrong.en}")
        return self
