"""Definitions: immutable texts stored once by digest, and the versions that name them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, or_, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert
from sqlmodel import Field, col, select

from domain.definitions import DefinitionKind, DefinitionVersion
from storage.locks import lock
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, instant
from storage.unit_of_work import Repository

VersionKey = tuple[DefinitionKind, str, str, str]
"""Kind, namespace, name, version."""


class DefinitionTextRow(Table, table=True):
    __tablename__ = "definition_texts"
    digest: str = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    created_at: datetime = instant()


class DefinitionVersionRow(Table, table=True):
    __tablename__ = "definition_versions"
    kind: str = Field(primary_key=True)
    namespace: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    digest: str = Field(index=True, sa_column_args=[ForeignKey("definition_texts.digest")])
    title: str
    author: str
    uploaded_at: datetime = instant()
    published_by: str | None = None
    published_at: datetime | None = instant(optional=True)
    share_percent: float | None = None
    properties: dict[str, Any] = Field(sa_type=JSONB)

    __table_args__ = (
        Index(
            "uq_definition_versions_tried_kind_namespace_name",
            "kind",
            "namespace",
            "name",
            unique=True,
            postgresql_where=text("share_percent IS NOT NULL"),
        ),
    )


_NEWEST_FIRST = Order(
    "definitions",
    (
        DefinitionVersionRow.uploaded_at,
        DefinitionVersionRow.kind,
        DefinitionVersionRow.namespace,
        DefinitionVersionRow.name,
        DefinitionVersionRow.version,
    ),
)
_KEY = (
    DefinitionVersionRow.kind,
    DefinitionVersionRow.namespace,
    DefinitionVersionRow.name,
    DefinitionVersionRow.version,
)


def _value(row: DefinitionVersionRow) -> DefinitionVersion:
    return DefinitionVersion.model_validate(row)


class Definitions(Repository):
    """Texts and versions."""

    async def lock(self, keys: Collection[tuple[str, str, str]]) -> None:
        """Let nobody else upload or publish these definitions (kind, namespace, name) until the unit ends."""
        for key in sorted(set(keys)):
            await lock(self.work, "definitions:" + "/".join(key))

    async def add(self, versions: Sequence[DefinitionVersion], texts: dict[str, str]) -> None:
        """Write new versions; a text that is there already is kept."""
        if not versions:
            return
        await self.session.execute(
            insert(DefinitionTextRow).on_conflict_do_nothing(),
            [{"digest": digest, "text": text, "created_at": self.now} for digest, text in texts.items()],
        )
        await self.insert(*(DefinitionVersionRow(**version.model_dump()) for version in versions))

    async def known(self, keys: Collection[VersionKey]) -> dict[VersionKey, DefinitionVersion]:
        """Those of the versions that exist."""
        if not keys:
            return {}
        rows = await self.session.scalars(select(DefinitionVersionRow).where(tuple_(*_KEY).in_(list(keys))))
        versions = map(_value, rows)
        return {(each.kind, each.namespace, each.name, each.version): each for each in versions}

    async def get(self, key: VersionKey, *, for_update: bool = False) -> DefinitionVersion | None:
        row = await self.session.get(DefinitionVersionRow, key, with_for_update=for_update or None)
        return _value(row) if row else None

    async def publish(self, key: VersionKey, by: str) -> DefinitionVersion:
        """Mark a version, which must exist, as published now. Nothing of its name is tried out any more."""
        await self.try_out(key, None)
        row = await self.session.get_one(DefinitionVersionRow, key)
        row.published_by, row.published_at = by, self.now
        await self.session.flush()
        return _value(row)

    async def try_out(self, key: VersionKey, share_percent: float | None) -> None:
        """Afterwards this version, and no other of its name, is tried out on this share of the customers."""
        await self.session.execute(
            update(DefinitionVersionRow)
            .where(tuple_(*_KEY[:3]) == key[:3], col(DefinitionVersionRow.share_percent).is_not(None))
            .values(share_percent=None)
        )
        if share_percent is not None:
            (await self.session.get_one(DefinitionVersionRow, key)).share_percent = share_percent
            await self.session.flush()

    async def versions(self, kind: DefinitionKind, namespace: str, name: str) -> list[DefinitionVersion]:
        """All versions of one definition, the newest upload first; at most 1,000."""
        statement = (
            select(DefinitionVersionRow)
            .where(DefinitionVersionRow.kind == kind)
            .where(DefinitionVersionRow.namespace == namespace, DefinitionVersionRow.name == name)
            .order_by(col(DefinitionVersionRow.uploaded_at).desc(), col(DefinitionVersionRow.version).desc())
            .limit(1_000)
        )
        return [_value(row) for row in await self.session.scalars(statement)]

    async def search(
        self,
        page: PageRequest,
        *,
        kind: DefinitionKind | None = None,
        namespace: str | None = None,
        name: str | None = None,
        published: bool | None = None,
    ) -> Page[DefinitionVersion]:
        """Versions, the newest upload first."""
        statement = select(DefinitionVersionRow)
        if kind is not None:
            statement = statement.where(DefinitionVersionRow.kind == kind)
        if namespace is not None:
            statement = statement.where(DefinitionVersionRow.namespace == namespace)
        if name is not None:
            statement = statement.where(DefinitionVersionRow.name == name)
        if published is not None:
            is_null = col(DefinitionVersionRow.published_at).is_(None)
            statement = statement.where(~is_null if published else is_null)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, _value)

    async def text(self, digest: str) -> str | None:
        """The text of a digest."""
        row = await self.session.get(DefinitionTextRow, digest)
        return row.text if row else None

    async def names(self, kind: DefinitionKind) -> set[str]:
        """The names of a kind of resource of which a version is published; flows as `namespace/name`."""
        statement = (
            select(DefinitionVersionRow.namespace, DefinitionVersionRow.name)
            .where(DefinitionVersionRow.kind == kind, col(DefinitionVersionRow.published_at).is_not(None))
            .distinct()
        )
        rows = await self.session.execute(statement)
        return {f"{namespace}/{name}" if namespace else name for namespace, name in rows}

    async def all_in_force(self, kind: DefinitionKind) -> list[DefinitionVersion]:
        """For each name of a kind of resource the version that was published last, and after it the one that is tried
        out (it has a share), by name."""
        is_tried = col(DefinitionVersionRow.share_percent).is_not(None)
        statement = (
            select(DefinitionVersionRow)
            .where(DefinitionVersionRow.kind == kind, DefinitionVersionRow.namespace == "")
            .where(or_(col(DefinitionVersionRow.published_at).is_not(None), is_tried))
            .ext(distinct_on(col(DefinitionVersionRow.name), is_tried))
            .order_by(
                col(DefinitionVersionRow.name),
                is_tried,
                col(DefinitionVersionRow.published_at).desc(),
                col(DefinitionVersionRow.version).desc(),
            )
        )
        return [_value(row) for row in await self.session.scalars(statement)]

    async def published(self, kind: DefinitionKind, name: str) -> list[DefinitionVersion]:
        """All published versions of a resource, the one that was published last first; at most 1,000."""
        row = DefinitionVersionRow
        statement = (
            select(row)
            .where(row.kind == kind, row.namespace == "", row.name == name, col(row.published_at).is_not(None))
            .order_by(col(row.published_at).desc(), col(row.version).desc())
            .limit(1_000)
        )
        return [_value(each) for each in await self.session.scalars(statement)]

    async def in_force(self, kind: DefinitionKind, name: str) -> DefinitionVersion | None:
        """The version of a form, queue or message that was published last."""
        statement = (
            select(DefinitionVersionRow)
            .where(DefinitionVersionRow.kind == kind, DefinitionVersionRow.namespace == "")
            .where(DefinitionVersionRow.name == name, col(DefinitionVersionRow.published_at).is_not(None))
            .order_by(col(DefinitionVersionRow.published_at).desc(), col(DefinitionVersionRow.version).desc())
            .limit(1)
        )
        row = (await self.session.scalars(statement)).first()
        return _value(row) if row else None
