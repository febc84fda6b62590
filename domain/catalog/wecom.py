"""What a flow can ask of WeCom (企业微信): find and read a customer, write to them, tag them, tell the staff.

Source: the platform's customer-contact and application-message documents.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from domain.calls import Arguments, Call, Result
from domain.catalog.platforms import PlatformArguments, changing, platform_queue, reading
from domain.privacy import Personal
from domain.problems import Text

WECOM_QUEUE = platform_queue("wecom")
TAG_NAME_LIMIT = 30


def _at_most(limit_bytes: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        size = len(value.encode())
        if size > limit_bytes:
            raise ValueError(f"有 {size} 字节，超过 {limit_bytes} · has {size} bytes, more than {limit_bytes}")
        return value

    return check


# The platform takes 4000 and 2048 bytes; some are kept for the mark that makes a message recognisable.
CustomerText = Annotated[str, AfterValidator(_at_most(3900))]
StaffText = Annotated[str, AfterValidator(_at_most(1900))]


class CustomerArguments(PlatformArguments):
    """One customer of the corp."""

    external_userid: str = Field(
        min_length=1, max_length=64, description="客户的 external_userid · The customer's external_userid"
    )


class FindCustomerArguments(PlatformArguments):
    """The identities of one person elsewhere in the WeChat family; the platform needs both to find anybody."""

    unionid: str | None = Field(
        max_length=64, description="微信 unionid，未知时为 null · Their WeChat unionid, or null"
    )
    openid: str | None = Field(
        max_length=64, description="公众号或小程序 openid，未知时为 null · Their openid at the shop's account, or null"
    )


class FindCustomerOutput(Result):
    """The customer's external_userid; null with `found: false` when they are unknown or nobody's contact."""

    found: bool
    external_userid: str | None = None


WECOM_FIND_CUSTOMER: Call[FindCustomerArguments, FindCustomerOutput] = reading(
    "wecom.find_customer",
    Text("查找企业微信客户", "Find a WeCom customer"),
    FindCustomerArguments,
    FindCustomerOutput,
    {"found": True, "external_userid": "wmEXAMPLE00000001"},
)


class CustomerTag(Result):
    """A corp tag that a customer carries."""

    id: str | None = None
    name: str
    group: str | None = None


class CustomerFollower(Result):
    """A member of staff who has the customer as a contact. `state` says which channel code they came by.

    remark: what that member calls the customer.
    """

    userid: str
    remark: Annotated[str | None, Personal("name")] = None
    state: str | None = None
    added_at: AwareDatetime | None = None
    tags: tuple[CustomerTag, ...] = ()


class GetCustomerOutput(Result):
    """What WeCom knows of a customer; `tags` are all followers' corp tags by name, without repetition."""

    external_userid: str
    name: Annotated[str, Personal("name")]
    kind: Literal["wechat", "wecom"]
    gender: Literal["unknown", "male", "female"] = "unknown"
    unionid: str | None = None
    followers: tuple[CustomerFollower, ...] = ()
    tags: tuple[str, ...] = ()


WECOM_GET_CUSTOMER: Call[CustomerArguments, GetCustomerOutput] = reading(
    "wecom.get_customer",
    Text("读取企业微信客户", "Read a WeCom customer"),
    CustomerArguments,
    GetCustomerOutput,
    {
        "external_userid": "wmEXAMPLE00000001",
        "name": "林晓",
        "kind": "wechat",
        "gender": "female",
        "unionid": "oEXAMPLE-unionid",
        "followers": [{"userid": "guide01", "state": "counter-3", "tags": [{"name": "高价值", "group": "价值"}]}],
        "tags": ["高价值"],
    },
)


class MessageLink(Arguments):
    """A link card under a message."""

    title: str = Field(min_length=1, max_length=128)
    url: str = Field(min_length=1, max_length=2048, pattern=r"^https?://")
    description: str | None = Field(default=None, max_length=512)
    picture_url: str | None = Field(default=None, max_length=2048, pattern=r"^https?://")


