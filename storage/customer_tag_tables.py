"""The tables of tags. What rules computed hangs on customers; what people decided hangs on identities (ADR 8)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from domain.releases import BUCKETS
from storage.encryption import EncryptedText
from storage.tables import Table, identifier, instant


def _customer() -> Any:
    return Field(primary_key=True, sa_column_args=[ForeignKey("customers.id", ondelete="CASCADE")])


class CustomerTagRow(Table, table=True):
    """A tag of a customer by a rule. held: whether it holds now; since: since when that is so.

    turn: how many times it was gained. why: what the rule saw when it turned, a list of `{place, fact, measure, of,
    value, met}`; amounts in minor units.
    """

    __tablename__ = "customer_tags"
    customer_id: UUID = _customer()
    rule: str = Field(primary_key=True)
    tag: str
    version: str
    held: bool
    turn: int
    since: datetime = instant()
    why: list[dict[str, Any]] = Field(sa_type=JSONB)

    __table_args__ = (
        Index("ix_customer_tags_held_tag_customer_id", "tag", "customer_id", postgresql_where=text("held")),
    )


class TagCheckRow(Table, table=True):
    """When time alone may change what a rule says of a customer; never later than it does."""

    __tablename__ = "tag_checks"
    customer_id: UUID = _customer()
    rule: str = Field(primary_key=True)
    due_at: datetime = instant(index=True)


class TagMarkRow(Table, table=True):
    """A tag given (`add`) or forbidden (`exclude`) by a person (`manual`), by a platform (`platform:wecom/main`) or by
    a flow (`run:{id}`, the actor being its step)."""

    __tablename__ = "tag_marks"
    id: UUID = identifier()
    identity_id: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    tag: str
    kind: str
    source: str
    actor: str
    reason: str = Field(sa_type=EncryptedText("tag_marks.reason"))
    marked_at: datetime = instant()
    ended_at: datetime | None = instant(optional=True)
    ended_by: str | None = None

    __table_args__ = (
        Index(
            "uq_tag_marks_open_identity_id_tag_kind_source",
            "identity_id",
            "tag",
            "kind",
            "source",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_tag_marks_identity_id", "identity_id"),
        Index("ix_tag_marks_open_tag", "tag", postgresql_where=text("ended_at IS NULL")),
    )


class CustomerGradeRow(Table, table=True):
    """A customer's grade by a grading, NULL when no word fits. score: points, 0 for stages. turn: how many times the
    grade changed. why: the steps that were met, `{name, points}`."""

    __tablename__ = "customer_grades"
    customer_id: UUID = _customer()
    grading: str = Field(primary_key=True)
    version: str
    grade: str | None = None
    score: int = 0
    turn: int
    since: datetime = instant()
    why: list[dict[str, Any]] = Field(sa_type=JSONB)

    __table_args__ = (Index("ix_customer_grades_grading_grade", "grading", "grade"),)


class GradingBreaksRow(Table, table=True):
    """The values at the quantiles of an RFM grading's version, when last measured: see `domain.tags.rfm.Breaks`."""

    __tablename__ = "grading_breaks"
    grading: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    days: list[int] = Field(sa_type=ARRAY(BigInteger), nullable=False)
    orders: list[int] = Field(sa_type=ARRAY(BigInteger), nullable=False)
    kept_minor: list[int] = Field(sa_type=ARRAY(BigInteger), nullable=False)
    measured_at: datetime = instant()


class TagBackfillRow(Table, table=True):
    """How far everybody whose version of a rule is another one was looked at. cursor: the last customer, NULL at first.

    digest, version: in force. candidate: digest of what is tried out, on the first `buckets` of all buckets (see
    `domain.tags.in_force`). first_bucket, end_bucket: whose version is another one.
    """

    __tablename__ = "tag_backfills"
    rule: str = Field(primary_key=True)
    digest: str
    version: str
    candidate: str = ""
    buckets: int = 0
    first_bucket: int = 0
    end_bucket: int = BUCKETS
    cursor: UUID | None = None
    started_at: datetime = instant()
    ended_at: datetime | None = instant(optional=True)
    seen: int = Field(default=0, sa_type=BigInteger)
    gained: int = Field(default=0, sa_type=BigInteger)
    lost: int = Field(default=0, sa_type=BigInteger)
