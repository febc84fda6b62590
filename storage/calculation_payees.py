"""What a calculation gives to each payee, beside what was booked for the same days before: so many at a time.

In the order of their parts no more is read for a page than the part that it begins in, and those after it until the
page is full. Whose sum changes most can only be told from all sums.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Integer, any_, literal, select
from sqlmodel import col

from storage.bulk import fetch
from storage.payees import PayeeRow
from storage.report_texts import filled
from storage.sales import PARTS
from storage.unit_of_work import Repository

_AT_ONCE = 20_000
"""Payees that are added up to find a page of those of them whose sum changes."""


class Compared(NamedTuple):
    """A calculation, and the one that was booked before. members: how many payees it has. changed: only those whose sum
    is another one."""

    calculation: UUID
    before: UUID | None
    members: int
    changed: bool = False


class GivenSum(NamedTuple):
    """What a payee gets, and got before."""

    part: int
    payee: int
    total_minor: int
    before_minor: int


class GivenComponent(NamedTuple):
    """A component of a payee's, by the number that it has in its calculation, and what it was counted by."""

    payee: int
    calculation: UUID
    component: int
    base: int
    amount_minor: int


class CalculationPayees(Repository):
    """Payees of a calculation that it gives something to, or that something was given to before."""

    async def after(self, compared: Compared, part: int, payee: int, limit: int) -> list[GivenSum]:
        """Those after a payee of a part, by part and number."""
        found: list[GivenSum] = []
        step = max(1, min(PARTS, PARTS * _AT_ONCE // max(compared.members, 1)))
        for first in range(part, PARTS, step):
            values = {**compared._asdict(), "first": first, "end": min(first + step, PARTS)}
            begins = {"part": part, "payee": payee, "limit": limit - len(found)}
            found += [GivenSum(*each) for each in await fetch(self.work, _AFTER, {**values, **begins})]
            if len(found) >= limit:
                break
        return found

    async def most_changed(
        self, compared: Compared, place: int, after: Sequence[int | None], limit: int
    ) -> list[GivenSum]:
        """Those whose sum changes most first, then by number. after: the change, below nothing, the number and the
        place of the last one seen; place: this calculation's own among several."""
        less, payee, last = after
        values = {**compared._asdict(), "less": less, "payee": payee, "last": last, "place": place, "limit": limit}
        return [GivenSum(*each) for each in await fetch(self.work, _MOST_CHANGED, values)]

    async def components(self, compared: Compared, sums: Sequence[GivenSum]) -> list[GivenComponent]:
        """What the sums of these payees are made of, in both calculations."""
        return [GivenComponent(*each) for each in await fetch(self.work, _COMPONENTS, _of(compared, sums))]

    async def standing_otherwise(self, compared: Compared, sums: Sequence[GivenSum]) -> set[int]:
        """Those of these payees whose role, uplines or presence were frozen as others than before."""
        return {payee for (payee,) in await fetch(self.work, _OTHERWISE, _of(compared, sums))}

    async def named(self, payees: Collection[int]) -> Mapping[int, tuple[str, str]]:
        """Code and name in clear by number."""
        row = PayeeRow
        wanted = col(row.id) == any_(literal(list(payees), ARRAY(Integer)))
        found = await self.session.execute(select(col(row.id), col(row.code), col(row.name)).where(wanted))
        return {payee: (code, name) for payee, code, name in found}


def _of(compared: Compared, sums: Sequence[GivenSum]) -> dict[str, object]:
    of_payees = {"parts": [each.part for each in sums], "payees": [each.payee for each in sums]}
    return {"calculation": compared.calculation, "before": compared.before, **of_payees}


_GIVEN = """
    SELECT part, payee, total, before FROM (
        SELECT part, payee,
            coalesce(sum(amount_minor) FILTER (WHERE calculation = %(calculation)b::uuid), 0)::bigint AS total,
            coalesce(sum(amount_minor) FILTER (WHERE calculation = %(before)b::uuid), 0)::bigint AS before
        FROM settlement_earnings
        WHERE calculation = ANY(ARRAY[%(calculation)b::uuid, %(before)b::uuid]) {within}
        GROUP BY part, payee
    ) given
    WHERE (NOT %(changed)b::boolean OR total <> before)
"""
_AFTER = filled(
    "{given} ORDER BY part, payee LIMIT %(limit)b::integer",
    given=_GIVEN,
    within="""
        AND part >= %(first)b::smallint AND part < %(end)b::smallint
        AND (part, payee::bigint) > (%(part)b::smallint, %(payee)b::bigint)
    """,
)
_MOST_CHANGED = filled(
    """
    {given}
    AND (
        %(less)b::bigint IS NULL OR (-abs(total - before), payee::bigint, %(place)b::bigint)
            > (%(less)b::bigint, %(payee)b::bigint, %(last)b::bigint)
    )
    ORDER BY -abs(total - before), payee LIMIT %(limit)b::integer
    """,
    given=_GIVEN,
    within="",
)
_COMPONENTS = """
    SELECT e.payee, e.calculation, e.component, e.base, e.amount_minor
    FROM unnest(%(parts)b::smallint[], %(payees)b::integer[]) AS wanted (part, payee)
    CROSS JOIN unnest(ARRAY[1, 2]::smallint[]) AS of (pass)
    JOIN settlement_earnings e ON e.calculation = ANY(ARRAY[%(calculation)b::uuid, %(before)b::uuid])
        AND e.part = wanted.part AND e.pass = of.pass AND e.payee = wanted.payee
"""
_OTHERWISE = """
    SELECT wanted.payee
    FROM unnest(%(parts)b::smallint[], %(payees)b::integer[]) AS wanted (part, payee)
    LEFT JOIN settlement_members now
        ON now.calculation = %(calculation)b::uuid AND now.part = wanted.part AND now.payee = wanted.payee
    LEFT JOIN settlement_members was
        ON was.calculation = %(before)b::uuid AND was.part = wanted.part AND was.payee = wanted.payee
    WHERE (now.role, now.uplines, now.is_present) IS DISTINCT FROM (was.role, was.uplines, was.is_present)
"""
