"""What payees did beside selling, and what marks they were given: only ever added to.

Deeds (`visits`, `reviews`, `bookings`, and what a scheme counts besides) add up; a count below nothing takes one back.
Of scores, whatever else they are called, the one that was noted last counts. Which of both a name is, its scheme says.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlmodel import Field

from domain.settlement.scheme import DEEDS
from storage.bulk import fetch
from storage.locks import lock, lock_shared
from storage.paging import Keys, Page, PageRequest
from storage.sales import PARTS
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LOCK = "payee-facts"


class PayeeFactRow(Table, table=True):
    """One fact. key: names it among those of its payee and name, so that it is noted once."""

    __tablename__ = "payee_facts"
    seq: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    payee: int = Field(sa_column_args=[ForeignKey("payees.id")])
    name: str
    day: date
    amount: int
    key: str
    noted_at: datetime = instant()
    noted_by: str

    __table_args__ = (
        UniqueConstraint("payee", "name", "key"),
        Index("ix_payee_facts_payee_day", "payee", "day"),
        Index("ix_payee_facts_day_seq", "day", "seq"),
    )


class PayeeFact(NamedTuple):
    """To be noted."""

    payee: int
    name: str
    day: date
    amount: int
    key: str


class Contradicted(NamedTuple):
    """What was noted instead of a fact. place: among those that were asked about, the first being 0."""

    place: int
    day: date
    amount: int


class FactsBehind(NamedTuple):
    """Facts of a payee that an earning follows from: deeds of their own days, scores of the period's; noted up to a
    number, and after another one."""

    payee: int
    deeds: Sequence[str]
    deed_start: date
    deed_end: date
    scores: Sequence[str]
    start: date
    end: date
    upto: int
    since: int = 0


class CountedFact(NamedTuple):
    """A fact. counts: whether it does; of a score only the last one."""

    seq: int
    name: str
    day: date
    amount: int
    key: str
    noted_at: datetime
    noted_by: str
    counts: bool


_BEHIND_IN_ORDER = Keys("counted-facts", (int,))


class PayeeFacts(Repository):
    """Facts by payee and day."""

    async def add(self, facts: Sequence[PayeeFact], by: str) -> int:
        """Note facts; how many that were not noted before."""
        if not facts:
            return 0
        await lock_shared(self.work, _LOCK)
        return len(await fetch(self.work, _ADD, {**_columns(facts), "by": by, "now": self.now}))

    async def contradicted(self, facts: Sequence[PayeeFact]) -> Contradicted | None:
        """The first of the facts that says something else than was noted of this payee, name and key."""
        return next(iter(await self.contradictions(facts)), None)

    async def contradictions(self, facts: Sequence[PayeeFact]) -> Sequence[Contradicted]:
        """Each of the facts that does, in order."""
        rows = await fetch(self.work, _CONTRADICTED, _columns(facts)) if facts else []
        return [Contradicted(*row) for row in rows]

    async def watermark(self) -> int:
        """The number of the last fact; nobody adds one until this unit of work ends."""
        await lock(self.work, _LOCK)
        return int(await self.session.scalar(text("SELECT coalesce(max(seq), 0) FROM payee_facts")) or 0)

    async def of_part(
        self, part: int, start: date, end: date, upto: int, counted: Iterable[str] = ()
    ) -> Mapping[int, Mapping[str, int]]:
        """What payees of a part did and were given on days `[start, end)`, by payee and name. counted: what adds up
        beside visits, reviews and bookings."""
        deeds = [*DEEDS, *counted]
        values = {"start": start, "end": end, "upto": upto, "deeds": deeds, "part": part, "parts": PARTS}
        found: dict[int, dict[str, int]] = {}
        for payee, name, amount in await fetch(self.work, _SUMS, values):
            found.setdefault(payee, {})[name] = amount
        return found

    async def behind(self, facts: FactsBehind, page: PageRequest) -> Page[CountedFact]:
        """The facts one by one, in the order in which they were noted."""
        (after,) = _BEHIND_IN_ORDER.values_of(page)
        values = {**facts._asdict(), "adding_up": [*DEEDS, *facts.deeds], "after": after or 0, "limit": page.size + 1}
        found = [CountedFact(*row) for row in await fetch(self.work, _BEHIND, values)]
        return _BEHIND_IN_ORDER.page_of(found, page, lambda each: (each.seq,))


def _columns(facts: Sequence[PayeeFact]) -> dict[str, object]:
    return {name: list(each) for name, each in zip(PayeeFact._fields, zip(*facts, strict=True), strict=True)}


_CONTRADICTED = """
    SELECT told.place - 1, noted.day, noted.amount
    FROM unnest(
        %(payee)b::integer[], %(name)b::text[], %(day)b::date[], %(amount)b::integer[], %(key)b::text[]
    ) WITH ORDINALITY AS told (payee, name, day, amount, key, place)
    JOIN payee_facts noted USING (payee, name, key)
    WHERE (noted.day, noted.amount) <> (told.day, told.amount)
    ORDER BY told.place
"""
_ADD = """
    INSERT INTO payee_facts (payee, name, day, amount, key, noted_at, noted_by)
    SELECT payee, name, day, amount, key, %(now)b::timestamptz, %(by)b::text
    FROM unnest(
        %(payee)b::integer[], %(name)b::text[], %(day)b::date[], %(amount)b::integer[], %(key)b::text[]
    ) AS t(payee, name, day, amount, key)
    ON CONFLICT (payee, name, key) DO NOTHING RETURNING 1
"""
_SUMS = """
    SELECT payee, name,
        (CASE WHEN name = ANY(%(deeds)b::text[])
            THEN sum(amount) ELSE (array_agg(amount ORDER BY seq DESC))[1]
        END)::bigint
    FROM payee_facts
    WHERE day >= %(start)b::date AND day < %(end)b::date AND seq <= %(upto)b::bigint
        AND (payee::bigint * 2654435761 %% 4294967296 * %(parts)b::bigint) >> 32 = %(part)b::bigint
    GROUP BY payee, name
"""
_BEHIND = """
    SELECT seq, name, day, amount, key, noted_at, noted_by, counts FROM (
        SELECT *, name = ANY(%(adding_up)b::text[]) OR seq = max(seq) OVER (PARTITION BY name) AS counts
        FROM payee_facts
        WHERE payee = %(payee)b::integer AND seq <= %(upto)b::bigint AND (
            (name = ANY(%(deeds)b::text[]) AND day >= %(deed_start)b::date AND day < %(deed_end)b::date)
            OR (name = ANY(%(scores)b::text[]) AND day >= %(start)b::date AND day < %(end)b::date)
        )
    ) told
    WHERE seq > %(since)b::bigint AND seq > %(after)b::bigint
    ORDER BY seq LIMIT %(limit)b::integer
"""
