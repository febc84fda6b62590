"""The tables of calculations: what was frozen, what each part came to, what uplines get to see."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, Integer, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import AutoString, Field

from storage.tables import Table, instant

Purpose = Literal["preview", "what-if", "settlement", "adjustment", "repeat"]
State = Literal["asked", "frozen", "computed", "failed"]


class CalculationRow(Table, table=True):
    """One calculation. text_digest: of the scheme's text. components: their names, in the order of their numbers.
    sales_upto, facts_upto: the last rows that count. rates: of other currencies on the last day, as decimals. repeats:
    which calculation it does again; differing: how many payees came to something else than in that one.
    left_out: how many orders of the period had no sales when it was frozen, by reason (`storage.left_out`).
    input_of: the calculation whose frozen input it goes by, None for one that froze its own."""

    __tablename__ = "settlement_calculations"
    id: UUID = Field(primary_key=True)
    scheme: str
    version: str
    text_digest: str
    cycle: str
    start: date
    end: date
    purpose: Purpose = Field(sa_type=AutoString)
    state: State = Field(sa_type=AutoString)
    asked_by: str
    asked_at: datetime = instant()
    components: list[str] = Field(sa_type=ARRAY(String), nullable=False)
    parts: int = Field(sa_type=SmallInteger)
    sales_upto: int | None = Field(default=None, sa_type=BigInteger)
    facts_upto: int | None = Field(default=None, sa_type=BigInteger)
    rates: dict[str, str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    members: int | None = None
    left_out: dict[str, int] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    frozen_at: datetime | None = instant(optional=True)
    computed_at: datetime | None = instant(optional=True)
    digest: str | None = None
    total_minor: int | None = Field(default=None, sa_type=BigInteger)
    problem: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    repeats: UUID | None = Field(
        default=None, sa_column_args=[ForeignKey("settlement_calculations.id", ondelete="CASCADE")]
    )
    differing: int | None = None
    input_of: UUID | None = Field(
        default=None, sa_column_args=[ForeignKey("settlement_calculations.id", ondelete="CASCADE")]
    )

    __table_args__ = (
        Index("ix_settlement_calculations_asked_at_id", "asked_at", "id"),
        Index("ix_settlement_calculations_repeats", "repeats", postgresql_where=text("repeats IS NOT NULL")),
        Index("ix_settlement_calculations_input_of", "input_of", postgresql_where=text("input_of IS NOT NULL")),
        Index("ix_settlement_calculations_scheme_start", "scheme", "start"),
        Index(
            "ix_settlement_calculations_tried",
            "asked_at",
            postgresql_where=text("purpose IN ('preview', 'what-if', 'repeat')"),
        ),
        Index(
            "ix_settlement_calculations_unfinished",
            "asked_at",
            postgresql_where=text("state IN ('asked', 'frozen')"),
        ),
    )


def _of_calculation() -> Any:
    key = ForeignKey("settlement_calculations.id", ondelete="CASCADE")
    return Field(primary_key=True, sa_column_args=[key])


class MemberRow(Table, table=True):
    """Who takes part in a calculation, as they stood in its period. is_present: see `payee_terms.PeriodStanding`."""

    __tablename__ = "settlement_members"
    calculation: UUID = _of_calculation()
    part: int = Field(primary_key=True, sa_type=SmallInteger)
    payee: int = Field(primary_key=True)
    role: str
    uplines: list[int] = Field(sa_type=ARRAY(Integer), nullable=False)
    is_present: bool


class EarningRow(Table, table=True):
    """What a component comes to for a payee. pass_: 1 alone, 2 by the downline and the scheme's bounds."""

    __tablename__ = "settlement_earnings"
    calculation: UUID = _of_calculation()
    base: int = Field(sa_type=BigInteger)
    amount_minor: int = Field(sa_type=BigInteger)
    payee: int = Field(primary_key=True)
    part: int = Field(primary_key=True, sa_type=SmallInteger)
    pass_: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"name": "pass"})
    component: int = Field(primary_key=True, sa_type=SmallInteger)


class PassedRow(Table, table=True):
    """What an upline of `to_part` gets to see of those below them in `from_part`."""

    __tablename__ = "settlement_passed"
    calculation: UUID = _of_calculation()
    base: int = Field(sa_type=BigInteger)
    earned: int = Field(sa_type=BigInteger)
    upline: int = Field(primary_key=True)
    to_part: int = Field(primary_key=True, sa_type=SmallInteger)
    from_part: int = Field(primary_key=True, sa_type=SmallInteger)
    component: int = Field(primary_key=True, sa_type=SmallInteger)
    level: int = Field(primary_key=True, sa_type=SmallInteger)


class PartRow(Table, table=True):
    """That a part of a pass is done, and what it came to."""

    __tablename__ = "settlement_parts"
    calculation: UUID = _of_calculation()
    pass_: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"name": "pass"})
    part: int = Field(primary_key=True, sa_type=SmallInteger)
    digest: str
    payees: int
    amount_minor: int = Field(sa_type=BigInteger)
    done_at: datetime = instant()
