"""How far everybody was looked at with the rules in force, or those for whom another version counts."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.tags.in_force import NO_BUCKETS, Buckets, Spread, moved
from storage.customer_tag_tables import TagBackfillRow
from storage.customer_traits import TagChange
from storage.locks import lock
from storage.recordsets import table_of
from storage.unit_of_work import Repository


class TagBackfills(Repository):
    """One row a rule."""

    async def lock(self) -> None:
        """Let one backfill go on at a time."""
        await lock(self.work, "tags:backfill")

    async def begin(self, rules: Mapping[str, tuple[Spread, str]]) -> None:
        """Begin anew for rules whose texts are others, or are spread otherwise; rules: name → spread and version."""
        known = {row.rule: row for row in await self.all()}
        anew: dict[str, Buckets] = {}
        for name, (spread, version) in rules.items():
            row = known.get(name)
            if row is None:
                anew[name] = moved(Spread(), spread)
            elif spread_of(row) != spread or row.version != version:
                # Who was not looked at yet after the change before this one still waits.
                waiting = NO_BUCKETS if row.ended_at is not None else Buckets(row.first_bucket, row.end_bucket)
                anew[name] = moved(spread_of(row), spread).around(waiting)
        if not anew:
            return
        statement = insert(TagBackfillRow).values(
            [
                {
                    "rule": name,
                    "digest": rules[name][0].stable,
                    "version": rules[name][1],
                    "candidate": rules[name][0].candidate,
                    "buckets": rules[name][0].buckets,
                    "first_bucket": who.first,
                    "end_bucket": who.end,
                    "cursor": None,
                    "started_at": self.now,
                    "ended_at": None if who.first < who.end else self.now,
                    "seen": 0,
                    "gained": 0,
                    "lost": 0,
                }
                for name, who in sorted(anew.items())
            ]
        )
        new = statement.excluded
        names = [each.name for each in table_of(TagBackfillRow).columns if each.name != "rule"]
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=["rule"], set_={name: new[name] for name in names}),
            execution_options={"synchronize_session": False},
        )

    async def next(self, rules: Collection[str]) -> tuple[dict[str, Buckets], UUID | None]:
        """Those of the rules that are not through and stand at the same customer, with whom they are to look at, and
        that customer."""
        mine = col(TagBackfillRow.rule).in_(rules)
        waiting = select(TagBackfillRow).where(col(TagBackfillRow.ended_at).is_(None), mine)
        # What `begin` wrote is asked for, not what was read before it.
        ordered = waiting.order_by(col(TagBackfillRow.cursor).asc().nulls_first())
        rows = list(await self.session.scalars(ordered.execution_options(populate_existing=True)))
        if not rows:
            return {}, None
        at_once = [row for row in rows if row.cursor == rows[0].cursor]
        return {row.rule: Buckets(row.first_bucket, row.end_bucket) for row in at_once}, rows[0].cursor

    async def advance(
        self, seen: Mapping[str, int], cursor: UUID | None, changes: Sequence[TagChange], *, is_last: bool
    ) -> None:
        """Note that rules came to this customer; seen: how many each looked at on the way."""
        for rule, count in seen.items():
            mine = [change for change in changes if change.rule == rule]
            statement = (
                update(TagBackfillRow)
                .where(col(TagBackfillRow.rule) == rule)
                .values(
                    cursor=cursor,
                    ended_at=self.now if is_last else None,
                    seen=col(TagBackfillRow.seen) + count,
                    gained=col(TagBackfillRow.gained) + sum(each.holds and not each.was_held for each in mine),
                    lost=col(TagBackfillRow.lost) + sum(each.was_held and not each.holds for each in mine),
                )
            )
            await self.session.execute(statement, execution_options={"synchronize_session": False})

    async def all(self) -> list[TagBackfillRow]:
        """Every rule's, by name."""
        return list(await self.session.scalars(select(TagBackfillRow).order_by(col(TagBackfillRow.rule))))


def spread_of(row: TagBackfillRow) -> Spread:
    """The texts that a row is about, and who has which."""
    return Spread(row.digest, row.candidate, row.buckets)
