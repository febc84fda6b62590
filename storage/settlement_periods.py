"""Periods of a scheme, opened once and closed once; the database itself keeps what is booked out of a closed one."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Identity, UniqueConstraint, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import AutoString, Field, col

from domain.problems import ConflictProblem, Text, ValidationProblem
from domain.settlement.scheme import Cycle
from storage.bulk import fetch
from storage.exchange_rates import HOLDS_FOR
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LONGEST_CLOSING = text("SELECT set_config('statement_timeout', '300s', true)")


class SettlementPeriodRow(Table, table=True):
    """Shanghai days `[start, end)` of one scheme and cycle."""

    __tablename__ = "settlement_periods"
    id: int = Field(primary_key=True, sa_column_args=[Identity(always=True)])
    scheme: str
    cycle: Cycle = Field(sa_type=AutoString)
    start: date
    end: date
    currency: str = Field(max_length=3)
    opened_at: datetime = instant()
    closed_at: datetime | None = instant(optional=True)
    closed_by: str | None = None

    __table_args__ = (UniqueConstraint("scheme", "cycle", "start"),)


class SettlementPeriods(Repository):
    """Periods and where they stand."""

    async def open(self, scheme: str, cycle: str, start: date, end: date, currency: str) -> SettlementPeriodRow:
        """The period, made if it is not there; nobody closes it before the unit ends.

        :raises ConflictProblem: it is there with other days or another currency.
        """
        row = SettlementPeriodRow
        values = {"scheme": scheme, "cycle": cycle, "start": start, "end": end, "currency": currency}
        await self.session.execute(insert(row).values(**values, opened_at=self.now).on_conflict_do_nothing())
        known = select(row).where(col(row.scheme) == scheme, col(row.cycle) == cycle, col(row.start) == start)
        held = known.with_for_update(read=True).execution_options(populate_existing=True)
        found = (await self.session.scalars(held)).one()
        if (found.end, found.currency) != (end, currency):
            raise ConflictProblem(
                Text(
                    f"方案 {scheme} 从 {start} 开始的账期已存在，截止日或币种不同",
                    f"A period of {scheme} from {start} is there already, with another end or currency",
                )
            )
        return found

    async def hold(self, period: int) -> None:
        """Let nobody else begin anything in a period until the unit ends."""
        row = SettlementPeriodRow
        await self.session.execute(select(col(row.id)).where(col(row.id) == period).with_for_update())

    async def close(self, period: int, by: str) -> None:
        """Close it for ever, and carry its balances forward; raises ConflictProblem when it is closed already."""
        row = SettlementPeriodRow
        # The database adds up all that was booked in it.
        await self.session.execute(_LONGEST_CLOSING)
        closing = update(row).where(col(row.id) == period, col(row.closed_at).is_(None))
        done = await self.session.execute(closing.values(closed_at=self.now, closed_by=by).returning(col(row.id)))
        if done.first() is None:
            raise ConflictProblem(Text(f"账期 {period} 已经关闭", f"The period {period} is closed already"))

    async def require(self, period: int) -> SettlementPeriodRow:
        """The period; raises LookupError when there is none."""
        found = await self.session.get(SettlementPeriodRow, period)
        if found is None:
            raise LookupError(period)
        return found

    async def of_day(self, scheme: str, day: date, cycle: str | None = None) -> SettlementPeriodRow | None:
        """The period of a scheme that a day is in; of one cycle, where several are settled by."""
        row = SettlementPeriodRow
        statement = select(row).where(col(row.scheme) == scheme, col(row.start) <= day, col(row.end) > day)
        if cycle is not None:
            statement = statement.where(col(row.cycle) == cycle)
        return (await self.session.scalars(statement.order_by(col(row.end).desc()).limit(1))).first()

    async def find(self, scheme: str, cycle: str, start: date) -> SettlementPeriodRow | None:
        """The period of a scheme and cycle that begins on a day."""
        row = SettlementPeriodRow
        named = (col(row.scheme) == scheme, col(row.cycle) == cycle, col(row.start) == start)
        return (await self.session.scalars(select(row).where(*named))).first()

    async def only_one_of_day(self, scheme: str, day: date, cycle: str | None = None) -> SettlementPeriodRow | None:
        """The period of a scheme that a day is in. Raises ValidationProblem when there are several and no cycle says
        which is meant."""
        row = SettlementPeriodRow
        statement = select(row).where(col(row.scheme) == scheme, col(row.start) <= day, col(row.end) > day)
        if cycle is not None:
            statement = statement.where(col(row.cycle) == cycle)
        found = (await self.session.scalars(statement.order_by(col(row.start).desc(), col(row.end)))).all()
        if len(found) > 1:
            told = [f"{each.cycle}（{each.start} – {each.end}）" for each in found]
            english = [f"{each.cycle} ({each.start} – {each.end})" for each in found]
            raise ValidationProblem(
                Text(
                    f"{day} 在方案 {scheme} 的几个账期内：{'、'.join(told)}；请用 cycle 写明是哪一个",
                    f"{day} is in several periods of {scheme}: {', '.join(english)}. Say which one by `cycle`",
                ),
                cycles=[each.cycle for each in found],
            )
        return found[0] if found else None

    async def schemes(self) -> Sequence[str]:
        """The names of the schemes that anything was ever settled by."""
        statement = select(col(SettlementPeriodRow.scheme)).distinct().order_by(col(SettlementPeriodRow.scheme))
        return (await self.session.scalars(statement)).all()

    async def first_of(self, scheme: str) -> SettlementPeriodRow | None:
        """The period of a scheme that begins first."""
        row = SettlementPeriodRow
        statement = select(row).where(col(row.scheme) == scheme).order_by(col(row.start), col(row.end))
        return (await self.session.scalars(statement.limit(1))).first()

    async def last_of(self, scheme: str) -> SettlementPeriodRow | None:
        """The period of a scheme that begins last."""
        row = SettlementPeriodRow
        statement = select(row).where(col(row.scheme) == scheme).order_by(col(row.start).desc(), col(row.end).desc())
        return (await self.session.scalars(statement.limit(1))).first()

    async def closed_of(self, scheme: str) -> Sequence[SettlementPeriodRow]:
        """The closed periods of a scheme, the earliest first."""
        row = SettlementPeriodRow
        statement = select(row).where(col(row.scheme) == scheme, col(row.closed_at).is_not(None))
        return (await self.session.scalars(statement.order_by(col(row.start), col(row.cycle)))).all()

    async def changed_since(self, scheme: str, limit: int) -> tuple[list[tuple[int, UUID]], int]:
        """The closed periods of a scheme, of whatever cycle, of whose days sales or facts came after they were booked
        last, or whose last day has other exchange rates than they were booked by, with what was booked; those first
        that wait longest, and how many there are besides. Without those that a settlement under way books."""
        values = {"scheme": scheme, "limit": limit, "holds": HOLDS_FOR.days}
        found = await fetch(self.work, _CHANGED, values)
        return [(period, calculation) for period, calculation, _ in found], found[0][2] - len(found) if found else 0


_CHANGED = """
    SELECT p.id, last.calculation, (count(*) OVER ())::integer
    FROM settlement_periods p
    JOIN LATERAL (
        SELECT c.calculation, r.number FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
        WHERE c.origin = p.id AND r.state = 'booked' ORDER BY r.number DESC LIMIT 1
    ) last ON true
    JOIN settlement_calculations booked ON booked.id = last.calculation
    WHERE p.scheme = %(scheme)b::text AND p.closed_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
            WHERE c.origin = p.id AND r.state IN ('computing', 'computed', 'approved')
        )
        AND (
            EXISTS (
                SELECT FROM generate_series(p.start, p."end" - 1, interval '1 day') AS one (day)
                WHERE EXISTS (
                    SELECT FROM sales s WHERE s.day = one.day::date AND s.seq > coalesce(booked.sales_upto, 0)
                ) OR EXISTS (
                    SELECT FROM payee_facts f WHERE f.day = one.day::date AND f.seq > coalesce(booked.facts_upto, 0)
                )
            )
            OR EXISTS (
                SELECT FROM jsonb_each_text(booked.rates) AS frozen (currency, rate)
                CROSS JOIN LATERAL (
                    SELECT rate FROM exchange_rates r
                    WHERE r.currency = frozen.currency AND r.day < p."end" AND r.day >= p."end" - %(holds)b::integer
                    ORDER BY r.day DESC LIMIT 1
                ) AS holding
                WHERE holding.rate <> frozen.rate::numeric
            )
        )
    ORDER BY last.number, p.start, p.id LIMIT %(limit)b::integer
"""
