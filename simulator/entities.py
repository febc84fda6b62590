"""The things of the simulated world, as rows that can be written down and read back.

Money is integer minor units (fen); instants are UTC. How a platform shows them on its wire is the
platform module's business.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Row(BaseModel):
    """A row with an identity; rows are replaced whole."""

    model_config = ConfigDict(extra="forbid")

    id: str


class Shop(Row):
    """A shop on a shop platform; `id` is the account's slug."""

    name: str
    kdt_id: int
    client_id: str
    client_secret: str
    data_key: str
    """Hex AES-128 key of the shop's personal data."""
    client_name: str


class App(BaseModel):
    """An application of a corp; each has its own secret and token."""

    agent_id: int
    name: str
    secret: str
    reaches_customers: bool


class Staff(BaseModel):
    """An employee who may have customers."""

    userid: str
    name: str


class Corp(Row):
    """A WeCom corp; `id` is the account's slug."""

    name: str
    corp_id: str
    apps: tuple[App, ...]
    callback_token: str
    encoding_aes_key: str
    staff: tuple[Staff, ...]


class Customer(Row):
    """A person, with the identities that the platforms know them by."""

    name: str
    gender: int
    phone: str
    province: str
    city: str
    district: str
    street: str
    unionid: str
    openid: str
    yz_open_id: str
    external_userid: str | None


class OrderLine(BaseModel):
    """One article of an order."""

    oid: str
    item_id: int
    sku_id: int
    title: str
    sku: str
    count: int
    price_minor: int

    @property
    def amount_minor(self) -> int:
        """What the line costs."""
        return self.price_minor * self.count


class OrderStatus(StrEnum):
    """Where an order is; the words are Youzan's, other platforms map them."""

    WAIT_PAY = "WAIT_BUYER_PAY"
    WAIT_SHIP = "WAIT_SELLER_SEND_GOODS"
    SHIPPED = "WAIT_BUYER_CONFIRM_GOODS"
    DONE = "TRADE_SUCCESS"
    CLOSED = "TRADE_CLOSED"


class Order(Row):
    """An order; `id` is its number."""

    shop: str
    customer_id: str
    lines: tuple[OrderLine, ...]
    postage_minor: int = 0
    status: OrderStatus
    created_at: AwareDatetime
    updated_at: AwareDatetime
    paid_at: AwareDatetime | None = None
    shipped_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    refunded_minor: int = 0
    waybill: str | None = None

    @property
    def paid_minor(self) -> int:
        """What the buyer paid, postage included."""
        return sum(line.amount_minor for line in self.lines) + self.postage_minor


class RefundStatus(StrEnum):
    """Where a refund is, in Youzan's words."""

    WAIT_SELLER = "WAIT_SELLER_AGREE"
    WAIT_RETURN = "WAIT_BUYER_RETURN_GOODS"
    WAIT_GOODS = "WAIT_SELLER_CONFIRM_GOODS"
    REFUSED = "SELLER_REFUSE_BUYER"
    GOODS_REFUSED = "SELLER_REFUSE_BUYER_RETURN_GOODS"
    CLOSED = "CLOSED"
    SUCCESS = "SUCCESS"


class Refund(Row):
    """A buyer's request for money back; `id` is its number, `version` its optimistic lock."""

    shop: str
    tid: str
    oid: str
    customer_id: str
    amount_minor: int
    reason: int
    reason_text: str
    returns_goods: bool
    status: RefundStatus
    version: int
    created_at: AwareDatetime
    modified_at: AwareDatetime
    waybill: str | None = None
    succeeded_at: AwareDatetime | None = None
    remark: str = ""


class Parcel(StrEnum):
    """What becomes of a returned parcel."""

    NORMAL = "normal"
    STUCK = "stuck"
    LOST = "lost"
    SIGNED = "signed"
    NONE = "none"


class Waybill(Row):
    """A returned parcel; `id` is its number. Its trace follows from the time passed."""

    shop: str
    refund_id: str
    express_id: int
    express_name: str
    shipped_at: AwareDatetime
    transit_s: float
    fate: Parcel = Parcel.NORMAL


class Tag(BaseModel):
    """A corp tag."""

    id: str
    name: str
    created_at: AwareDatetime


class TagGroup(Row):
    """A group of corp tags."""

    corp: str
    name: str
    created_at: AwareDatetime
    tags: tuple[Tag, ...] = ()


class Contact(Row):
    """A customer who is a friend of one of the staff; `id` is the external_userid."""

    corp: str
    customer_id: str
    userid: str
    created_at: AwareDatetime
    state: str = ""
    tag_ids: tuple[str, ...] = ()
    deleted: bool = False


class Recipient(BaseModel):
    """One customer that a group message is meant for."""

    external_userid: str
    userid: str
    confirms_at: AwareDatetime


class GroupMessage(Row):
    """A message to customers that staff confirm; `id` is the msgid."""

    corp: str
    created_at: AwareDatetime
    text: str
    attachments: list[dict[str, Any]] = Field(default_factory=list)
    recipients: tuple[Recipient, ...]


class Token(Row):
    """An access token; `id` is the token itself."""

    platform: str
    account: str
    app: str
    issued_at: AwareDatetime
    expires_at: AwareDatetime
    killed: bool = False
    refresh_token: str = ""


class PushState(StrEnum):
    """What became of a push."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class Push(Row):
    """An event for a receiver; signed anew at each delivery, the message id stays."""

    platform: str
    account: str
    event: str
    message_id: str
    payload: dict[str, Any]
    created_at: AwareDatetime
    due_at: AwareDatetime
    attempts: int = 0
    state: PushState = PushState.PENDING
    last_error: str = ""
    bad_signature: bool = False


class Target(Row):
    """Where an account's pushes go; `id` is platform/account."""

    url: str


class Counter(Row):
    """A number that only grows, so that ids never repeat."""

    value: float
