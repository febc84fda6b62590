"""How far everybody was looked at with the rules in force."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.customer_tag_tables import TagBackfillRow
from storage.customer_traits import TagChange
from storage.locks import lock
from storage.unit_of_work import Repository


class TagBackfills(Repository):
    """One row a rule."""

    async def lock(self) -> None:
        """Let one backfill go on at a time."""
        await lock(self.work, "tags:backfill")

    async def begin(self, rules: Mapping[str, tuple[str, str]]) -> None:
        """Begin anew for rules whose digest is another one; rules: name → digest and version."""
        if not rules:
            return
        statement = insert(TagBackfillRow).values(
            [
                {
                    "rule": name,
                    "digest": digest,
                    "version": version,
                    "cursor": None,
                    "started_at": self.now,
                    "ended_at": None,
                    "seen": 0,
                    "gained": 0,
                    "lost": 0,
                }
                for name, (digest, version) in sorted(rules.items())
            ]
        )
        new = statement.excluded
        names = ("digest", "version", "cursor", "started_at", "ended_at", "seen", "gained", "lost")
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["rule"],
                set_={name: new[name] for name in names},
                where=or_(new.digest != col(TagBackfillRow.digest), new.version != col(TagBackfillRow.version)),
            )
        )

    async def next(self) -> tuple[list[str], UUID | None]:
        """The rules that are not through and stand at the same customer, and that customer."""
        waiting = select(TagBackfillRow).where(col(TagBackfillRow.ended_at).is_(None))
        rows = list(await self.session.scalars(waiting.order_by(col(TagBackfillRow.cursor).asc().nulls_first())))
        if not rows:
            return [], None
        return [row.rule for row in rows if row.cursor == rows[0].cursor], rows[0].cursor

    async def advance(
        self, rules: Collection[str], cursor: UUID | None, seen: int, changes: Sequence[TagChange], *, is_last: bool
    ) -> None:
        """Note that these rules came to this customer."""
        for rule in rules:
            mine = [change for change in changes if change.rule == rule]
            statement = (
                update(TagBackfillRow)
                .where(col(TagBackfillRow.rule) == rule)
                .values(
                    cursor=cursor,
                    ended_at=self.now if is_last else None,
                    seen=col(TagBackfillRow.seen) + seen,
                    gained=col(TagBackfillRow.gained) + sum(each.holds and not each.was_held for each in mine),
                    lost=col(TagBackfillRow.lost) + sum(each.was_held and not each.holds for each in mine),
                )
            )
            await self.session.execute(statement, execution_options={"synchronize_session": False})

    async def all(self) -> list[TagBackfillRow]:
        """Every rule's, by name."""
        return list(await self.session.scalars(select(TagBackfillRow).order_by(col(TagBackfillRow.rule))))
