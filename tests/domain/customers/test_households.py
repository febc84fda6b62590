"""A town of people whose truth is known: nobody is taken for somebody else, and nearly everybody is recognised."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from domain.canonical.keys import IdentityKey, strongest_first
from domain.customers.identity import Link, resolve
from domain.customers.strength import Known, link_tier

PLATFORMS = ("taobao", "jd", "pinduoduo", "meituan")
PEOPLE = 1_500
SHARED = "shared"


def _household(generator: random.Random, first: int, size: int) -> Iterator[tuple[IdentityKey, ...]]:
    """The records of some people who live together; who is alone shares nothing.

    Keys are valued `person/…` for those of one person, `shared/…` for those that a household uses.
    """
    for person in range(first, first + size):
        unionid = IdentityKey("unionid", "", f"{person}/wx")
        phone = IdentityKey("phone", "", f"{person}/own" if size == 1 else f"{SHARED}/{first}")
        device = IdentityKey("device", "", f"{person}/device" if size == 1 else f"{SHARED}/{first}")
        yield unionid, IdentityKey("external_userid", "wecom/corp", f"{person}/contact")
        yield unionid, IdentityKey("openid", "wechat_store/a", f"{person}/store"), phone
        yield unionid, IdentityKey("openid", "official_account/a", f"{person}/follower")
        for platform in generator.sample(PLATFORMS, generator.randint(0, 3)):
            yield IdentityKey("buyer", platform, f"{person}/{platform}"), phone
        yield IdentityKey("member", "site/shop", f"{person}/member"), device, phone


@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_taken_for_somebody_else(seed: int) -> None:
    generator = random.Random(seed)
    records: list[tuple[IdentityKey, ...]] = []
    first = 0
    while first < PEOPLE:
        size = generator.choices((1, 2, 3, 4), (80, 12, 6, 2))[0]
        records += _household(generator, first, size)
        first += size
    generator.shuffle(records)
    keys = {key: number for number, key in enumerate(dict.fromkeys(key for record in records for key in record))}
    links = set()
    for record in records:
        best, *others = strongest_first(record)
        for other in others:
            low, high = sorted((keys[best], keys[other]))
            links.add(Link(low, high, link_tier(best.kind, other.kind)))
    known = {number: Known(key.kind, key.scope) for key, number in keys.items()}
    named = {number: key.value.partition("/")[0] for key, number in keys.items()}
    resolution = resolve(known, links)
    alone = {key.value.partition("/")[0] for key in keys if key.value.endswith("/own")}
    for cluster in resolution.clusters:
        assert len({named[key] for key in cluster} - {SHARED}) <= 1
    clusters_of = Counter(person for each in resolution.clusters for person in {named[k] for k in each})
    assert all(clusters_of[person] == 1 for person in alone)
