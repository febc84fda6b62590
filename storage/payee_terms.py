"""Payees' terms, each from a day on, and how payees were settled in periods that are closed."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ForeignKey, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import AutoString, Field, col

from domain.settlement.payee_terms import PayeeTerms
from domain.settlement.scheme import Cycle
from storage.bulk import fetch
from storage.locks import lock
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LOCK = "payee-terms"


class PayeeTermRow(Table, table=True):
    """What holds of a payee from a Shanghai day on, until the next such row; before their first one, that as well, but
    they are present in no period then."""

    __tablename__ = "payee_terms"
    payee: int = Field(primary_key=True, sa_column_args=[ForeignKey("payees.id")])
    since: date = Field(primary_key=True)
    role: str
    cycle: Cycle | None = Field(default=None, sa_type=AutoString, nullable=True)
    active: bool
    set_at: datetime = instant()
    set_by: str


class ClosedPeriod(NamedTuple):
    """A closed period, and the calculation that was booked for it last, by which version of its scheme."""

    calculation: UUID
    scheme: str
    version: str
    cycle: Cycle
    start: date
    end: date


class PayeeTermBook(Repository):
    """Terms by payee."""

    async def hold(self) -> None:
        """Let nobody else change terms, or close a period, until this unit of work ends: what is closed stays what the
        terms say."""
        await lock(self.work, _LOCK)

    async def of(self, payees: Collection[int]) -> dict[int, list[PayeeTerms]]:
        """The terms of payees, in order."""
        row = PayeeTermRow
        statement = select(row).where(col(row.payee).in_(payees)).order_by(col(row.payee), col(row.since))
        found: dict[int, list[PayeeTerms]] = defaultdict(list)
        for each in await self.session.scalars(statement):
            found[each.payee].append(PayeeTerms(each.since, each.role, each.cycle, each.active))
        return dict(found)

    async def set(self, told: Mapping[int, PayeeTerms], by: str) -> None:
        """Note what holds of payees from a day on; the same day said again counts anew."""
        values = [
            {**each._asdict(), "payee": payee, "set_at": self.now, "set_by": by} for payee, each in sorted(told.items())
        ]
        if values:
            statement = insert(PayeeTermRow).values(values)
            changed = {name: statement.excluded[name] for name in ("role", "cycle", "active", "set_at", "set_by")}
            await self.session.execute(statement.on_conflict_do_update(index_elements=["payee", "since"], set_=changed))

    async def take_effect(self, day: date) -> int:
        """Let payees be what holds of them on a day; how many were something else."""
        return len(await fetch(self.work, _TAKE_EFFECT, {"day": day, "now": self.now}))

    async def closed_after(self, day: date) -> list[ClosedPeriod]:
        """The closed periods of all schemes that end after a day, the earliest first."""
        return [ClosedPeriod(*each) for each in await fetch(self.work, _CLOSED_AFTER, {"day": day})]

    async def settled_roles(
        self, calculations: Collection[UUID], payees: Collection[int]
    ) -> Mapping[tuple[UUID, int], str]:
        """In which role calculations paid those of the payees who were present."""
        values = {"calculations": list(calculations), "payees": list(payees)}
        return {(each, payee): role for each, payee, role in await fetch(self.work, _SETTLED, values)}


_TAKE_EFFECT = """
    UPDATE payees p
    SET role = t.role, cycle = t.cycle, active = t.active, version = p.version + 1, changed_at = %(now)b::timestamptz
    FROM (
        SELECT DISTINCT ON (payee) payee, role, cycle, active FROM payee_terms
        WHERE since <= %(day)b::date ORDER BY payee, since DESC
    ) t
    WHERE p.id = t.payee AND (p.role, p.cycle, p.active) IS DISTINCT FROM (t.role, t.cycle, t.active)
    RETURNING 1
"""
_CLOSED_AFTER = """
    SELECT last.calculation, p.scheme, booked.version, p.cycle, p.start, p."end" FROM settlement_periods p
    JOIN LATERAL (
        SELECT c.calculation FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
        WHERE c.origin = p.id AND r.state = 'booked' ORDER BY r.number DESC LIMIT 1
    ) last ON true
    JOIN settlement_calculations booked ON booked.id = last.calculation
    WHERE p.closed_at IS NOT NULL AND p."end" > %(day)b::date
    ORDER BY p.start, p.id
"""
_SETTLED = """
    SELECT calculation, payee, role FROM settlement_members
    WHERE calculation = ANY(%(calculations)b::uuid[]) AND payee = ANY(%(payees)b::integer[]) AND is_present
"""
