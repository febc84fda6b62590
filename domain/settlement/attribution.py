"""Whose an order is: for each role of payees the first way that finds somebody, and by which clue."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

from domain.organisation import HEADQUARTERS, parent_path
from domain.settlement.exact import WEIGHT
from domain.settlement.payees import KeyKind

Way = Literal["channel", "scan", "inviter", "influencer", "unit", "shop"]
WAYS: tuple[Way, ...] = ("channel", "scan", "inviter", "influencer", "unit", "shop")
"""channel: the code that the order came by; scan: a code that the buyer scanned before, or came to an employee by;
inviter: who invited the buyer, or invited whoever did; influencer: who showed the goods; unit: the store that sold it,
or the nearest unit above it; shop: the account."""
ClueKind = KeyKind | Literal["invitation"]
"""What an order may be somebody's by: a key that payees have, or an invitation, by its number."""
Shares = tuple[tuple[int, int], ...]
"""Payees and their shares in `exact.WEIGHT`, the larger first; what is missing to the whole is nobody's."""
Touch = Literal["first", "last"]
Basis = Literal["paid", "completed"]
BASES: tuple[Basis, ...] = ("paid", "completed")


class Search(NamedTuple):
    """One way of finding a payee. within_days: of scans and invitations: how long before the order; 0 of invitations:
    however long. touch: which of several scans. levels: how many invitations up."""

    way: Way
    within_days: int = 0
    touch: Touch = "last"
    levels: int = 0


class AttributionRules(NamedTuple):
    """Which orders become whose sales.

    counts: on which days; an order has sales of each. since: Shanghai day from which on orders are looked at. roles:
    the ways of each role, tried in their order. bonded_shops, bonded_categories: what ships from a bonded warehouse.
    """

    name: str
    version: str
    counts: tuple[Basis, ...]
    since: date
    roles: Mapping[str, tuple[Search, ...]]
    bonded_shops: frozenset[str] = frozenset()
    bonded_categories: frozenset[str] = frozenset()

    @property
    def furthest_scan(self) -> timedelta:
        """How long before an order a scan can matter."""
        days = [each.within_days for searches in self.roles.values() for each in searches if each.way == "scan"]
        return timedelta(days=max(days, default=0))

    @property
    def most_invitations(self) -> int:
        """How many invitations up somebody may be found."""
        return max(map(self.invitations_of, self.roles), default=0)

    def invitations_of(self, role: str) -> int:
        """How many invitations up somebody of a role may be found; 0 when no way leads there by invitations."""
        return max((each.levels for each in self.roles.get(role, ())), default=0)


class Key(NamedTuple):
    """What sales are known by. value: a channel code, `platform/id` of an influencer, an account, a unit's path."""

    kind: ClueKind
    value: str


class Holding(NamedTuple):
    """A payee to whom a key belongs from a day on, until another. share: of what it finds, in `exact.WEIGHT`."""

    payee: int
    role: str
    share: int
    since: date
    until: date | None = None


class Invited(NamedTuple):
    """A payee who stands above a buyer: by which invitation, how many up, and how long before the buyer was invited."""

    invitation: str
    level: int
    before: timedelta


class Clues(NamedTuple):
    """What an order says of whose it is. scans: codes that its buyer scanned before, and how many days before, the
    latest first. invited: who stands above its buyer."""

    day: date
    shop: str
    unit_path: str = HEADQUARTERS
    channel: str | None = None
    influencer: str | None = None
    scans: Sequence[tuple[str, timedelta]] = ()
    invited: Sequence[Invited] = ()


class Found(NamedTuple):
    """Whose an order is in one role, and why: by which way and key."""

    role: str
    way: Way
    key: Key
    shares: Shares


def keys_of(rules: AttributionRules, clues: Clues) -> set[Key]:
    """Everything that `attribute` may look up."""
    return {key for searches in rules.roles.values() for each in searches for key in _keys(each, clues)}


def attribute(rules: AttributionRules, clues: Clues, holdings: Mapping[Key, Sequence[Holding]]) -> list[Found]:
    """Whose an order is, in each role that somebody is found for."""
    found = (_first(role, searches, clues, holdings) for role, searches in rules.roles.items())
    return [each for each in found if each is not None]


def _first(
    role: str, searches: Sequence[Search], clues: Clues, holdings: Mapping[Key, Sequence[Holding]]
) -> Found | None:
    for search in searches:
        for key in _keys(search, clues):
            shares = _shares(role, clues.day, holdings.get(key, ()))
            if shares:
                return Found(role, search.way, key, shares)
    return None


def _shares(role: str, day: date, holdings: Sequence[Holding]) -> Shares:
    """The payees of this role who hold a key on a day, the larger share first."""
    holders: dict[int, int] = defaultdict(int)
    for each in holdings:
        if each.role == role and each.since <= day and (each.until is None or day < each.until):
            holders[each.payee] += each.share
    if sum(holders.values()) > WEIGHT:
        raise ValueError("a key is given away more than once")
    return tuple(sorted(holders.items(), key=lambda holder: (-holder[1], holder[0])))


def _keys(search: Search, clues: Clues) -> Iterator[Key]:
    """The keys of a way, the best first."""
    match search.way:
        case "channel":
            if clues.channel:
                yield Key("channel", clues.channel)
        case "scan":
            within = timedelta(days=search.within_days)
            codes = [code for code, before in clues.scans if before <= within]
            yield from (Key("channel", code) for code in (codes if search.touch == "last" else reversed(codes)))
        case "inviter":
            within = timedelta(days=search.within_days)
            for each in clues.invited:
                if each.level <= search.levels and (not search.within_days or each.before <= within):
                    yield Key("invitation", each.invitation)
        case "influencer":
            if clues.influencer:
                yield Key("influencer", clues.influencer)
        case "unit":
            yield from (Key("unit", path) for path in _upwards(clues.unit_path))
        case "shop":
            yield Key("shop", clues.shop)


def _upwards(path: str) -> Iterator[str]:
    """A unit and those above it, without headquarters: what is everybody's is no one store's."""
    at: str | None = path
    while at is not None and at != HEADQUARTERS:
        yield at
        at = parent_path(at)
