"""Releases: immutable history rows, the last of which counts; and the triggers of what is released."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, Identity, Index, delete, func
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlmodel import Field, col, select

from domain.dsl.model import EventConsumption
from domain.releases import NOTHING_RELEASED, ReleaseAction, ReleaseState
from storage.locks import lock
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LOCK = "releases"


class ReleaseRow(Table, table=True):
    __tablename__ = "releases"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    namespace: str
    name: str
    action: str
    stable: str | None = None
    candidate: str | None = None
    share_percent: float = 0
    actor: str
    reason: str | None = None
    at: datetime = instant()

    __table_args__ = (Index("ix_releases_namespace_name_id", "namespace", "name", "id"),)


class TriggerRow(Table, table=True):
    __tablename__ = "triggers"
    namespace: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    consumption: dict[str, Any] = Field(sa_type=JSONB)


class Release(BaseModel):
    """One row of a flow's release history."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    namespace: str
    name: str
    action: ReleaseAction
    stable: str | None
    candidate: str | None
    share_percent: float
    actor: str
    reason: str | None
    at: datetime

    @property
    def state(self) -> ReleaseState:
        return ReleaseState(stable=self.stable, candidate=self.candidate, share_percent=self.share_percent)


@dataclass(frozen=True, slots=True)
class Trigger:
    """`schedule.on` of a released version."""

    namespace: str
    name: str
    version: str
    consumption: EventConsumption


_NEWEST_FIRST = Order("releases", (ReleaseRow.id,))


class Releases(Repository):
    """Who releases takes `lock` first, so that ids become visible in order and `watermark` never skips one."""

    async def lock(self) -> None:
        """Let nobody else release until the unit ends."""
        await lock(self.work, _LOCK)

    async def watermark(self) -> int:
        """A number that grows with every release; 0 before the first."""
        return await self.session.scalar(select(func.coalesce(func.max(ReleaseRow.id), 0))) or 0

    async def state(self, namespace: str, name: str) -> ReleaseState:
        """What new runs of a flow get."""
        last = await self.last(namespace, name)
        return last.state if last else NOTHING_RELEASED

    async def last(self, namespace: str, name: str) -> Release | None:
        statement = (
            select(ReleaseRow)
            .where(ReleaseRow.namespace == namespace, ReleaseRow.name == name)
            .order_by(col(ReleaseRow.id).desc())
            .limit(1)
        )
        row = (await self.session.scalars(statement)).first()
        return Release.model_validate(row) if row else None

    async def all_states(self) -> dict[tuple[str, str], ReleaseState]:
        """What new runs get, for every flow that was ever released."""
        statement = (
            select(ReleaseRow)
            .ext(distinct_on(col(ReleaseRow.namespace), col(ReleaseRow.name)))
            .order_by(col(ReleaseRow.namespace), col(ReleaseRow.name), col(ReleaseRow.id).desc())
        )
        rows = await self.session.scalars(statement)
        return {(row.namespace, row.name): Release.model_validate(row).state for row in rows}

    async def stables(self, namespace: str, name: str) -> list[tuple[ReleaseAction, str | None]]:
        """Action and stable version of the flow's last 1,000 releases, oldest first."""
        statement = (
            select(ReleaseRow)
            .where(ReleaseRow.namespace == namespace, ReleaseRow.name == name)
            .order_by(col(ReleaseRow.id).desc())
            .limit(1_000)
        )
        releases = [Release.model_validate(row) for row in await self.session.scalars(statement)]
        return [(release.action, release.stable) for release in reversed(releases)]

    async def history(self, namespace: str, name: str, page: PageRequest) -> Page[Release]:
        """Every release of a flow, the newest first."""
        statement = select(ReleaseRow).where(ReleaseRow.namespace == namespace, ReleaseRow.name == name)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, Release.model_validate)

    async def add(
        self, namespace: str, name: str, action: ReleaseAction, state: ReleaseState, actor: str, reason: str | None
    ) -> Release:
        row = ReleaseRow(
            namespace=namespace,
            name=name,
            action=action,
            **state.model_dump(),
            actor=actor,
            reason=reason,
            at=self.now,
        )
        await self.insert(row)
        return Release.model_validate(row)

    async def replace_triggers(self, namespace: str, name: str, triggers: Sequence[Trigger]) -> None:
        """Afterwards the flow has exactly these triggers."""
        await self.session.execute(
            delete(TriggerRow).where(col(TriggerRow.namespace) == namespace, col(TriggerRow.name) == name)
        )
        await self.insert(
            *(
                TriggerRow(
                    namespace=trigger.namespace,
                    name=trigger.name,
                    version=trigger.version,
                    consumption=trigger.consumption.model_dump(mode="json", by_alias=True, exclude_unset=True),
                )
                for trigger in triggers
            )
        )

    async def triggers(self) -> list[Trigger]:
        """The triggers of everything released."""
        return [
            Trigger(row.namespace, row.name, row.version, EventConsumption.model_validate(row.consumption))
            for row in await self.session.scalars(select(TriggerRow))
        ]
