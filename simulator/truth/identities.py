"""Who is who: the true person behind every identity, and which of their identities the platforms show together.

Identities are named as the field names them: kind (`unionid`, `phone`, `buyer`, `external_userid`, `openid`, `member`,
`device`), the scope within which the value is unique, and the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from simulator.entities import Customer
from simulator.platforms.base import PlatformBase
from simulator.seeding import SITE
from simulator.truth.page import Page
from simulator.world import World

STRONG = frozenset({"unionid", "buyer", "external_userid", "openid", "member", "phone"})
"""Kinds that name one person unless they are shared; a device may be anybody's."""
SITE_SHOWS = frozenset({"member", "phone", "device"})
"""What the merchant's own site tells of a visitor who signed in."""


class Identity(NamedTuple):
    """One key of a person. platform, account: where it is met, empty when everywhere. shared: with their family."""

    platform: str
    account: str
    kind: str
    scope: str
    value: str
    shared: bool = False

    @property
    def strong(self) -> bool:
        """Whether it tells this person from all others."""
        return self.kind in STRONG and not self.shared


def identities(
    world: World,
    platforms: Mapping[str, PlatformBase],
    kind: str | None,
    platform: str | None,
    after: int,
    limit: int,
) -> Page:
    """Every identity that a platform may tell of, with the person behind it; pages are of `limit` persons.

    What a family shares is there once for each of them. cluster: identities of a person with the same cluster hang
    together by strong keys that platforms show in one record: a perfect reader knows that they are one person's.
    """
    people = list(world.customers)
    rows = []
    for customer in people[after : after + limit]:
        meetings = list(_meetings(world, platforms, customer))
        clusters = _clusters(meetings)
        for found in dict.fromkeys(identity for meeting in meetings for identity in meeting):
            if kind in (None, found.kind) and platform in (None, found.platform):
                cluster = f"{customer.id}/{clusters[found]}"
                rows.append({"person": customer.id, "cluster": cluster, "strong": found.strong, **found._asdict()})
    return Page(len(people), rows, after + limit if after + limit < len(people) else None)


def _meetings(
    world: World, platforms: Mapping[str, PlatformBase], customer: Customer
) -> Iterator[tuple[Identity, ...]]:
    """Identities that are shown together, place by place; those that nobody shows in clear are alone."""
    unionid = Identity("", "", "unionid", "", customer.unionid)
    phones = {phone: _phone(world, phone) for phone in (customer.phone, customer.former_phone) if phone}
    yield (unionid,)
    yield from ((phone,) for phone in phones.values())
    for buyer in world.buyers.having(customer=customer.id):
        known = Identity(buyer.platform, "", "buyer", buyer.platform, buyer.buyer_id)
        shown = [known]
        if buyer.openid:
            shown += [
                Identity(buyer.platform, shop.id, "openid", f"{buyer.platform}/{shop.id}", buyer.openid)
                for shop in world.shops.having(platform=buyer.platform)
            ]
            shown.append(unionid)
        if buyer.phone in phones:
            shown.append(phones[buyer.phone])
        yield from _together(platforms, buyer.platform, shown)
    for follower in world.followers.having(customer=customer.id):
        scope = f"official_account/{follower.account}"
        openid = Identity("official_account", follower.account, "openid", scope, follower.id)
        # Of somebody who left, the account is told nothing but the openid.
        told = [openid, unionid] if follower.following else [openid]
        yield from _together(platforms, "official_account", told)
    for contact in world.contacts.having(external_userid=customer.external_userid or ""):
        scope = f"wecom/{contact.corp}"
        friend = Identity("wecom", contact.corp, "external_userid", scope, contact.external_userid)
        noted = [phones[contact.remark_mobile]] if contact.remark_mobile in phones else []
        yield from _together(platforms, "wecom", [friend, unionid, *noted])
    yield from _on_site(world, customer, phones[customer.phone])


def _together(
    platforms: Mapping[str, PlatformBase], platform: str, found: list[Identity]
) -> Iterator[tuple[Identity, ...]]:
    shows = platforms[platform].shows if platform in platforms else frozenset()
    yield tuple(identity for identity in found if identity.kind in shows)
    yield from ((identity,) for identity in found if identity.kind not in shows)


def _on_site(world: World, customer: Customer, phone: Identity) -> Iterator[tuple[Identity, ...]]:
    member = Identity("site", SITE, "member", f"site/{SITE}", customer.member_number)
    if not customer.device:
        yield (member,)
        return
    shared = len(world.customers.having(device=customer.device)) > 1
    device = Identity("site", SITE, "device", "", customer.device, shared)
    signed_in = any(visit.known for visit in world.visits.having(customer=customer.id))
    yield from [(member, phone, device)] if signed_in else [(member,), (device,)]


def _phone(world: World, phone: str) -> Identity:
    return Identity("", "", "phone", "", f"+86{phone}", len(world.customers.having(phone=phone)) > 1)


def _clusters(meetings: list[tuple[Identity, ...]]) -> dict[Identity, int]:
    """A number for each identity; equal where strong keys lead from one to the other."""
    clusters: dict[Identity, int] = {}
    for number, meeting in enumerate(meetings):
        joined = {clusters[identity] for identity in meeting if identity.strong and identity in clusters}
        for identity in meeting:
            if identity.strong or identity not in clusters:
                clusters[identity] = number
        for identity, cluster in clusters.items():
            if cluster in joined:
                clusters[identity] = number
    return clusters