class SendMessageArguments(CustomerArguments):
    """A message to one customer, in the name of a member of staff who has them as a contact."""

    text: CustomerText = Field(min_length=1, description="消息正文，最多 3900 字节 · The text, 3900 bytes at most")
    sender: str | None = Field(
        default=None,
        max_length=64,
        description="发送成员的 userid，默认由平台选择 · The sending member's userid; the platform chooses by default",
    )
    links: tuple[MessageLink, ...] = Field(default=(), max_length=9)


class SendMessageOutput(Result):
    """The platform's message id; the member of staff still has to confirm the message in their client.

    `refused`: the platform did not take this customer (no longer a contact, or the month's number is used up), or they
    asked to be erased.
    """

    message_id: str | None
    refused: bool = False


WECOM_SEND_MESSAGE: Call[SendMessageArguments, SendMessageOutput] = replace(
    changing(
        "wecom.send_message",
        Text("给企业微信客户发消息", "Write to a WeCom customer"),
        SendMessageArguments,
        SendMessageOutput,
        {"message_id": "msgEXAMPLE0001", "refused": False},
    ),
    searches=True,
    writes_to="external_userid",
)


class TagArguments(CustomerArguments):
    """A corp tag of a customer, by name. Without `userid` it goes for every member who has them as a contact."""

    tag: str = Field(
        min_length=1, max_length=TAG_NAME_LIMIT, description="标签名，最多 30 字 · The tag's name, up to 30 characters"
    )
    group: str = Field(
        default="Tandem",
        min_length=1,
        max_length=TAG_NAME_LIMIT,
        description="标签组名，没有时自动创建 · The tag group's name; made when missing",
    )
    userid: str | None = Field(default=None, max_length=64, description="成员 userid · One member's userid only")


class AddTagOutput(Result):
    """The tag's id, whether it had to be made, and for which members' contact it was set."""

    tag_id: str
    created: bool = False
    userids: tuple[str, ...] = ()


WECOM_ADD_TAG: Call[TagArguments, AddTagOutput] = changing(
    "wecom.add_tag",
    Text("给企业微信客户打标签", "Tag a WeCom customer"),
    TagArguments,
    AddTagOutput,
    {"tag_id": "etEXAMPLE0001", "created": False, "userids": ["guide01"]},
)


class RemoveTagOutput(Result):
    """Whether there was such a tag to take away, and for which members' contact it was."""

    removed: bool
    userids: tuple[str, ...] = ()


WECOM_REMOVE_TAG: Call[TagArguments, RemoveTagOutput] = changing(
    "wecom.remove_tag",
    Text("取消企业微信客户标签", "Untag a WeCom customer"),
    TagArguments,
    RemoveTagOutput,
    {"removed": True, "userids": ["guide01"]},
)


class NotifyStaffArguments(PlatformArguments):
    """A text to members of staff from the corp's application."""

    userids: tuple[str, ...] = Field(
        min_length=1, max_length=1000, description="成员 userid 列表 · The members' userids"
    )
    text: StaffText = Field(min_length=1, description="通知正文，最多 1900 字节 · The text, 1900 bytes at most")


class NotifyStaffOutput(Result):
    """The platform's message id, and members that do not exist or may not see the application."""

    message_id: str | None
    unknown_userids: tuple[str, ...] = ()


WECOM_NOTIFY_STAFF: Call[NotifyStaffArguments, NotifyStaffOutput] = changing(
    "wecom.notify_staff",
    Text("通知企业微信成员", "Notify staff in WeCom"),
    NotifyStaffArguments,
    NotifyStaffOutput,
    {"message_id": "msgEXAMPLE0002", "unknown_userids": []},
    # The platform recognises a repeated text for four hours; after that a repeat could reach people twice.
    deadline_s=14_000,
)

WECOM_CALLS = (
    WECOM_FIND_CUSTOMER,
    WECOM_GET_CUSTOMER,
    WECOM_SEND_MESSAGE,
    WECOM_ADD_TAG,
    WECOM_REMOVE_TAG,
    WECOM_NOTIFY_STAFF,
)
