"""What a flow can ask about a customer and decide about their tags; nothing of it is personal data."""

from pydantic import AwareDatetime, Field

from domain.calls import Arguments, Call, Result
from domain.catalog.goods import GoodsCheckArguments
from domain.problems import Text
from domain.tags.views import LONGEST_REASON, LONGEST_TAG


class ProfileArguments(Arguments):
    """A customer by id, or by a subject of the run that names one: `customer:{id}` or `key:{kind}/{scope}/{value}`.

    categories: look for the last order among those with goods of these categories.
    """

    customer: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="客户编号或主题，默认运行的主题 · A customer's id or a subject; defaults to the run's",
    )
    categories: tuple[str, ...] = Field(
        default=(), max_length=50, description="只看含这些类目的订单 · The last order with goods of these categories"
    )


class ProfileOrder(Result):
    """The order that was paid last. items: its goods, as `goods.check` and the `about` of `send` take them."""

    account_id: str
    order_id: str
    status: str
    paid_minor: int | None = None
    paid_at: AwareDatetime
    items: tuple[GoodsCheckArguments, ...] = ()


class ProfileContact(Result):
    """How to write to the customer: `account` and `to` of `send`, and the member of staff whose contact they are."""

    account: str
    external_userid: str
    userid: str | None = None


class ProfileCart(Result):
    """A cart with something in it. filled_at: when it changed last. items: as in `ProfileOrder`."""

    account_id: str
    cart_id: str
    filled_at: AwareDatetime
    items: tuple[GoodsCheckArguments, ...] = ()


class ProfileOutput(Result):
    """Figures over all shops, as they are now. known: whether there is such a customer.

    orders: paid ones. paid_minor, refunded_minor: over those in the merchant's own currency (CNY). open_cart: the
    newest cart, while it stands open and nothing was ordered since, paid or not. contact: the newest that still stands.
    tags: those that the customer carries.
    """

    known: bool
    customer_id: str | None = None
    since: AwareDatetime | None = None
    orders: int = 0
    paid_minor: int = 0
    refunded_minor: int = 0
    open_refunds: int = 0
    first_paid_at: AwareDatetime | None = None
    days_since_paid: int | None = None
    last_order: ProfileOrder | None = None
    open_cart: ProfileCart | None = None
    contact: ProfileContact | None = None
    tags: tuple[str, ...] = ()


PROFILE_GET: Call[ProfileArguments, ProfileOutput] = Call(
    name="profile.get",
    title=Text("读取客户画像", "Read a customer's profile"),
    input=ProfileArguments,
    output=ProfileOutput,
    timeout_s=10,
    example={
        "known": True,
        "customer_id": "0199d0f0-0000-7000-8000-000000000001",
        "since": "2026-01-05T02:00:00Z",
        "orders": 3,
        "paid_minor": 89_700,
        "refunded_minor": 0,
        "open_refunds": 0,
        "first_paid_at": "2026-01-05T02:00:00Z",
        "days_since_paid": 12,
        "last_order": {
            "account_id": "youzan/flagship",
            "order_id": "E20261111000001",
            "status": "completed",
            "paid_minor": 29_900,
            "paid_at": "2026-11-11T02:00:00Z",
            "items": [{"platform": "youzan", "account": "flagship", "item_id": "2019000001"}],
        },
        "open_cart": {
            "account_id": "youzan/flagship",
            "cart_id": "c1",
            "filled_at": "2026-11-23T02:00:00Z",
            "items": [{"platform": "youzan", "account": "flagship", "item_id": "2019000001"}],
        },
        "contact": {"account": "corp", "external_userid": "wmEXAMPLE0001", "userid": "lin"},
        "tags": ["高价值", "犹豫型"],
    },
)


class TagArguments(Arguments):
    """A customer as in `profile.get`, a tag, and why the flow gives or takes it."""

    customer: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="客户编号或主题，默认运行的主题 · A customer's id or a subject; defaults to the run's",
    )
    tag: str = Field(min_length=1, max_length=LONGEST_TAG, description="标签 · The tag")
    reason: str = Field(
        min_length=1, max_length=LONGEST_REASON, description="原因，写入审计 · Why; stands in the audit log"
    )


class TagOutput(Result):
    """carried: whether the customer carries the tag now: a person may have excluded it, a rule may give it."""

    customer_id: str
    carried: bool


TAG: Call[TagArguments, TagOutput] = Call(
    name="tag",
    title=Text("给客户打标签", "Tag a customer"),
    input=TagArguments,
    output=TagOutput,
    effect="keyed",
    timeout_s=10,
    example={"customer_id": "0199d0f0-0000-7000-8000-000000000001", "carried": True},
)

UNTAG: Call[TagArguments, TagOutput] = Call(
    name="untag",
    title=Text("收回客户的标签", "Take a tag from a customer"),
    input=TagArguments,
    output=TagOutput,
    effect="keyed",
    timeout_s=10,
    example={"customer_id": "0199d0f0-0000-7000-8000-000000000001", "carried": False},
)


CUSTOMER_CALLS = (PROFILE_GET, TAG, UNTAG)
