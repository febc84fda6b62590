"""Who carries which tag: by rules (`storage.customer_traits` keeps that up to date), and by people's decisions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Table,
    TableValuedAlias,
    Text,
    and_,
    column,
    delete,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import col

from domain.tags import LiveRule
from domain.tags.views import TagMark
from storage.crowds import Crowds
from storage.customer_tag_tables import CustomerGradeRow, CustomerTagRow, TagCheckRow, TagMarkRow
from storage.erasures import is_erased
from storage.identities import CustomerRow, IdentityRow
from storage.prepared import run_by_index
from storage.recordsets import table_of
from storage.tag_statements import compare
from storage.unit_of_work import Repository

RULES_AT_ONCE = 40
"""How many rules one statement evaluates; PostgreSQL has at most 1,664 columns in a row."""
MOST_COUNTED = 10_000
_MOST_MERGES = 20
_ESTIMATE = text("SELECT reltuples::bigint FROM pg_class WHERE oid = 'customers'::regclass")
_HELD, _GRADES = table_of(CustomerTagRow), table_of(CustomerGradeRow)
_COUNTED = text(
    """
    SELECT tag, (
        SELECT count(*) FROM (
            SELECT FROM customer_tags AS t WHERE t.tag = wanted.tag AND t.held
                AND NOT EXISTS (SELECT FROM customers WHERE id = t.customer_id AND merged_into IS NOT NULL)
            LIMIT :most
        ) AS held
    ) AS holders
    FROM unnest(CAST(:tags AS text[])) AS wanted (tag)
    """
)


class _Handed(NamedTuple):
    """What a merge hands over. key: the column beside the customer. has: whether a row says anything of somebody.
    first: which of several merged customers' rows is taken."""

    rows: Table
    key: str
    has: ColumnElement[bool]
    first: tuple[ColumnElement[Any], ...]


