"""Who is settled by one cycle while somebody above them is by another, and earns nothing by them then."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.settlement.upline_ways import UplineWay
from storage.bulk import fetch
from storage.calculations import Membership
from storage.unit_of_work import Repository


class UplineElsewhere(NamedTuple):
    """A payee, and who is above them but settled by this other cycle; both by code."""

    payee: str
    upline: str
    cycle: str


class ElsewhereSome(NamedTuple):
    """The first of them, and how many there are."""

    some: Sequence[UplineElsewhere]
    total: int


class UplinesElsewhere(Repository):
    """Uplines who would earn by a member of a calculation, were they settled by its cycle."""

    async def above_those_to_be(self, membership: Membership, ways: Sequence[UplineWay], limit: int) -> ElsewhereSome:
        """Above who would take part as things stand."""
        return await self._found(membership, ways, limit, frozen=False)

    async def above_members(self, membership: Membership, ways: Sequence[UplineWay], limit: int) -> ElsewhereSome:
        """Above who was written down to take part."""
        return await self._found(membership, ways, limit, frozen=True)

    async def _found(
        self, membership: Membership, ways: Sequence[UplineWay], limit: int, *, frozen: bool
    ) -> ElsewhereSome:
        # An empty word stands for all roles.
        told = [
            (each.level, above, below)
            for each in ways
            for above in each.above or ("",)
            for below in each.below or ("",)
        ]
        if not told:
            return ElsewhereSome((), 0)
        way_levels, aboves, belows = (list(each) for each in zip(*told, strict=True))
        values = {"way_levels": way_levels, "aboves": aboves, "belows": belows, "frozen": frozen, "limit": limit}
        rows = await fetch(self.work, _ABOVE, {**membership._asdict(), **values})
        return ElsewhereSome([UplineElsewhere(*each) for *each, _ in rows], int(rows[0][-1]) if rows else 0)


# The last condition spares all others the work: by the scheme's own cycle, whoever has none of their own is there.
_ABOVE = """
    WITH members AS (
        SELECT payee, role, uplines FROM settlement_members
        WHERE %(frozen)b::boolean AND calculation = %(calculation)b::uuid AND is_present
        UNION ALL
        SELECT payee, role, uplines FROM settlement_membership(
            %(roles)b::text[], %(cycle)b::text, %(own_cycle)b::text, %(start)b::date, %(end)b::date,
            %(levels)b::integer
        )
        WHERE NOT %(frozen)b::boolean AND is_present
    )
    SELECT below.code, above.code, coalesce(s.cycle, %(own_cycle)b::text), count(*) OVER ()
    FROM members m
    CROSS JOIN LATERAL unnest(m.uplines) WITH ORDINALITY AS u (upline, level)
    JOIN payees_standing(%(start)b::date, %(end)b::date) s ON s.payee = u.upline
    JOIN payees below ON below.id = m.payee
    JOIN payees above ON above.id = u.upline
    WHERE s.is_present AND coalesce(s.cycle, %(own_cycle)b::text) <> %(cycle)b::text
        AND (%(roles)b::text[] = '{}' OR s.role = ANY(%(roles)b::text[]))
        AND EXISTS (
            SELECT FROM unnest(%(way_levels)b::integer[], %(aboves)b::text[], %(belows)b::text[])
                AS way (level, above, below)
            WHERE way.level = u.level AND way.above IN ('', s.role) AND way.below IN ('', m.role)
        )
        AND (%(cycle)b::text <> %(own_cycle)b::text OR EXISTS (SELECT FROM payee_terms WHERE cycle IS NOT NULL))
    ORDER BY above.code, below.code LIMIT %(limit)b::integer
"""
