"""The evidence: which keys were named together; and what people decided on top of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, func, or_, select
from sqlmodel import Field, col

from domain.customers.identity import Decision, Link
from domain.customers.strength import Tier
from domain.problems import Text, UnavailableProblem
from storage.bulk import fetch
from storage.encryption import EncryptedText
from storage.identities import IdentityRow, StoredKey
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository

_MOST_ROUNDS = 20
MOST_SHOWN = 500


def _of_identity(*, primary: bool = False, index: bool = False) -> int:
    """A column that names an identity, and goes with it."""
    reference = [ForeignKey("identities.id", ondelete="CASCADE")]
    found: int = Field(primary_key=primary, index=index, sa_type=BigInteger, sa_column_args=reference)
    return found


class IdentityLinkRow(Table, table=True):
    """Evidence: two keys (low < high) that one record named together. record: the first that did, `order:…`.

    tier: how well the weaker of the two tells people apart (`domain.customers.strength.Tier`).
    """

    __tablename__ = "identity_links"
    low: int = _of_identity(primary=True)
    tier: int = Field(primary_key=True, sa_type=SmallInteger)
    high: int = _of_identity(primary=True)
    account_id: str
    record: str
    seen_at: datetime = instant()

    __table_args__ = (Index("ix_identity_links_high_tier", "high", "tier"),)


class IdentityDecisionRow(Table, table=True):
    """What a person decided: some keys are one person's (`join`), or two people's (`part`)."""

    __tablename__ = "identity_decisions"
    id: UUID = identifier()
    verdict: str
    actor: str
    reason: str = Field(sa_type=EncryptedText("identity_decisions.reason"))
    decided_at: datetime = instant()
    undone_at: datetime | None = instant(optional=True)
    undone_by: str | None = None

    __table_args__ = (Index("ix_identity_decisions_decided_at_id", "decided_at", "id"),)


class IdentityDecisionKeyRow(Table, table=True):
    """A key that a decision is about. side: keys of a `part` on different sides are different people's; 0 in a
    `join`."""

    __tablename__ = "identity_decision_keys"
    decision_id: UUID = Field(
        primary_key=True, sa_column_args=[ForeignKey("identity_decisions.id", ondelete="CASCADE")]
    )
    identity_id: int = _of_identity(primary=True, index=True)
    side: int = Field(sa_type=SmallInteger)


class NewLink(NamedTuple):
    """Two keys, and the record that named both."""

    low: int
    high: int
    tier: Tier
    account_id: str
    record: str
    seen_at: datetime


@dataclass(slots=True)
class Component:
    """Everything that bears on whose some keys are: the keys, the links between them, the decisions about them."""

    keys: dict[int, StoredKey] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


_ADD = """
    INSERT INTO identity_links (low, tier, high, account_id, record, seen_at)
    SELECT low, tier, high, account, record, seen
    FROM unnest(%(lows)b::bigint[], %(tiers)b::smallint[], %(highs)b::bigint[],
        %(accounts)b::text[], %(records)b::text[], %(seen)b::timestamptz[])
        AS new (low, tier, high, account, record, seen)
    ON CONFLICT DO NOTHING RETURNING low, high
    """
# A key that is a crowd's in a tier is not looked beyond there: only its links of other tiers are read. A decision is a
# station on the way between the keys it joins, so that thousands of them are not read once for each of them.
_REACH = """
    WITH RECURSIVE reached (id, crowded, decision) AS (
        SELECT id, crowded, NULL::uuid FROM identities WHERE id = ANY(%(ids)b::bigint[])
        UNION
        SELECT far.id, far.crowded, near.decision
        FROM reached
        CROSS JOIN LATERAL (
            SELECT high AS id, tier, NULL::uuid AS decision
                FROM identity_links WHERE low = reached.id AND reached.crowded = 0
            UNION ALL
            SELECT low, tier, NULL FROM identity_links WHERE high = reached.id AND reached.crowded = 0
            UNION ALL
            SELECT link.high, link.tier, NULL FROM generate_series(0, 4) AS open (tier)
                JOIN identity_links AS link ON link.low = reached.id AND link.tier = open.tier
                WHERE reached.crowded <> 0 AND reached.crowded >> open.tier & 1 = 0
            UNION ALL
            SELECT link.low, link.tier, NULL FROM generate_series(0, 4) AS open (tier)
                JOIN identity_links AS link ON link.high = reached.id AND link.tier = open.tier
                WHERE reached.crowded <> 0 AND reached.crowded >> open.tier & 1 = 0
            UNION ALL
            SELECT NULL, NULL, decided.decision_id FROM identity_decision_keys AS decided
                JOIN identity_decisions AS decision ON decision.id = decided.decision_id
                WHERE decided.identity_id = reached.id AND decision.verdict = 'join' AND decision.undone_at IS NULL
            UNION ALL
            SELECT decided.identity_id, NULL, NULL FROM identity_decision_keys AS decided
                WHERE decided.decision_id = reached.decision
        ) AS near
        LEFT JOIN LATERAL (SELECT id, crowded FROM identities WHERE identities.id = near.id OFFSET 0) AS far ON true
        WHERE near.tier IS NULL OR far.crowded >> near.tier & 1 = 0
    ),
    bounded AS MATERIALIZED (SELECT id FROM reached WHERE id IS NOT NULL LIMIT %(most)b::bigint + 1)
    """
# Without a bound `most` is NULL; beyond it nothing is held, so that nobody waits for what is not looked at.
_HELD = """
    SELECT id, kind, scope, customer_id, home, crowded FROM identities
    WHERE id IN (SELECT id FROM bounded)
        AND (%(most)b::bigint IS NULL OR (SELECT count(*) FROM bounded) <= %(most)b::bigint)
    ORDER BY id FOR NO KEY UPDATE
    """
_REACHED = "SELECT id FROM bounded"
_ENDS = """
    SELECT id, kind, scope, customer_id, home, crowded FROM identities WHERE id = ANY(%(ids)b::bigint[])
    ORDER BY id FOR NO KEY UPDATE
    """
_LINKS = """
    SELECT low, high, tier FROM identity_links WHERE low = ANY(%(ids)b::bigint[])
    UNION
    SELECT low, high, tier FROM identity_links WHERE high = ANY(%(ids)b::bigint[])
    """
_LINKS_OF_CROWDED = """
    SELECT link.low, link.high, link.tier
    FROM unnest(%(ids)b::bigint[], %(tiers)b::smallint[]) AS open (id, tier)
    JOIN identity_links AS link ON link.low = open.id AND link.tier = open.tier
    UNION
    SELECT link.low, link.high, link.tier
    FROM unnest(%(ids)b::bigint[], %(tiers)b::smallint[]) AS open (id, tier)
    JOIN identity_links AS link ON link.high = open.id AND link.tier = open.tier
    """
_DECISIONS = """
    SELECT decision.id, decision.verdict, decided.side, decided.identity_id FROM identity_decision_keys AS decided
    JOIN identity_decisions AS decision ON decision.id = decided.decision_id
    WHERE decision.undone_at IS NULL AND decided.identity_id = ANY(%(ids)b::bigint[])
    """
_JOINED = "SELECT identity_id FROM identity_decision_keys WHERE decision_id = ANY(%(decisions)b::uuid[])"


class IdentityLinks(Repository):
    """Links and active decisions as the evidence that `domain.customers.identity` resolves."""

    async def add(self, links: Sequence[NewLink]) -> set[tuple[int, int]]:
        """Note evidence; the pairs that were not known before."""
        if not links:
            return set()
        lows, highs, tiers, accounts, records, seen = (list(column) for column in zip(*sorted(links), strict=True))
        rows = await fetch(
            self.work,
            _ADD,
            {"lows": lows, "highs": highs, "tiers": tiers, "accounts": accounts, "records": records, "seen": seen},
        )
        return {(low, high) for low, high in rows}

    async def component(self, ids: Iterable[int]) -> Component:
        """All that hangs together with some keys, however much it is, held in place until the unit of work ends.

        Whoever adds a link to the same keys at the same moment waits here, and then sees what was decided.

        :raises UnavailableProblem: more came to hang on it as often as it was looked at.
        """
        found = await self._component(ids, None)
        return found if found is not None else Component()

    async def component_within(self, ids: Collection[int], most: int) -> Component | None:
        """As `component`, of keys that are stored; None, and nothing held, when it is more than so many keys."""
        return await self._component(ids, most)

    async def reached(self, ids: Collection[int], most: int) -> set[int]:
        """Keys that hang together with these, up to so many and one more; nothing is held."""
        rows = await fetch(self.work, _REACH + _REACHED, {"ids": list(ids), "most": most})
        return {key for (key,) in rows}

    async def ends(self, ids: Collection[int]) -> Component:
        """Only these keys, held in place, and their links, without the keys at the other ends."""
        rows = await fetch(self.work, _ENDS, {"ids": list(ids)})
        held = {row[0]: StoredKey(*row) for row in rows}
        return Component(held, await self._links(held))

    async def _component(self, ids: Iterable[int], most: int | None) -> Component | None:
        held: dict[int, StoredKey] = {}
        wanted = set(ids)
        for _ in range(_MOST_ROUNDS):
            rows = await fetch(self.work, _REACH + _HELD, {"ids": list(wanted | held.keys()), "most": most})
            if not rows and most is not None:
                return None
            held = {row[0]: StoredKey(*row) for row in rows}
            links = await self._links(held)
            decisions, joined = await self._decisions(held)
            # While locks were waited for, more may have come to hang on these keys.
            wanted = joined | await self._grown(held, links)
            if not wanted:
                return Component(held, links, decisions)
        raise UnavailableProblem(
            Text(
                "这些标识正被其他批次不断关联，请稍后再试",
                "Others keep linking more to these identities; try again in a moment",
            )
        )

    async def _links(self, held: Mapping[int, StoredKey]) -> list[Link]:
        plain = [key.id for key in held.values() if not key.crowded]
        rows = list(await fetch(self.work, _LINKS, {"ids": plain}))
        crowded = [key for key in held.values() if key.crowded]
        if crowded:
            rest = [(key.id, int(tier)) for key in crowded for tier in Tier if not key.crowded >> tier & 1]
            ids, tiers = zip(*rest, strict=True)
            rows += await fetch(self.work, _LINKS_OF_CROWDED, {"ids": list(ids), "tiers": list(tiers)})
        return [Link(low, high, _TIERS[tier]) for low, high, tier in rows]

    async def _decisions(self, held: Mapping[int, StoredKey]) -> tuple[list[Decision], set[int]]:
        """What active decisions say of these keys, and which others they join to them."""
        found: dict[UUID, tuple[str, list[int], list[int]]] = {}
        for decision, verdict, side, key in await fetch(self.work, _DECISIONS, {"ids": list(held)}):
            _, *sides = found.setdefault(decision, (verdict, [], []))
            sides[side].append(key)
        joins = [decision for decision, (verdict, *_) in found.items() if verdict == "join"]
        rows = await fetch(self.work, _JOINED, {"decisions": joins}) if joins else ()
        decisions = [Decision("join" if verdict == "join" else "part", *sides) for verdict, *sides in found.values()]
        return decisions, {key for (key,) in rows} - held.keys()

    async def _grown(self, held: Mapping[int, StoredKey], links: Iterable[Link]) -> set[int]:
        """Keys that should be held too, for the sake of links."""
        outer: dict[int, set[Tier]] = {}
        for low, high, tier in links:
            for near, far in ((low, high), (high, low)):
                if far not in held and not held[near].crowded >> tier & 1:
                    outer.setdefault(far, set()).add(tier)
        if not outer:
            return set()
        row = IdentityRow
        rows = await self.session.execute(select(col(row.id), col(row.crowded)).where(col(row.id).in_(outer)))
        return {far for far, crowded in rows if any(not crowded >> tier & 1 for tier in outer[far])}

    async def of(self, ids: Collection[int]) -> Sequence[IdentityLinkRow]:
        """The links that one of the keys has, with their records, the earliest first; some of them of a crowd's key."""
        row = IdentityLinkRow
        given = list(ids)
        statement = select(row).where(or_(col(row.low) == func.any(given), col(row.high) == func.any(given)))
        return (
            await self.session.scalars(
                statement.order_by(col(row.seen_at), col(row.low), col(row.high)).limit(MOST_SHOWN)
            )
        ).all()


_TIERS = tuple(Tier)