_HANDED = (
    _Handed(_HELD, "rule", _HELD.c.held, (_HELD.c.since,)),
    _Handed(_GRADES, "grading", _GRADES.c.grade.is_not(None), (_GRADES.c.score.desc(), _GRADES.c.since)),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A rule's answer and what is written. was_tag: the tag that it gave, its own when nothing is written."""

    customer_id: UUID
    rule: str
    holds: bool
    was_held: bool
    was_tag: str
    turns_at: datetime | None
    why: list[dict[str, Any]]


class CustomerTags(Repository):
    """Tags by rules, the checks that time makes due, and marks."""

    async def lock(self, customers: Collection[UUID], *, skip_locked: bool = False) -> dict[UUID, UUID | None]:
        """Let nobody else change tags of these customers until the unit ends; whom each was merged into. Who is erased
        is left out.

        What others wrote of them before is seen by every statement that follows. With `skip_locked` those that
        somebody else holds are left out.
        """
        statement = (
            select(col(CustomerRow.id), col(CustomerRow.merged_into))
            .where(col(CustomerRow.id) == func.any(list(customers)), ~is_erased(col(CustomerRow.id)))
            .order_by(col(CustomerRow.id))
            .with_for_update(key_share=True, skip_locked=skip_locked)
        )
        return {row.id: row.merged_into for row in await self.session.execute(statement)}

    async def follow_merges(
        self, merged: Mapping[UUID, UUID | None], moved: Collection[UUID] = frozenset()
    ) -> frozenset[UUID]:
        """Who took the place of merged customers, locked as well.

        moved: who merged in this unit of work. What these carry is handed to who took their place, and what is written
        of them stays as it is: when the merge is taken back, they go on from there, and count on.
        """
        targets: dict[UUID, UUID] = {old: new for old, new in merged.items() if new is not None}
        known = dict(merged)
        for _ in range(_MOST_MERGES):
            missing = sorted({new for new in targets.values() if new not in known})
            if missing:
                known |= await self.lock(missing)
            further = {old: last for old, new in targets.items() if (last := known.get(new)) is not None}
            if not further:
                break
            targets |= further
        lately = {old: new for old, new in targets.items() if old in moved}
        if lately:
            for handed in _HANDED:
                await self._hand_over(lately, handed)
            await self.session.execute(
                delete(TagCheckRow).where(col(TagCheckRow.customer_id) == func.any(list(lately)))
            )
        return frozenset(new for new in targets.values() if new in known)

    async def _hand_over(self, targets: Mapping[UUID, UUID], handed: "_Handed") -> None:
        """Let survivors have what they have not and one of the merged has: nobody gains it by turning out to be two."""
        rows, key = handed.rows, handed.key
        pairs = func.unnest(list(targets), list(targets.values())).table_valued("old", "new", name="merged")
        pairs = pairs.render_derived()
        names = [each.name for each in rows.columns if each.name not in ("customer_id", key)]
        carried = (
            select(pairs.c.new, rows.c[key], *(rows.c[name] for name in names))
            .join(pairs, pairs.c.old == rows.c.customer_id)
            .where(handed.has)
            .ext(distinct_on(pairs.c.new, rows.c[key]))
            .order_by(pairs.c.new, rows.c[key], *handed.first, rows.c.customer_id)
        )
        statement = insert(rows).from_select(["customer_id", key, *names], carried)
        new = statement.excluded
        # The turn before was told to its end: losing it again is something new.
        turn = func.greatest(rows.c.turn, new.turn) + 1
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["customer_id", key],
                set_={name: new[name] for name in names} | {"turn": turn},
                where=~handed.has,
            )
        )

    async def forget(self, customers: Collection[UUID]) -> int:
        """Delete what rules and gradings said of these customers; how many tags and grades. Marks go with the keys."""
        gone = list(customers)
        deleted = 0
        for row in (CustomerTagRow, CustomerGradeRow):
            statement = delete(row).where(col(row.customer_id) == func.any(gone)).returning(col(row.customer_id))
            deleted += len((await self.session.execute(statement)).all())
        await self.session.execute(delete(TagCheckRow).where(col(TagCheckRow.customer_id) == func.any(gone)))
        return deleted

    async def compare(self, rules: Sequence[LiveRule], customers: Collection[UUID]) -> list[Compared]:
        """What the rules say of these customers beside what is written, a crowd left out; nothing is written."""
        found: list[Compared] = []
        looked_at = sorted(frozenset(customers) - await Crowds(self.work).among(customers))
        if not looked_at:
            return found
        for start in range(0, len(rules), RULES_AT_ONCE):
            statement = compare(tuple(rules[start : start + RULES_AT_ONCE]))
            rows = await run_by_index(self.work, statement, {"customers": looked_at, "now": self.now})
            found += [
                Compared(row.customer_id, row.rule, row.holds, row.was_held, row.was_tag, row.turns_at, row.why or [])
                for row in rows
            ]
        return found

    async def tags_elsewhere(self, pairs: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], int]:
        """For each customer and tag by how many rules and marks it is carried now; pairs without any, and those that
        somebody excluded, are left out."""
        if not pairs:
            return {}
        wanted = _table_of_pairs(pairs)
        by_rule = (
            select(wanted.c.customer_id, wanted.c.tag)
            .join(
                CustomerTagRow,
                and_(col(CustomerTagRow.customer_id) == wanted.c.customer_id, col(CustomerTagRow.tag) == wanted.c.tag),
            )
            .where(col(CustomerTagRow.held))
        )
        found: dict[tuple[UUID, str], int] = {}
        for customer, tag in await self.session.execute(by_rule.union_all(_marked("add", wanted))):
            found[customer, tag] = found.get((customer, tag), 0) + 1
        if found:
            for customer, tag in await self.session.execute(_marked("exclude", wanted)):
                found.pop((customer, tag), None)
        return found

    async def due(self, limit: int) -> dict[str, list[UUID]]:
        """The customers whose check is due, the longest due first, by rule; nobody who is erased."""
        statement = (
            select(col(TagCheckRow.rule), col(TagCheckRow.customer_id))
            .where(col(TagCheckRow.due_at) <= self.now, ~is_erased(col(TagCheckRow.customer_id)))
            .order_by(col(TagCheckRow.due_at))
            .limit(limit)
        )
        found: dict[str, list[UUID]] = {}
        for rule, customer in await self.session.execute(statement):
            found.setdefault(rule, []).append(customer)
        return found

    async def forget_checks(self, customers: Collection[UUID], rules: Collection[str]) -> None:
        """Let these customers not be looked at again by these rules for the sake of time."""
        await self.session.execute(
            delete(TagCheckRow).where(
                col(TagCheckRow.customer_id) == func.any(list(customers)), col(TagCheckRow.rule).in_(list(rules))
            )
        )

    async def put_off(self, customers: Collection[UUID], rule: str, until: datetime) -> None:
        """Let these customers be looked at by a rule no sooner than that."""
        mine = update(TagCheckRow).where(
            col(TagCheckRow.customer_id) == func.any(list(customers)), col(TagCheckRow.rule) == rule
        )
        await self.session.execute(mine.values(due_at=until), execution_options={"synchronize_session": False})

    async def after(self, cursor: UUID | None, limit: int) -> list[UUID]:
        """The next customers that are there, by id; nobody who is erased."""
        row = CustomerRow
        statement = select(col(row.id)).where(col(row.merged_into).is_(None), ~is_erased(col(row.id)))
        if cursor is not None:
            statement = statement.where(col(row.id) > cursor)
        return list(await self.session.scalars(statement.order_by(col(row.id)).limit(limit)))

    async def count_customers(self) -> int:
        """How many customers there are, as the statistics of the database say; exact below ten thousand."""
        estimate = await self.session.scalar(_ESTIMATE)
        if estimate is not None and estimate >= 10_000:
            return int(estimate)
        present = select(func.count()).select_from(CustomerRow).where(col(CustomerRow.merged_into).is_(None))
        return int(await self.session.scalar(present) or 0)

    async def carried(self, customer: UUID) -> list[str]:
        """The tags that a customer carries, by rules and by decisions, in alphabetical order."""
        marks = await self.marks(customer)
        carried = {row.tag for row in await self.by_rules(customer) if row.held}
        carried |= {mark.tag for mark in marks if mark.kind == "add"}
        return sorted(carried - {mark.tag for mark in marks if mark.kind == "exclude"})

    async def by_rules(self, customer: UUID, tag: str | None = None) -> list[CustomerTagRow]:
        """What rules say or said of a customer, those that hold first."""
        statement = select(CustomerTagRow).where(col(CustomerTagRow.customer_id) == customer)
        if tag is not None:
            statement = statement.where(col(CustomerTagRow.tag) == tag)
        ordered = statement.order_by(col(CustomerTagRow.held).desc(), col(CustomerTagRow.since).desc())
        return list(await self.session.scalars(ordered))

    async def marks(self, customer: UUID, tag: str | None = None, *, ended: bool = False) -> list[TagMark]:
        """What people and platforms decided about a customer's tags, the newest first; ended: also what was taken
        back."""
        row = TagMarkRow
        statement = (
            select(row)
            .join(IdentityRow, col(IdentityRow.id) == col(row.identity_id))
            .where(col(IdentityRow.customer_id) == customer)
            .order_by(col(row.marked_at).desc(), col(row.id).desc())
        )
        if not ended:
            statement = statement.where(col(row.ended_at).is_(None))
        if tag is not None:
            statement = statement.where(col(row.tag) == tag)
        return [
            TagMark(
                each.id,
                each.tag,
                each.kind,
                each.source,
                each.actor,
                each.reason,
                each.marked_at,
                each.ended_at,
                each.ended_by,
            )
            for each in await self.session.scalars(statement)
        ]

    async def holders(self, tag: str, after: UUID | None, limit: int) -> list[UUID]:
        """Customers that carry a tag, by a rule or by a decision, in the order of their ids."""
        marked = (
            select(col(IdentityRow.customer_id).label("customer_id"), col(TagMarkRow.kind).label("kind"))
            .join(IdentityRow, col(IdentityRow.id) == col(TagMarkRow.identity_id))
            .where(col(TagMarkRow.tag) == tag, col(TagMarkRow.ended_at).is_(None))
            .cte("marked")
        )
        gone = select(col(CustomerRow.id)).where(
            col(CustomerRow.id) == col(CustomerTagRow.customer_id), col(CustomerRow.merged_into).is_not(None)
        )
        by_rule = select(col(CustomerTagRow.customer_id)).where(
            col(CustomerTagRow.tag) == tag, col(CustomerTagRow.held), ~gone.exists()
        )
        carried = by_rule.union(select(marked.c.customer_id).where(marked.c.kind == "add")).subquery()
        excluded = select(marked.c.customer_id).where(marked.c.kind == "exclude")
        statement = (
            select(carried.c.customer_id)
            .where(carried.c.customer_id.not_in(excluded))
            .order_by(carried.c.customer_id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(carried.c.customer_id > after)
        return list(await self.session.scalars(statement))

    async def count_holders(self, tags: Collection[str]) -> dict[str, int]:
        """How many customers carry each of these tags by rules; counting ends at 10,000."""
        rows = await self.session.execute(_COUNTED, {"tags": list(tags), "most": MOST_COUNTED})
        return {row.tag: row.holders for row in rows}

    async def mark(self, identity: int, tag: str, kind: str, source: str, actor: str, reason: str) -> bool:
        """Write down a decision at an identity; whether it is new."""
        statement = (
            insert(TagMarkRow)
            .values(
                identity_id=identity,
                tag=tag,
                kind=kind,
                source=source,
                actor=actor,
                reason=reason,
                marked_at=self.now,
            )
            .on_conflict_do_nothing()
            .returning(col(TagMarkRow.id))
        )
        return (await self.session.execute(statement)).first() is not None

    async def unmark(self, customer: UUID, tag: str, kind: str, source: str | None, actor: str) -> int:
        """End the decisions of a kind and source (of any, when None) about a customer's tag; how many there were."""
        of_customer = select(col(IdentityRow.id)).where(col(IdentityRow.customer_id) == customer)
        statement = (
            update(TagMarkRow)
            .where(col(TagMarkRow.identity_id).in_(of_customer), col(TagMarkRow.tag) == tag)
            .where(col(TagMarkRow.kind) == kind, col(TagMarkRow.ended_at).is_(None))
            .where(true() if source is None else col(TagMarkRow.source) == source)
            .values(ended_at=self.now, ended_by=actor)
            .returning(col(TagMarkRow.id))
        )
        result = await self.session.execute(statement, execution_options={"synchronize_session": False})
        return len(result.all())


def _table_of_pairs(pairs: Collection[tuple[UUID, str]]) -> TableValuedAlias:
    """Customers and tags as rows."""
    customers = literal([customer for customer, _ in pairs], ARRAY(PG_UUID(as_uuid=True)))
    tags = literal([tag for _, tag in pairs], ARRAY(Text))
    columns = (column("customer_id", PG_UUID(as_uuid=True)), column("tag", Text))
    return func.unnest(customers, tags).table_valued(*columns, name="wanted").render_derived()


def _marked(kind: str, wanted: TableValuedAlias) -> Any:
    """Which of these customers and tags somebody marked so."""
    return (
        select(wanted.c.customer_id, wanted.c.tag)
        .join(IdentityRow, col(IdentityRow.customer_id) == wanted.c.customer_id)
        .join(
            TagMarkRow,
            and_(col(TagMarkRow.identity_id) == col(IdentityRow.id), col(TagMarkRow.tag) == wanted.c.tag),
        )
        .where(col(TagMarkRow.ended_at).is_(None), col(TagMarkRow.kind) == kind)
    )
