"""Calculations of settlement: what was frozen, what it came to, part by part.

A part is written whole, in one transaction, and written again by the same rows however often it is done: a calculation
is never half one thing and half another, and an attempt that comes late changes nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.settlement.calculation import BOUNDS, Earned, Member, Passed
from storage.bulk import fetch
from storage.calculation_tables import CalculationRow, MemberRow, PartRow
from storage.locks import lock
from storage.paging import Keys, Order, Page, PageRequest, paginate
from storage.sales import PARTS, part_of
from storage.unit_of_work import Repository

_BOUNDS = -1
"""What stands for `BOUNDS` among the numbers of components."""


class Part(NamedTuple):
    """What a part of a pass came to."""

    number: int
    digest: str
    payees: int
    amount_minor: int


class Membership(NamedTuple):
    """Who takes part in a calculation of the period `[start, end)`: payees of these roles (any, when there are none)
    whose cycle is this one, with who is above them on its last day, so many levels up. own_cycle: of payees who have
    none of their own. Who was not active on any of the days takes part as well: they may have sales."""

    calculation: UUID
    roles: list[str]
    cycle: str
    own_cycle: str
    start: date
    end: date
    levels: int


class BelowEarned(NamedTuple):
    """What somebody so many levels below earned; before_minor: in the calculation that it is compared with."""

    payee: int
    level: int
    amount_minor: int
    before_minor: int | None


_BELOW = Keys("earned-below", (int, int))
_NEWEST_FIRST = Order("calculations", (CalculationRow.asked_at, CalculationRow.id))


class Calculations(Repository):
    """Calculations and their parts."""

    async def add(self, row: CalculationRow) -> CalculationRow:
        """The calculation of this id; made now if it is not there."""
        await self.session.execute(insert(CalculationRow).values(row.model_dump()).on_conflict_do_nothing())
        found = await self.session.get(CalculationRow, row.id)
        if found is None:
            raise LookupError(row.id)
        return found

    async def find(self, calculation: UUID, *, for_update: bool = False) -> CalculationRow | None:
        return await self.session.get(CalculationRow, calculation, with_for_update=for_update or None)

    async def search(self, page: PageRequest, *, scheme: str | None = None) -> Page[CalculationRow]:
        """Calculations, the newest first."""
        statement = select(CalculationRow)
        if scheme is not None:
            statement = statement.where(col(CalculationRow.scheme) == scheme)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, lambda row: row)

    async def unfinished(self, before: datetime, limit: int) -> list[CalculationRow]:
        """Calculations that were only tried, asked for before an instant, that came to no end yet, the oldest first;
        those of a settlement are its own workflow's."""
        row = CalculationRow
        tried = (col(row.state).in_(("asked", "frozen")), col(row.purpose).in_(("preview", "what-if", "repeat")))
        statement = select(row).where(*tried, col(row.asked_at) < before)
        return list(await self.session.scalars(statement.order_by(col(row.asked_at)).limit(limit)))

    async def freeze_members(self, membership: Membership, as_in: UUID | None = None) -> int:
        """Write down who takes part; how many are present. as_in: all who took part in that calculation as they did."""
        await self.session.execute(delete(MemberRow).where(col(MemberRow.calculation) == membership.calculation))
        ((count,),) = await fetch(self.work, _FREEZE, {**membership._asdict(), "parts": PARTS, "as_in": as_in})
        return int(count)

    async def members_changed(self, membership: Membership, limit: int) -> list[int]:
        """Payees who would be present, or paid, otherwise now than they were in the calculation."""
        return [payee for (payee,) in await fetch(self.work, _CHANGED, {**membership._asdict(), "limit": limit})]

    async def members(self, calculation: UUID, part: int) -> list[Member]:
        """Those of a part, by number."""
        rows = await fetch(self.work, _MEMBERS, {"calculation": calculation, "part": part})
        return [Member(payee, role, tuple(uplines), present) for payee, role, uplines, present in rows]

    async def hold(self, calculation: UUID, pass_: int, part: int) -> None:
        """Let nobody else write this part until the unit of work ends."""
        await lock(self.work, f"settlement/{calculation}/{pass_}/{part}")

    async def is_computed(self, calculation: UUID) -> bool:
        """Whether a calculation is computed; if it is not, it does not become so until the unit of work ends."""
        statement = select(col(CalculationRow.state)).where(col(CalculationRow.id) == calculation)
        return (await self.session.scalar(statement.with_for_update(read=True))) == "computed"

    async def write(self, row: CalculationRow, pass_: int, part: int, earned: Sequence[Earned], done: Part) -> None:
        """Let a part of a pass be these earnings, and nothing else."""
        of_part = {"calculation": row.id, "pass": pass_, "part": part}
        await fetch(self.work, _FORGET, of_part)
        numbers = _numbers(row)
        values: dict[str, Any] = {
            "payees": [each.payee for each in earned],
            "components": [numbers[each.component] for each in earned],
            "bases": [each.base for each in earned],
            "amounts": [each.amount for each in earned],
        }
        await fetch(self.work, _WRITE, {**of_part, **values})
        result = {"digest": done.digest, "members": done.payees, "amount": done.amount_minor, "now": self.now}
        await fetch(self.work, _DONE, {**of_part, **result})

    async def write_passed(self, row: CalculationRow, part: int, passed: Sequence[Passed]) -> None:
        """Let what a part lets uplines see be this, and nothing else."""
        numbers = _numbers(row)
        values = {
            "calculation": row.id,
            "part": part,
            "uplines": [each.upline for each in passed],
            "parts": [part_of(each.upline) for each in passed],
            "components": [numbers[each.component] for each in passed],
            "levels": [each.level for each in passed],
            "bases": [each.base for each in passed],
            "earned": [each.earned for each in passed],
        }
        await fetch(self.work, _FORGET_PASSED, {"calculation": row.id, "part": part})
        await fetch(self.work, _LET_SEE, values)

    async def passed(self, row: CalculationRow, part: int) -> list[Passed]:
        """What uplines of a part get to see, added up over all parts."""
        rows = await fetch(self.work, _SEEN, {"calculation": row.id, "part": part})
        return [
            Passed(upline, row.components[component], level, base, earned)
            for upline, component, level, base, earned in rows
        ]

    async def earned(self, row: CalculationRow, part: int, pass_: int | None = None) -> Iterator[Earned]:
        """What payees of a part earned, by payee and component; in one pass only, when it is given."""
        rows = await fetch(self.work, _EARNED, {"calculation": row.id, "part": part, "pass": pass_})
        names = names_of(row)
        return (Earned(payee, names[component], base, amount) for payee, component, base, amount in rows)

    async def earned_by(self, row: CalculationRow, payee: int) -> list[Earned]:
        """What one payee earned, in the order of the components."""
        values = {"calculation": row.id, "part": part_of(payee), "payee": payee}
        names = names_of(row)
        return [Earned(payee, names[number], *rest) for number, *rest in await fetch(self.work, _EARNED_BY, values)]

    async def totals(self, row: CalculationRow, part: int, pass_: int) -> dict[int, int]:
        """What each payee of a part earned in a pass."""
        rows = await fetch(self.work, _TOTALS, {"calculation": row.id, "part": part, "pass": pass_})
        return {payee: int(amount) for payee, amount in rows}

    async def parts(self, calculation: UUID, pass_: int | None = None) -> list[tuple[int, Part]]:
        """The parts that are done, by pass and number."""
        row = PartRow
        statement = select(row).where(col(row.calculation) == calculation).order_by(col(row.pass_), col(row.part))
        if pass_ is not None:
            statement = statement.where(col(row.pass_) == pass_)
        found = await self.session.scalars(statement)
        return [(each.pass_, Part(each.part, each.digest, each.payees, each.amount_minor)) for each in found]

    async def parts_done(self, calculations: Collection[UUID]) -> Mapping[UUID, int]:
        """How many parts of both passes are done, by calculation; nothing of one that has none."""
        row = PartRow
        wanted = col(row.calculation).in_(calculations)
        statement = select(col(row.calculation), func.count()).where(wanted).group_by(col(row.calculation))
        found = await self.session.execute(statement)
        return {row[0]: row[1] for row in found}

    async def by_component(self, row: CalculationRow) -> list[tuple[str, int, int]]:
        """What each component comes to over all payees: its name, how many payees, the sum."""
        names = names_of(row)
        rows = await fetch(self.work, _BY_COMPONENT, {"calculation": row.id})
        return [(names[component], count, int(amount)) for component, count, amount in rows]

    async def downline(self, row: CalculationRow, payee: int, level: int) -> list[int]:
        """Who was below a payee, so many levels."""
        values = {"calculation": row.id, "payee": payee, "level": level}
        return [each for (each,) in await fetch(self.work, _DOWNLINE, values)]

    async def earned_below(
        self,
        row: CalculationRow,
        payee: int,
        component: str,
        levels: int,
        page: PageRequest,
        before: CalculationRow | None,
    ) -> Page[BelowEarned]:
        """What those below a payee earned by a component, down to so many levels, who earned most first; beside another
        calculation only those who earned something else by it."""
        amount, last = _BELOW.values_of(page)
        values = {
            "calculation": row.id,
            "component": _numbers(row)[component],
            "before": before.id if before is not None else None,
            "component_before": _numbers(before).get(component) if before is not None else None,
            "payee": payee,
            "levels": levels,
            "amount": amount,
            "last": last,
            "limit": page.size + 1,
        }
        found = [BelowEarned(*each) for each in await fetch(self.work, _EARNED_BELOW, values)]
        return _BELOW.page_of(found, page, lambda each: (-each.amount_minor, each.payee))

    async def highest(self, row: CalculationRow, limit: int) -> list[tuple[int, int]]:
        """The payees who earned most, with their sums."""
        rows = await fetch(self.work, _HIGHEST, {"calculation": row.id, "limit": limit})
        return [(payee, int(amount)) for payee, amount in rows]


