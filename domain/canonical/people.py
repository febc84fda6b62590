"""People as platforms know them: contacts, followers, members, groups, tags."""

from collections.abc import Iterable
from datetime import date
from typing import Literal

from domain.canonical.keys import IdentityKey, key
from domain.canonical.origin import Origin


class ContactData(Origin):
    """A customer and the member of staff whose contact they became, stay or were.

    state: the channel code they came by. welcome_code: allows one greeting within 20 seconds. phones: what the member
    wrote down beside them. tag_ids, tags: the corp's tags on the contact, by number and by name, None when not said.
    add_way: how they came (`scan`, `card`, `link` …).
    """

    external_userid: str
    userid: str | None = None
    unionid: str | None = None
    name: str | None = None
    phone: str | None = None
    phones: tuple[str, ...] = ()
    tag_ids: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    add_way: str | None = None
    state: str | None = None
    welcome_code: str | None = None
    source: str | None = None
    fail_reason: str | None = None

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        yield key("unionid", self.unionid)
        yield key("phone", self.phone)
        yield from (key("phone", number) for number in self.phones)
        yield key("external_userid", self.external_userid, self.account_id)


class FollowerData(Origin):
    """A WeChat user who follows an Official Account, or no longer does. scene: the channel code they came by.
    told_in_part: by a push, which tells no unionid; the platform does when it is asked."""

    openid: str
    unionid: str | None = None
    following: bool = True
    scene: str | None = None
    nickname: str | None = None
    told_in_part: bool = False

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        yield key("unionid", self.unionid)
        yield key("openid", self.openid, self.account_id)


class MemberData(Origin):
    """What a shop, a till, an import or a site knows of one person, all keys together.

    buyer_scope: see `Buyer`. attributes: whatever else is known and is not personal (`pet_breed`, `skin_type`), short
    texts and numbers.
    """

    member_id: str | None = None
    unionid: str | None = None
    openid: str | None = None
    openid_scope: str | None = None
    buyer_id: str | None = None
    buyer_scope: str | None = None
    phone: str | None = None
    device: str | None = None
    name: str | None = None
    nickname: str | None = None
    birthday: date | None = None
    grade: str | None = None
    attributes: dict[str, str | int | bool] = {}

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        yield key("unionid", self.unionid)
        yield key("phone", self.phone)
        yield key("buyer", self.buyer_id, self.buyer_scope or self.buyers_within)
        yield key("openid", self.openid, self.openid_scope or self.account_id)
        yield key("member", self.member_id, self.account_id)
        yield key("device", self.device)


class GroupData(Origin):
    """A customer group chat; `change` says what a change was about."""

    chat_id: str
    change: str | None = None
    joined_by: str | None = None
    member_count_delta: int = 0


class TagData(Origin):
    """A corp tag or a group of them."""

    tag_id: str
    kind: Literal["tag", "group", "strategy"] = "tag"
