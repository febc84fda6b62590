"""Calculations done again beside the original, and where the two come to something else."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from storage.bulk import fetch
from storage.unit_of_work import Repository


class DifferingEarning(NamedTuple):
    """A component of a payee's, by numbers, that comes to something else; None where it was not earned at all."""

    payee: int
    component: int
    before_minor: int | None
    now_minor: int | None


class RepeatedCalculations(Repository):
    """Members taken over, earnings compared."""

    async def take_over_members(self, original: UUID, repeat: UUID) -> None:
        """Let the payees of a repeat be those that were frozen for the original."""
        await fetch(self.work, _TAKE_OVER, {"original": original, "repeat": repeat})

    async def count_differing(self, original: UUID, repeat: UUID) -> int:
        """How many payees have an earning that is not the same in both."""
        ((count,),) = await fetch(self.work, _COUNT, {"original": original, "repeat": repeat})
        return int(count)

    async def differing(self, original: UUID, repeat: UUID, limit: int) -> Sequence[DifferingEarning]:
        """The first earnings that are not the same in both, by payee and component."""
        rows = await fetch(self.work, _DIFFERING, {"original": original, "repeat": repeat, "limit": limit})
        return [DifferingEarning(*row) for row in rows]


_TAKE_OVER = """
    INSERT INTO settlement_members (calculation, part, payee, role, uplines, is_present)
    SELECT %(repeat)b::uuid, part, payee, role, uplines, is_present FROM settlement_members
    WHERE calculation = %(original)b::uuid ORDER BY part, payee
"""
_COUNT = """
    SELECT count(DISTINCT payee)
    FROM (SELECT * FROM settlement_earnings WHERE calculation = %(original)b::uuid) was
    FULL JOIN (SELECT * FROM settlement_earnings WHERE calculation = %(repeat)b::uuid) again
        USING (part, pass, payee, component)
    WHERE (was.base, was.amount_minor) IS DISTINCT FROM (again.base, again.amount_minor)
"""
_DIFFERING = """
    SELECT payee, component, was.amount_minor, again.amount_minor
    FROM (SELECT * FROM settlement_earnings WHERE calculation = %(original)b::uuid) was
    FULL JOIN (SELECT * FROM settlement_earnings WHERE calculation = %(repeat)b::uuid) again
        USING (part, pass, payee, component)
    WHERE (was.base, was.amount_minor) IS DISTINCT FROM (again.base, again.amount_minor)
    ORDER BY payee, pass, component LIMIT %(limit)b::integer
"""
