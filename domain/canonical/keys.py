"""Identity keys: what a record knows a person by."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from domain.canonical.phones import e164

KeyKind = Literal["unionid", "external_userid", "openid", "buyer", "member", "phone", "device"]
"""By how well they tell people apart, the best first. unionid: one WeChat user within the merchant's open platform.
external_userid: a contact within a corp. openid: a WeChat user within one app. buyer: an account of a shop platform,
or of one shop that numbers its buyers itself. member: the merchant's own member number. phone: E.164; a family may
share one. device: a fingerprint; many people may share one."""

KINDS: Mapping[str, KeyKind] = {kind: kind for kind in get_args(KeyKind)}
"""Every kind by its name, the best first."""

STRONG_KINDS: frozenset[KeyKind] = frozenset({"unionid", "phone", "buyer", "external_userid", "openid", "member"})
"""Kinds that tie records of one person together without asking; the others only suggest."""


class IdentityKey(NamedTuple):
    """One key. scope: within what the value is unique (a platform, a corp, an app), empty when everywhere."""

    kind: KeyKind
    scope: str
    value: str

    @property
    def subject(self) -> str:
        """The key as a subject of events: `key:kind/scope/value`."""
        return f"key:{self.kind}/{self.scope}/{self.value}"

    @property
    def customer_subject(self) -> str:
        """How events about a buyer name whose they are: `customer:scope/value`."""
        return f"customer:{self.scope}/{self.value}"


def key(kind: KeyKind, value: str | None, scope: str = "") -> IdentityKey | None:
    """A key, or None for a missing value and for a phone number that is none."""
    if value is None or not value.strip():
        return None
    plain = value.strip()
    if kind == "phone":
        number = e164(plain)
        return IdentityKey(kind, "", number) if number else None
    return IdentityKey(kind, scope, plain)


def possible_keys(text: str, accounts: Collection[str]) -> list[IdentityKey]:
    """Every key but a phone that a text may be: the one it says (`kind/scope/value`), or one of any kind at any of the
    accounts."""
    kind, _, rest = text.partition("/")
    if (named := KINDS.get(kind)) is not None and "/" in rest:
        scope, _, value = rest.rpartition("/")
        said = key(named, value, scope)
        return [said] if said is not None else []
    platforms = {account.partition("/")[0] for account in accounts}
    found = [key("unionid", text), key("device", text)]
    found += [key("buyer", text, platform) for platform in sorted(platforms)]
    found += [
        key(each, text, account) for account in accounts for each in ("buyer", "openid", "external_userid", "member")
    ]
    return [each for each in found if each is not None]


def strongest_first(keys: Iterable[IdentityKey | None]) -> tuple[IdentityKey, ...]:
    """The keys, the one that tells people apart best first, without repetition and gaps."""
    found = [each for each in keys if each is not None]
    if len(found) < 2:
        return tuple(found)
    return tuple(sorted(set(found), key=lambda each: (_STRENGTH[each.kind], each.scope, each.value)))


_STRENGTH: dict[str, int] = {kind: place for place, kind in enumerate(KINDS)}
