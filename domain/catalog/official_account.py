"""What a flow can ask of a WeChat Official Account (公众号): know a follower, write to one.

Source: the platform's user management, template message and customer-service documents.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from domain.calls import Call, Result
from domain.catalog.platforms import PlatformArguments, changing, platform_queue, reading
from domain.problems import Text

OFFICIAL_ACCOUNT_QUEUE = platform_queue("official_account")

# The platform drops a repeat of the same template message for ten minutes only, so no try may come later than that.
TEMPLATE_DEADLINE_S = 540.0


def _within_platform_limits(data: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in data.items():
        if not name.isascii() or not 0 < len(name) <= 32 or len(value) > 200:
            raise ValueError(f"字段“{name[:32]}”的名称或内容过长 · field “{name[:32]}” or its value is too long")
    return data


class FollowerArguments(PlatformArguments):
    """One WeChat user, as this account knows them."""

    openid: str = Field(min_length=1, max_length=64, description="用户在公众号的 openid · Their openid at this account")


class GetFollowerOutput(Result):
    """What the account knows of a WeChat user; of one who does not follow it only that.

    scene: the channel code they came by. unionid: only where the account is bound to an open platform.
    """

    openid: str
    following: bool
    unionid: str | None = None
    scene: str | None = None
    followed_at: AwareDatetime | None = None


OFFICIAL_ACCOUNT_GET_FOLLOWER: Call[FollowerArguments, GetFollowerOutput] = reading(
    "official_account.get_follower",
    Text("读取公众号粉丝", "Read a follower of an Official Account"),
    FollowerArguments,
    GetFollowerOutput,
    {"openid": "oEXAMPLE-openid", "following": True, "unionid": "oEXAMPLE-unionid", "scene": "counter-3"},
)


class SendTemplateArguments(FollowerArguments):
    """A template message: which template, and what stands in its fields."""

    template_id: str = Field(min_length=1, max_length=128, description="模板 ID · The template's id")
    data: Annotated[dict[str, str], AfterValidator(_within_platform_limits)] = Field(
        max_length=20, description="模板字段的内容 · What stands in the template's fields"
    )
    url: str | None = Field(
        default=None, max_length=1024, pattern=r"^https?://\S+$", description="点击后打开的页面 · The page it opens"
    )


class SentOutput(Result):
    """A message that went out; `refused` when this user cannot be written to, with the platform's reason, or `erased`
    when they asked to be."""

    message_id: str | None = None
    refused: bool = False
    reason: str | None = None


OFFICIAL_ACCOUNT_SEND_TEMPLATE: Call[SendTemplateArguments, SentOutput] = replace(
    changing(
        "official_account.send_template",
        Text("发送公众号模板消息", "Send a template message"),
        SendTemplateArguments,
        SentOutput,
        {"message_id": "200000000000001", "refused": False, "reason": None},
        deadline_s=TEMPLATE_DEADLINE_S,
    ),
    writes_to="openid",
)


class SendTextArguments(FollowerArguments):
    """A customer-service message; the platform takes it within 48 hours of what the user did last."""

    text: str = Field(min_length=1, max_length=600, description="消息正文 · The text")


OFFICIAL_ACCOUNT_SEND_TEXT: Call[SendTextArguments, SentOutput] = replace(
    changing(
        "official_account.send_text",
        Text("发送公众号客服消息", "Send a customer-service message"),
        SendTextArguments,
        SentOutput,
        {"message_id": None, "refused": False, "reason": None},
    ),
    writes_to="openid",
)

OFFICIAL_ACCOUNT_CALLS = (
    OFFICIAL_ACCOUNT_GET_FOLLOWER,
    OFFICIAL_ACCOUNT_SEND_TEMPLATE,
    OFFICIAL_ACCOUNT_SEND_TEXT,
)
