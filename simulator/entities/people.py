"""People, and what the platforms know them by."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AwareDatetime

from simulator.entities.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer(Row):
    """A true person.

    phone: the number of now; former_phone: the one before, when it changed. unionid: their WeChat; the openid within an
    application follows from it (`World.openid`). external_userid: None when they are nobody's friend in the corp.
    device: the fingerprint of their browser, empty when they never came to the site. household: the id of the person
    whose phone or device they share, empty when they share none. member_number: in the merchant's own books.
    """

    name: str
    gender: int
    phone: str
    province: str
    city: str
    district: str
    street: str
    unionid: str
    external_userid: str | None
    former_phone: str = ""
    phone_changed_at: AwareDatetime | None = None
    device: str = ""
    household: str = ""
    member_number: str = ""
    birthday: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer(Row):
    """A person's account on a platform; `id` is platform/buyer_id.

    A person may have two on one platform. phone: what the account is registered with. openid: within the platform's
    WeChat application, empty elsewhere.
    """

    platform: str
    buyer_id: str
    customer_id: str
    nickname: str
    phone: str
    joined_at: AwareDatetime
    openid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower(Row):
    """A WeChat user who follows a public account; `id` is the openid."""

    account: str
    customer_id: str
    followed_at: AwareDatetime
    following: bool = True
    scene: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A corp tag."""

    id: str
    name: str
    created_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TagGroup(Row):
    """A group of corp tags."""

    corp: str
    name: str
    created_at: AwareDatetime
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact(Row):
    """A customer who is a friend of one of the staff.

    id: the external_userid; of a further employee's friendship with them `external_userid/userid`. remark_mobile: the
    number that the employee wrote down beside them.
    """

    corp: str
    customer_id: str
    userid: str
    created_at: AwareDatetime
    state: str = ""
    tag_ids: tuple[str, ...] = ()
    deleted: bool = False
    remark_mobile: str = ""

    @property
    def external_userid(self) -> str:
        """The customer's id within the corp, the same for everybody who follows them."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One customer that a group message is meant for."""

    external_userid: str
    userid: str
    confirms_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMessage(Row):
    """A message to customers that staff confirm; `id` is the msgid."""

    corp: str
    created_at: AwareDatetime
    text: str
    attachments: tuple[dict[str, object], ...] = ()
    recipients: tuple[Recipient, ...]
