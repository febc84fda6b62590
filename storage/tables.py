"""What every table shares: the metadata with its naming convention, ids, instants."""

import importlib
import pkgutil
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, Integer, MetaData, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel
from typing_extensions import override

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Table(SQLModel):
    """Base of every table model. A row is written and read in this room only; callers get domain values."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


class Instant(TypeDecorator[datetime]):
    """`timestamptz`, always aware and always UTC on this side; a naive datetime is a bug and is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the database: {value.isoformat()}")
        return value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


class TextOrNone(TypeDecorator[str]):
    """A text that may be said to be none: so it is empty in the table, as NULL is “not said” there and filled by what
    an older telling says. On this side both are None; SQL that asks whether there is one needs `nullif`."""

    impl = String
    cache_ok = True

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return value or None


def text_or_none() -> Any:
    """A column for a text that may be said to be none."""
    return Field(default=None, sa_type=TextOrNone, nullable=True)


def identifier() -> Any:
    """A primary key that the database draws: a UUID of version 7, so that newer rows sort after older ones."""
    return Field(default=None, primary_key=True, sa_column_kwargs={"server_default": text("uuidv7()")})


def instant(*, optional: bool = False, index: bool = False) -> Any:
    """A column for a point in time."""
    if optional:
        return Field(default=None, sa_type=Instant, nullable=True, index=index)
    return Field(sa_type=Instant, nullable=False, index=index)


def tie() -> Any:
    """A column beside a version: which of two tellings with that version counts (`domain.customers.records`)."""
    return Field(default=0, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "0"})


def gap_versions() -> Any:
    """A column for how new those columns are that the newest telling left out: `[version, tie]` by name."""
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)


def load_tables() -> MetaData:
    """The metadata of all tables: every module of this room is imported first."""
    import storage

    for module in pkgutil.iter_modules(storage.__path__):
        if not module.ispkg:
            importlib.import_module(f"storage.{module.name}")
    return Table.metadata
