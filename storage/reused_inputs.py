"""Payees of a calculation that goes by what was frozen for another one."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, text
from sqlmodel import col

from storage.bulk import fetch
from storage.calculation_tables import MemberRow
from storage.calculations import Membership
from storage.sales import PARTS
from storage.unit_of_work import Repository


class Frozen(NamedTuple):
    """A calculation whose payees are taken over. roles: of its scheme, any when there are none; levels: so many were
    looked at above everybody."""

    calculation: UUID
    roles: list[str]
    levels: int


class ReusedInputs(Repository):
    """Members of one calculation for another one."""

    async def take_members(self, source: Frozen, wanted: Membership) -> int:
        """Let those of the source take part as they did, as far as they are of the wanted roles; how many are present.

        Who has a role that the source did not ask for, and who is above the levels that it looked at, are told as they
        are known by now: `Membership.own_cycle` has to be the source's.
        """
        values = {
            **wanted._asdict(),
            "parts": PARTS,
            "source": source.calculation,
            "source_roles": source.roles,
            "source_levels": source.levels,
            "asks_for_more": asks_for_more(source, wanted),
        }
        await self.session.execute(delete(MemberRow).where(col(MemberRow.calculation) == wanted.calculation))
        # How many of whom is unknown to the planner: it would go through all of them for each.
        await self.session.execute(_NEVER_ONE_BY_ONE)
        ((count,),) = await fetch(self.work, _TAKE_MEMBERS, values)
        await self.session.execute(_AS_EVER)
        return int(count)


def asks_for_more(source: Frozen, wanted: Membership) -> bool:
    """Whether somebody takes part, or is above, who was not looked at for the source."""
    has_all_roles = not source.roles or (bool(wanted.roles) and set(wanted.roles) <= set(source.roles))
    return wanted.levels > source.levels or not has_all_roles


_NEVER_ONE_BY_ONE, _AS_EVER = (text(f"SELECT set_config('enable_nestloop', '{way}', true)") for way in ("off", "on"))
_TAKE_MEMBERS = """
    WITH was AS (
        SELECT part, payee, role, uplines, is_present FROM settlement_members WHERE calculation = %(source)b::uuid
    ), now AS MATERIALIZED (
        SELECT * FROM settlement_membership(
            '{}', %(cycle)b::text, %(own_cycle)b::text, %(start)b::date, %(end)b::date, %(levels)b::integer
        )
        WHERE %(asks_for_more)b::boolean
    ), new AS (
        INSERT INTO settlement_members (calculation, part, payee, role, uplines, is_present)
        SELECT %(calculation)b::uuid, m.part, m.payee, m.role, m.uplines, m.is_present
        FROM (
            SELECT was.part, was.payee, was.role, CASE
                    WHEN cardinality(was.uplines) = %(source_levels)b::integer
                        AND now.uplines[1:%(source_levels)b::integer] = was.uplines
                    THEN now.uplines ELSE was.uplines[1:%(levels)b::integer]
                END AS uplines, was.is_present
            FROM was LEFT JOIN now ON now.payee = was.payee
            UNION ALL
            SELECT (now.payee::bigint * 2654435761 %% 4294967296 * %(parts)b::bigint) >> 32,
                now.payee, now.role, now.uplines, now.is_present
            FROM now
            WHERE %(source_roles)b::text[] <> '{}' AND now.role <> ALL (%(source_roles)b::text[])
                AND NOT EXISTS (SELECT FROM was WHERE was.payee = now.payee)
        ) m
        WHERE %(roles)b::text[] = '{}' OR m.role = ANY (%(roles)b::text[])
        ORDER BY 2, 3
        RETURNING is_present
    )
    SELECT count(*) FILTER (WHERE is_present) FROM new
"""
