"""Sending a message to a customer: what it says and through which channel.

Whether they may be reached is decided when it is sent.
"""

from typing import Any

from pydantic import Field, model_validator

from domain.calls import Arguments, Call, Result
from domain.canonical import LONGEST_ORDER_ID
from domain.canonical.consents import Channel, Purpose
from domain.catalog.coupons import CouponCheckArguments
from domain.catalog.goods import GoodsCheckArguments
from domain.catalog.platforms import EFFECT_DEADLINE_S, EFFECT_RETRY, PlatformArguments
from domain.catalog.wecom import WECOM_QUEUE
from domain.problems import Text


class UnpaidOrder(Arguments):
    """An order that its buyer is reminded to pay."""

    platform: str = Field(min_length=1, max_length=64, description="平台，如 youzan · The platform, e.g. youzan")
    account: str = Field(min_length=1, max_length=64, description="店铺代号 · The shop's slug")
    order_id: str = Field(min_length=1, max_length=LONGEST_ORDER_ID, description="订单号 · The order's number")


class About(Arguments):
    """What a message advertises; looked up when it is sent.

    customer: whom it is for, an id or a subject as in `profile.get`, when `to` does not tell. items: none may be out of
    stock, or part of a recent refund of theirs, at any shop that sells it by the same merchant's code. coupon: must not
    be used, returned or expired. unpaid_order: must not be paid or closed.
    """

    customer: str | None = Field(default=None, min_length=1, max_length=300)
    items: tuple[GoodsCheckArguments, ...] = Field(default=(), max_length=50)
    coupon: CouponCheckArguments | None = None
    unpaid_order: UnpaidOrder | None = None


class SendArguments(PlatformArguments):
    """A message to one customer: a published template by name, or its text on the spot; exactly one of the two.

    purpose: `service` (an answer to what the customer did) may go at any hour and is not capped; `marketing` keeps
    quiet hours and caps.
    """

    channel: Channel = "wecom"
    to: str = Field(
        min_length=1, max_length=64, description="收件人在该渠道的标识 · Their id in the channel (external_userid)"
    )
    template: str | None = Field(
        default=None, min_length=1, max_length=100, description="已发布模板的名称 · The name of a published template"
    )
    text: str | None = Field(
        default=None, min_length=1, max_length=20_000, description="Jinja2 模板正文 · The text, a Jinja2 template"
    )
    data: dict[str, Any] = Field(default={}, description="模板可用的变量 · What the template may speak of")
    sender: str | None = Field(default=None, max_length=64, description="发送成员 userid · The sending member's userid")
    purpose: Purpose = "service"
    about: About | None = Field(
        default=None,
        description="营销内容涉及的商品、优惠券与未付款订单 · The goods, coupon and unpaid order it is about",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "SendArguments":
        if (self.template is None) == (self.text is None):
            raise ValueError("template 与 text 必须且只能给出一个 · give exactly one of template and text")
        return self


class SendOutput(Result):
    """Whether the message went out; when not, why.

    skipped_reason: `quiet_hours`, `cap`, `no_consent`, `suppressed`, `out_of_stock`, `coupon_gone`, `order_settled`,
    `contact_gone` (they or the member ended it, so nobody can write), `doubled` (another run of the flow took them in,
    too, under another name), `unreachable` (the platform did not take it).
    """

    sent: bool
    message_id: str | None = None
    skipped_reason: str | None = None


# WeCom is the only channel yet, so its queue, which holds its rate limit, is this call's queue.
SEND: Call[SendArguments, SendOutput] = Call(
    name="send",
    title=Text("发送消息", "Send a message"),
    input=SendArguments,
    output=SendOutput,
    effect="keyed",
    searches=True,
    queue=WECOM_QUEUE,
    timeout_s=30,
    deadline_s=EFFECT_DEADLINE_S,
    retry=EFFECT_RETRY,
    example={"sent": True, "message_id": "msgEXAMPLE0001", "skipped_reason": None},
)

MESSAGE_CALLS = (SEND,)
