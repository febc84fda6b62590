"""How well each kind of key tells people apart, and what follows from it."""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from domain.canonical.keys import KeyKind


class Tier(IntEnum):
    """How well a key tells people apart, the best first. A link is as good as its weaker end.

    union: one WeChat user. wechat: that user within a corp or an app. account: an account at a shop platform, a member
    number. phone: one person's, or a family's. device: anybody's.
    """

    UNION = 0
    WECHAT = 1
    ACCOUNT = 2
    PHONE = 3
    DEVICE = 4


TIER_OF: Mapping[str, Tier] = {
    "unionid": Tier.UNION,
    "external_userid": Tier.WECHAT,
    "openid": Tier.WECHAT,
    "buyer": Tier.ACCOUNT,
    "member": Tier.ACCOUNT,
    "phone": Tier.PHONE,
    "device": Tier.DEVICE,
}

MOST_LINKS: Mapping[Tier, int] = {Tier.UNION: 50, Tier.WECHAT: 50, Tier.ACCOUNT: 50, Tier.PHONE: 20, Tier.DEVICE: 20}
"""A key that was seen with more others over links of a tier is a crowd's there (a shop's own phone, a guest account):
its links of that tier say nothing about anybody. Also what bounds the work for one more link."""

_ALWAYS_ONE = frozenset({"unionid", "external_userid", "openid"})
_ONE_BY_PHONE = _ALWAYS_ONE | {"buyer", "member"}


class Known(NamedTuple):
    """What is to know of a key to say whose it is. crowded: a bit for each tier in which it is a crowd's."""

    kind: KeyKind
    scope: str
    crowded: int = 0

    @property
    def tier(self) -> Tier:
        return TIER_OF[self.kind]


def is_shareable(tier: Tier) -> bool:
    """Whether several people may have such a key, so that it may turn out to be nobody's."""
    return tier >= Tier.PHONE


def link_tier(one: str, other: str) -> Tier:
    """The tier of a link between keys of these kinds."""
    return max(TIER_OF[one], TIER_OF[other])


def is_exclusive(kind: str, tier: Tier) -> bool:
    """Whether links of a tier never bring two values of this kind together.

    Nobody has two unionids, two contacts of one corp or two openids of one app. One person may have two accounts at a
    platform; but a phone seen with two accounts of one platform is taken for a family's.
    """
    return kind in (_ALWAYS_ONE if tier < Tier.PHONE else _ONE_BY_PHONE)
