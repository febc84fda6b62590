"""Triggers that need several events: which of them came already."""

from sqlalchemy import BigInteger, ForeignKey, SmallInteger, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col, select

from domain.events import Event
from storage.events import EventRow
from storage.locks import lock
from storage.releases import Trigger
from storage.tables import Table
from storage.unit_of_work import Repository


class TriggerMatchRow(Table, table=True):
    """An event that matched one filter (by position) of a trigger, under its correlation keys. run_id: its run."""

    __tablename__ = "trigger_matches"
    namespace: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    keys: str = Field(primary_key=True)
    position: int = Field(primary_key=True, sa_type=SmallInteger)
    seq: int = Field(
        primary_key=True,
        sa_type=BigInteger,
        index=True,
        sa_column_args=[ForeignKey("events.seq", ondelete="CASCADE")],
    )
    run_id: str | None = None


class TriggerMatches(Repository):
    async def add(self, trigger: Trigger, keys: str, position: int, seq: int) -> dict[int, int]:
        """Note a match; the earliest unused event (seq) of each position, this one's included.

        Others who match the same trigger under the same keys wait until the unit ends.
        """
        await lock(self.work, f"trigger:{trigger.namespace}/{trigger.name}/{trigger.version}/{keys}")
        row = {**_identity(trigger, keys), "position": position, "seq": seq}
        await self.session.execute(insert(TriggerMatchRow).values(**row).on_conflict_do_nothing())
        unused = (
            select(TriggerMatchRow.position, TriggerMatchRow.seq)
            .filter_by(**_identity(trigger, keys), run_id=None)
            .order_by(col(TriggerMatchRow.seq).desc())
        )
        return {row.position: row.seq for row in await self.session.execute(unused)}

    async def use(self, trigger: Trigger, keys: str, chosen: dict[int, int], run_id: str) -> list[Event]:
        """Spend the chosen events on a run; the events in the order of their positions."""
        for position, seq in chosen.items():
            await self.session.execute(
                update(TriggerMatchRow)
                .filter_by(**_identity(trigger, keys), position=position, seq=seq)
                .values(run_id=run_id)
            )
        rows = await self.session.scalars(select(EventRow).where(col(EventRow.seq).in_(chosen.values())))
        events = {row.seq: Event.model_validate(row.envelope) for row in rows}
        return [events[chosen[position]] for position in sorted(chosen)]


def _identity(trigger: Trigger, keys: str) -> dict[str, str]:
    return {"namespace": trigger.namespace, "name": trigger.name, "version": trigger.version, "keys": keys}
