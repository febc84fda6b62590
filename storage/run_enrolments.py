"""Whom runs took in, or whose they turn out to be, and which of them writes to somebody who is in several."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select as sa_select
from sqlalchemy import text, update
from sqlmodel import col

from domain.catalog.customers import TAG, UNTAG
from storage.bulk import array_literal, fetch
from storage.runs import RunRow
from storage.unit_of_work import Repository


@dataclass(frozen=True, slots=True)
class EnrolledRun:
    """A run that took somebody in. enrolled: as it was called then. is_open: whether it has not ended. account_id: the
    shop that it belongs to, None when to none.

    reached_at: when it first was about to write to them; None when it never was, or left it to another run.
    """

    id: str
    namespace: str
    name: str
    enrolled: str
    entered_at: datetime
    is_open: bool
    account_id: str | None = None
    reached_at: datetime | None = None


# Before a run writes, its effect is there. One of which none is left any more may have written long ago.
_IDLE = text(
    """
    WITH RECURSIVE parts (root, id, ended_at) AS (
        SELECT id, id, ended_at FROM runs WHERE id = ANY(:ids)
        UNION ALL
        SELECT parts.root, child.id, child.ended_at FROM parts JOIN runs child ON child.parent_id = parts.id
    ),
    done AS (
        SELECT parts.root, parts.ended_at IS NULL
            OR EXISTS (SELECT FROM human_tasks WHERE run_id = parts.id)
            OR EXISTS (
                SELECT FROM effects WHERE run_id = parts.id AND state <> 'failed' AND NOT call = ANY(:harmless)
                AND NOT (state = 'finished' AND EXISTS (
                    SELECT FROM touches WHERE touches.key = effects.key AND skipped_reason IS NOT NULL))
            ) AS something,
            EXISTS (SELECT FROM effects WHERE run_id = parts.id) AS is_on_record
        FROM parts
    )
    SELECT root FROM done JOIN runs ON runs.id = root
    GROUP BY root, reached_at HAVING NOT bool_or(something) AND (reached_at IS NULL OR bool_or(is_on_record))
    """
)

_TAKE_SUBJECTS = """
    UPDATE runs SET subjects = runs.subjects || given.more::text[], customer = coalesce(runs.customer, given.id)
    FROM unnest(%(accounts)b::text[], %(subjects)b::text[], %(more)b::text[], %(ids)b::text[])
        AS given (account_id, subject, more, id)
    WHERE runs.ended_at IS NULL AND runs.account_id = given.account_id AND runs.subjects @> ARRAY[given.subject]
        AND NOT EXISTS (SELECT FROM unnest(runs.subjects) AS one
            WHERE starts_with(one, %(kind)b::text || ':') AND strpos(one, '/') = 0)
"""


class RunEnrolments(Repository):
    """The runs that took somebody in (`domain.enrolments`)."""

    async def enrolled(self, names: Collection[str], *, is_open: bool = False) -> list[EnrolledRun]:
        """The runs that took in one of these (`customer:{id}`), the oldest first; with `is_open` those not ended."""
        row = RunRow
        statement = (
            sa_select(
                col(row.id),
                col(row.namespace),
                col(row.name),
                col(row.enrolled),
                col(row.created_at),
                col(row.ended_at).is_(None),
                col(row.account_id),
                col(row.reached_at),
            )
            .where(col(row.enrolled).in_(names))
            .order_by(col(row.created_at), col(row.id))
        )
        if is_open:
            statement = statement.where(col(row.ended_at).is_(None))
        rows = (await self.session.execute(statement)) if names else ()
        return [
            EnrolledRun(run, flow, name, enrolled or "", at, still, shop, reached)
            for run, flow, name, enrolled, at, still, shop, reached in rows
        ]

    async def idle(self, run_ids: Collection[str]) -> set[str]:
        """Those of the runs that ended, and all that they started, without having done anything for whom they took in:
        no person's task, and no effect but tags, what certainly failed, and messages that were not sent."""
        if not run_ids:
            return set()
        given = {"ids": list(run_ids), "harmless": [TAG.name, UNTAG.name]}
        return set(await self.session.scalars(_IDLE, given))

    async def release(self, run_ids: Collection[str]) -> None:
        """Let runs that ended not be the ones that write any more; another one is."""
        statement = update(RunRow).where(col(RunRow.id).in_(run_ids), col(RunRow.ended_at).is_not(None))
        await self.session.execute(statement.values(reached_at=None))

    async def note_reached(self, run_id: str) -> None:
        """Remember that this run writes to whom it took in; the first time counts."""
        statement = update(RunRow).where(col(RunRow.id) == run_id, col(RunRow.reached_at).is_(None))
        await self.session.execute(statement.values(reached_at=self.now))

    async def take_subjects(self, known: Mapping[tuple[str, str], Sequence[str]], kind: str) -> None:
        """Let open runs of an account about a subject be about these of one kind too (at least one, its id today the
        first), unless they are about one of that kind already that Tandem itself numbers."""
        if not known:
            return
        accounts, subjects = zip(*known, strict=True)
        given = {
            "accounts": list(accounts),
            "subjects": list(subjects),
            "more": [array_literal(names) for names in known.values()],
            "ids": [names[0].partition(":")[2] for names in known.values()],
            "kind": kind,
        }
        await fetch(self.work, _TAKE_SUBJECTS, given)