def rates_of(row: CalculationRow) -> Mapping[str, Decimal]:
    """The frozen rates by currency."""
    return {currency: Decimal(rate) for currency, rate in (row.rates or {}).items()}


def _numbers(row: CalculationRow) -> Mapping[str, int]:
    return {**{name: number for number, name in enumerate(row.components)}, BOUNDS: _BOUNDS}


def names_of(row: CalculationRow) -> Mapping[int, str]:
    """Its components by number."""
    return {number: name for name, number in _numbers(row).items()}


_FREEZE = """
    WITH was AS (
        SELECT payee, role, uplines, is_present FROM settlement_members WHERE calculation = %(as_in)b::uuid
    ), new AS (
        INSERT INTO settlement_members (calculation, part, payee, role, uplines, is_present)
        SELECT %(calculation)b::uuid, ((m.payee::bigint * 2654435761) %% 4294967296 * %(parts)b::bigint) >> 32,
            m.payee, m.role, m.uplines, m.is_present
        FROM (
            SELECT * FROM was
            UNION ALL
            SELECT now.payee, now.role, now.uplines, now.is_present FROM settlement_membership(
                %(roles)b::text[], %(cycle)b::text, %(own_cycle)b::text, %(start)b::date, %(end)b::date,
                %(levels)b::integer
            ) now
            WHERE NOT EXISTS (SELECT FROM was WHERE was.payee = now.payee)
        ) m
        ORDER BY 2, 3
        RETURNING is_present
    )
    SELECT count(*) FILTER (WHERE is_present) FROM new
"""
_CHANGED = """
    SELECT coalesce(now.payee, was.payee)
    FROM settlement_membership(
        %(roles)b::text[], %(cycle)b::text, %(own_cycle)b::text, %(start)b::date, %(end)b::date, %(levels)b::integer
    ) now
    FULL JOIN (SELECT * FROM settlement_members WHERE calculation = %(calculation)b::uuid) was ON was.payee = now.payee
    WHERE (now.is_present OR was.is_present)
        AND (now.is_present, now.role, now.uplines) IS DISTINCT FROM (was.is_present, was.role, was.uplines)
    ORDER BY 1 LIMIT %(limit)b::integer
"""
_MEMBERS = """
    SELECT payee, role, uplines, is_present FROM settlement_members
    WHERE calculation = %(calculation)b::uuid AND part = %(part)b::smallint ORDER BY payee
"""
_FORGET = """
    DELETE FROM settlement_earnings
    WHERE calculation = %(calculation)b::uuid AND part = %(part)b::smallint AND pass = %(pass)b::smallint
"""
_WRITE = """
    INSERT INTO settlement_earnings (calculation, base, amount_minor, payee, part, pass, component)
    SELECT %(calculation)b::uuid, base, amount, payee, %(part)b::smallint, %(pass)b::smallint, component
    FROM unnest(
        %(bases)b::bigint[], %(amounts)b::bigint[], %(payees)b::integer[], %(components)b::smallint[]
    ) AS t(base, amount, payee, component)
"""
_DONE = """
    INSERT INTO settlement_parts (calculation, pass, part, digest, payees, amount_minor, done_at)
    VALUES (
        %(calculation)b::uuid, %(pass)b::smallint, %(part)b::smallint, %(digest)b::text, %(members)b::integer,
        %(amount)b::bigint, %(now)b::timestamptz
    )
    ON CONFLICT (calculation, pass, part) DO UPDATE SET
        digest = excluded.digest, payees = excluded.payees, amount_minor = excluded.amount_minor,
        done_at = excluded.done_at
"""
_FORGET_PASSED = """
    DELETE FROM settlement_passed
    WHERE calculation = %(calculation)b::uuid AND from_part = %(part)b::smallint
        AND to_part = ANY(SELECT generate_series(0, 15)::smallint)
"""
_LET_SEE = """
    INSERT INTO settlement_passed (calculation, base, earned, upline, to_part, from_part, component, level)
    SELECT %(calculation)b::uuid, base, earned, upline, to_part, %(part)b::smallint, component, level
    FROM unnest(
        %(bases)b::bigint[], %(earned)b::bigint[], %(uplines)b::integer[], %(parts)b::smallint[],
        %(components)b::smallint[], %(levels)b::smallint[]
    ) AS t(base, earned, upline, to_part, component, level)
"""
_SEEN = """
    SELECT upline, component, level, sum(base)::bigint, sum(earned)::bigint FROM settlement_passed
    WHERE calculation = %(calculation)b::uuid AND to_part = %(part)b::smallint
    GROUP BY upline, component, level ORDER BY upline, component, level
"""
_EARNED = """
    SELECT payee, component, base, amount_minor FROM settlement_earnings
    WHERE calculation = %(calculation)b::uuid AND part = %(part)b::smallint
        AND (%(pass)b::smallint IS NULL OR pass = %(pass)b::smallint)
    ORDER BY payee, pass, component
"""
_EARNED_BY = """
    SELECT component, base, amount_minor FROM settlement_earnings
    WHERE calculation = %(calculation)b::uuid AND part = %(part)b::smallint AND payee = %(payee)b::integer
    ORDER BY component < 0, component
"""
_TOTALS = """
    SELECT payee, sum(amount_minor)::bigint FROM settlement_earnings
    WHERE calculation = %(calculation)b::uuid AND part = %(part)b::smallint AND pass = %(pass)b::smallint
    GROUP BY payee
"""
_BY_COMPONENT = """
    SELECT component, count(*), sum(amount_minor)::bigint FROM settlement_earnings
    WHERE calculation = %(calculation)b::uuid GROUP BY component ORDER BY component < 0, component
"""
_DOWNLINE = """
    SELECT payee FROM settlement_members
    WHERE calculation = %(calculation)b::uuid AND uplines[%(level)b::integer] = %(payee)b::integer ORDER BY payee
"""
_EARNED_BELOW = """
    WITH below AS (
        SELECT m.calculation, e.payee, array_position(m.uplines, %(payee)b::integer) AS level, e.amount_minor AS amount
        FROM settlement_members m
        JOIN settlement_earnings e ON e.calculation = m.calculation AND e.part = m.part AND e.payee = m.payee
        WHERE %(payee)b::integer = ANY(m.uplines[1:%(levels)b::integer]) AND (
            (m.calculation = %(calculation)b::uuid AND e.component = %(component)b::smallint)
            OR (m.calculation = %(before)b::uuid AND e.component = %(component_before)b::smallint)
        )
    ), told AS (
        SELECT payee, coalesce(again.level, was.level)::integer AS level, coalesce(again.amount, 0) AS amount,
            CASE WHEN %(before)b::uuid IS NOT NULL THEN coalesce(was.amount, 0) END AS before
        FROM (SELECT * FROM below WHERE calculation = %(calculation)b::uuid) again
        FULL JOIN (SELECT * FROM below WHERE calculation = %(before)b::uuid) was USING (payee)
    )
    SELECT payee, level, amount, before FROM told
    WHERE amount IS DISTINCT FROM before
        AND (%(amount)b::bigint IS NULL OR (-amount, payee) > (%(amount)b::bigint, %(last)b::bigint))
    ORDER BY -amount, payee LIMIT %(limit)b::integer
"""
_HIGHEST = """
    SELECT payee, sum(amount_minor)::bigint AS amount FROM settlement_earnings
    WHERE calculation = %(calculation)b::uuid GROUP BY payee ORDER BY amount DESC, payee LIMIT %(limit)b::integer
"""
