"""Whose an order is: the first way that finds somebody on the day that counts; and mistakes, told at their place."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.settlement.attribution import AttributionRules, Clues, Found, Holding, Invited, Key, attribute, keys_of
from domain.settlement.attribution_reading import ReadAttribution, attribution_of, read_attribution
from domain.settlement.levels import ANY_LEVELS, LAW, AllowedLevels, LevelLimit
from domain.settlement.scheme import LINE_BASES
from domain.settlement.scheme_reading import read_scheme
from domain.settlement.upline_ways import furthest_reach

HEAD = "name: orders, title: 归属, since: 2026-01-01"
MAY = date(2026, 5, 1)
LIVE, SHOP = Key("channel", "live-7"), Key("shop", "youzan/flagship")


def read(roles: str, head: str = HEAD, level_limit: LevelLimit = LAW) -> ReadAttribution:
    document = {**yaml.safe_load(f"{{{head}}}"), "roles": yaml.safe_load(roles)}
    return read_attribution({"attribution": document}, level_limit=level_limit)


def rules(roles: str, level_limit: LevelLimit = LAW) -> AttributionRules:
    found: ReadAttribution = read(roles, level_limit=level_limit)
    assert found.rules is not None, found.remarks
    return found.rules


def clues(**more: Any) -> Clues:
    return Clues(**{"day": MAY, "shop": "youzan/flagship", "channel": "live-7", **more})


def found(roles: str, clues: Clues, holdings: dict[Key, list[Holding]]) -> list[Found]:
    return attribute(rules(roles), clues, holdings)


def test_the_first_way_that_finds_somebody_counts() -> None:
    held = {
        LIVE: [Holding(1, "promoter", 10_000, MAY)],
        SHOP: [Holding(2, "promoter", 10_000, MAY), Holding(3, "store", 10_000, MAY)],
    }
    roles = "{promoter: [channel, shop], store: [unit, shop]}"
    assert found(roles, clues(), held) == [
        Found("promoter", "channel", LIVE, ((1, 10_000),)),
        Found("store", "shop", SHOP, ((3, 10_000),)),
    ]
    assert found(roles, clues(channel=None), held)[0] == Found("promoter", "shop", SHOP, ((2, 10_000),))
    assert found("{promoter: channel}", clues(channel="unheard"), held) == []


def test_a_key_counts_on_its_days_only() -> None:
    until = [Holding(1, "promoter", 10_000, MAY - timedelta(days=9), MAY), Holding(2, "promoter", 10_000, MAY)]
    days = [MAY - timedelta(days=10), MAY - timedelta(days=1), MAY]
    whose = [found("{promoter: channel}", clues(day=day), {LIVE: until}) for day in days]
    assert [each[0].shares[0][0] if each else None for each in whose] == [None, 1, 2]


def test_several_may_share_an_order() -> None:
    held = {LIVE: [Holding(1, "promoter", 3_000, MAY), Holding(2, "promoter", 6_000, MAY)]}
    assert found("{promoter: channel}", clues(), held)[0].shares == ((2, 6_000), (1, 3_000))


def test_who_brought_the_buyer_in() -> None:
    scans = [("late", timedelta(days=1)), ("early", timedelta(days=20)), ("long-ago", timedelta(days=40))]
    held = {
        Key("channel", code): [Holding(number, "promoter", 10_000, date(2026, 1, 1))]
        for number, code in enumerate(("late", "early", "long-ago"), start=1)
    }
    for within, touch, whose in ((30, "last", 1), (30, "first", 2), (60, "first", 3), (1, "last", 1)):
        roles = f"{{promoter: [channel, {{scan: {{within-days: {within}, touch: {touch}}}}}]}}"
        (one,) = found(roles, clues(channel=None, scans=scans), held)
        assert (one.way, one.shares) == ("scan", ((whose, 10_000),))
    # A code that is nobody's is passed over for the next one.
    del held[Key("channel", "late")]
    (one,) = found("{promoter: [{scan: {within-days: 30}}]}", clues(scans=scans), held)
    assert one.shares == ((2, 10_000),)


def test_who_invited_the_buyer() -> None:
    above = [Invited("7", 1, timedelta(days=9)), Invited("8", 2, timedelta(days=9))]
    held = {
        Key("invitation", "7"): [Holding(1, "city", 10_000, date.min)],
        Key("invitation", "8"): [Holding(2, "promoter", 10_000, date.min)],
    }
    for way, whose in (
        ("inviter", None),
        ("{inviter: {levels: 2}}", 2),
        ("{inviter: {levels: 2, within-days: 9}}", 2),
        ("{inviter: {levels: 2, within-days: 8}}", None),
    ):
        one = found(f"{{promoter: [{way}]}}", clues(invited=above), held)
        assert [each.shares[0][0] for each in one] == ([whose] if whose else [])
    assert rules("{promoter: [{inviter: {levels: 2}}], store: shop}").most_invitations == 2
    assert rules("{promoter: channel}").most_invitations == 0


def test_a_store_is_found_by_the_nearest_unit_above() -> None:
    held = {
        Key("unit", "/east/"): [Holding(1, "store", 10_000, MAY)],
        Key("unit", "/east/s7/"): [Holding(2, "store", 10_000, MAY)],
        Key("unit", "/"): [Holding(3, "store", 10_000, MAY)],
    }
    whose = [found("{store: unit}", clues(unit_path=path), held) for path in ("/east/s7/", "/east/s8/desk/", "/west/")]
    assert [each[0].shares[0][0] if each else None for each in whose] == [2, 1, None]


def test_what_is_looked_up_is_all_that_is_needed() -> None:
    asked = rules("{promoter: [channel, influencer], store: [unit, shop]}")
    assert keys_of(asked, clues(unit_path="/east/s7/", influencer="douyin/9")) == {
        LIVE,
        SHOP,
        Key("influencer", "douyin/9"),
        Key("unit", "/east/s7/"),
        Key("unit", "/east/"),
    }


def test_a_key_that_is_given_away_twice_is_a_bug() -> None:
    held = {LIVE: [Holding(1, "promoter", 10_000, MAY), Holding(2, "promoter", 1, MAY)]}
    with pytest.raises(ValueError, match="more than once"):
        found("{promoter: channel}", clues(), held)


@pytest.mark.parametrize(
    ("roles", "head", "mistakes"),
    [
        ("{p: chanel}", HEAD, [("unknown-way", "/roles/p/0")]),
        ("{p: []}", HEAD, [("bad-way", "/roles/p")]),
        ("{p: [scan]}", HEAD, [("missing-key", "/roles/p/0/scan")]),
        ("{p: [{scan: {within-days: 0}}]}", HEAD, [("bad-count", "/roles/p/0/scan/within-days")]),
        ("{p: [{scan: {within-days: 3, touch: best}}]}", HEAD, [("bad-choice", "/roles/p/0/scan/touch")]),
        ("{p: [{shop: {}}]}", HEAD, [("bad-way", "/roles/p/0")]),
        ("{p: [{inviter: 3}]}", HEAD, [("bad-way", "/roles/p/0")]),
        ("{p: [{inviter: {levels: 11}}]}", HEAD, [("bad-count", "/roles/p/0/inviter/levels")]),
        ("{p: [{inviter: {levels: 3}}]}", HEAD, [("too-many-levels", "/roles/p/0/inviter/levels")]),
        ("{p: [{inviter: {within-days: 0}}]}", HEAD, [("bad-count", "/roles/p/0/inviter/within-days")]),
        ("{p: [{inviter: {touch: last}}]}", HEAD, [("unknown-key", "/roles/p/0/inviter/touch")]),
        ("{P Q: shop}", HEAD, [("bad-roles", "/roles/P Q")]),
        ("[p]", HEAD, [("bad-roles", "/roles")]),
        ("{p: shop}", HEAD + ", counts: [ordered]", [("bad-counts", "/counts")]),
        ("{p: shop}", HEAD + ", bonded: {shop: [a]}", [("unknown-key", "/bonded/shop")]),
        ("{p: shop}", HEAD + ", bonded: {shops: a}", [("bad-value", "/bonded/shops")]),
        ("{p: shop}", "name: mine, title: t, since: 2026-01-01", [("not-the-only", "/name")]),
        ("{p: shop}", "name: orders, title: t, since: soon", [("bad-days", "/since")]),
        ("{p: shop}", "name: orders, title: t", [("missing-key", "")]),
    ],
)
def test_every_mistake_is_told_at_its_place(roles: str, head: str, mistakes: list[tuple[str, str]]) -> None:
    found = read(roles, head)
    assert found.rules is None
    assert [(each.code, each.pointer.removeprefix("/attribution")) for each in found.remarks] == mistakes
    for each in found.remarks:
        assert each.message.zh
        assert each.message.en


def test_somebody_may_answer_for_more_invitations() -> None:
    three = LevelLimit(AllowedLevels(levels=3, allowed_by="legal@corp.example", reason="opinion of 2026-07"))
    assert rules("{p: [{inviter: {levels: 3}}]}", three).invitations_of("p") == 3
    assert "最多 3 级" in read("{p: [{inviter: {levels: 4}}]}", level_limit=three).remarks[0].message.zh


def test_what_is_stored_is_read_whatever_is_allowed_now() -> None:
    stored = {"name": "orders", "title": "t", "since": "2026-01-01", "roles": {"p": [{"inviter": {"levels": 10}}]}}
    assert attribution_of(stored).most_invitations == 10


@pytest.mark.parametrize(
    ("earns", "roles", "reach"),
    [
        ("{of: kept, rate: '5%'}", "{p: channel, q: [unit, shop]}", (0, [])),
        ("{of: kept, rate: '5%'}", "{p: channel, q: inviter}", (1, ["q"])),
        ("{of: kept, rate: '5%'}", "{p: inviter, q: [shop, {inviter: {levels: 2}}]}", (2, ["q"])),
        ("{of: kept, rate: '5%', roles: [p]}", "{p: inviter, q: {inviter: {levels: 2}}}", (1, ["p"])),
        ("{of: visits, each: '5.00'}", "{p: {inviter: {levels: 2}}}", (0, [])),
        ("{of: kept, rate: '5%', level: 1}", "{p: {inviter: {levels: 2}}}", (3, ["p"])),
        ("{of: kept, rate: '5%'}", "{other: {inviter: {levels: 2}}}", (0, [])),
    ],
)
def test_how_far_from_the_buyer_a_scheme_pays(earns: str, roles: str, reach: tuple[int, list[str]]) -> None:
    head = "name: s, title: t, cycle: month, from: 2026-01-01, payees: {roles: [p, q]}"
    one = f"name: a, title: a, {earns[1:-1]}"
    scheme = read_scheme({"scheme": yaml.safe_load(f"{{{head}, earns: [{{{one}}}]}}")}).scheme
    assert scheme is not None
    found = furthest_reach(scheme, rules(roles))
    assert (found.levels, list(found.roles)) == reach


def test_what_is_paid_above_somebody_goes_on_from_where_they_were_found() -> None:
    text = """
    {name: s, title: t, cycle: month, from: 2026-01-01, earns: [
        {name: a, title: a, of: kept, roles: [p], rate: '5%'}, {name: b, title: b, of: kept, roles: [q], rate: '5%'},
        {name: c, title: c, overrides: {of: a, levels: ['0%', '1%']}},
        {name: d, title: d, overrides: {of: b, levels: ['1%']}}
    ]}
    """
    scheme = read_scheme({"scheme": {**yaml.safe_load(text), "levels": 3}}, level_limit=ANY_LEVELS).scheme
    assert scheme is not None
    for roles, reach in (
        ("{p: channel, q: channel}", (0, [])),
        ("{p: inviter, q: channel}", (3, ["p"])),
        ("{p: {inviter: {levels: 2}}, q: inviter}", (4, ["p"])),
        ("{p: channel, q: {inviter: {levels: 2}}}", (3, ["q"])),
    ):
        found = furthest_reach(scheme, rules(roles))
        assert (found.levels, list(found.roles)) == reach


def test_what_comes_along_has_ways_for_the_roles_of_the_schemes() -> None:
    shipped = read_attribution(yaml.safe_load(Path("definitions/attribution/orders.yaml").read_text("utf-8"))).rules
    assert shipped is not None
    roles: set[str] = set()
    for path in Path("definitions/schemes").glob("*.yaml"):
        scheme = read_scheme(yaml.safe_load(path.read_text("utf-8"))).scheme
        assert scheme is not None
        assert scheme.counts in shipped.counts
        for each in scheme.components:
            if each.base in LINE_BASES and each.level == 0:
                roles.update(each.roles or scheme.roles)
    assert roles <= shipped.roles.keys()
