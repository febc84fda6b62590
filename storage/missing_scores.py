"""Payees of a calculation who were given no score that their earnings go by."""

from collections.abc import Sequence
from typing import NamedTuple

from storage.bulk import fetch
from storage.calculation_tables import CalculationRow
from storage.unit_of_work import Repository


class MissingScore(NamedTuple):
    """How many have none of this name, and the first of them, by code."""

    score: str
    payees: int
    some: Sequence[str]


class MissingScores(Repository):
    """Scores that nobody had noted when a calculation was frozen."""

    async def of(
        self,
        row: CalculationRow,
        by_component: Sequence[tuple[str, str]],
        by_role: Sequence[tuple[str, str]],
        shown: int,
    ) -> list[MissingScore]:
        """By name of score. by_component: scores with a component whose coefficient they are; who has a base there
        needs one. by_role: scores with a role; whoever was present in it, or in any where it is empty, needs one."""
        numbers = {name: number for number, name in enumerate(row.components)}
        values = {
            "calculation": row.id,
            "start": row.start,
            "end": row.end,
            "upto": row.facts_upto or 0,
            "coefficients": [score for score, _ in by_component],
            "components": [numbers[component] for _, component in by_component],
            "scores": [score for score, _ in by_role],
            "roles": [role for _, role in by_role],
            "shown": shown,
        }
        return [MissingScore(*each) for each in await fetch(self.work, _MISSING, values)]


_MISSING = """
    WITH needed AS (
        SELECT w.score, e.payee
        FROM unnest(%(coefficients)b::text[], %(components)b::smallint[]) AS w (score, component)
        JOIN settlement_earnings e
            ON e.calculation = %(calculation)b::uuid AND e.component = w.component AND e.base <> 0
        UNION
        SELECT w.score, m.payee
        FROM unnest(%(scores)b::text[], %(roles)b::text[]) AS w (score, role)
        JOIN settlement_members m
            ON m.calculation = %(calculation)b::uuid AND m.is_present AND w.role IN ('', m.role)
    )
    SELECT needed.score, count(*), (array_agg(y.code ORDER BY y.code))[:%(shown)b::integer]
    FROM needed JOIN payees y ON y.id = needed.payee
    WHERE NOT EXISTS (
        SELECT FROM payee_facts f
        WHERE f.payee = needed.payee AND f.name = needed.score
            AND f.day >= %(start)b::date AND f.day < %(end)b::date AND f.seq <= %(upto)b::bigint
    )
    GROUP BY needed.score ORDER BY needed.score
"""
