"""Taking one person out of the tables, a batch at a time.

What points at the person is found by its indexes. What only mentions them (pushes, events, runs, answers) is read
through, decrypted and looked at, in the order of its key: nothing about the content has to be known beforehand.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, and_, delete, func, or_, select, tuple_, type_coerce, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.customers.traces import Traces
from storage.effects import EffectRow
from storage.encryption import encrypted_type
from storage.events import EventRow
from storage.human_tasks import HumanTaskRow
from storage.idempotency import IdempotencyKeyRow
from storage.identities import IdentityRow
from storage.identity_links import IdentityDecisionKeyRow, IdentityDecisionRow
from storage.identity_reviews import IdentityMoveRow
from storage.inbox import InboxRow
from storage.interactions import InteractionRow
from storage.orders import OrderRow, RefundRow, ShipmentRow
from storage.reach import TouchRow
from storage.recordsets import table_of
from storage.runs import RunRow
from storage.tables import Table
from storage.unit_of_work import Repository


@dataclass(frozen=True, slots=True)
class Swept:
    """One batch of reading through. cursor: the last key that was looked at, None at the end of the table."""

    cursor: str | None
    changed: int = 0


class Erasing(Repository):
    """Each method is one bounded batch, and changes nothing when it is repeated."""

    async def sweep_events(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Delete events that name the person, with their places in the outbox and what triggers remember of them."""
        found, last = await self._mentions(EventRow, ("seq",), cursor, size, traces)
        gone = [key for key, _ in found]
        await self.session.execute(delete(EventRow).where(col(EventRow.seq).in_(gone)))
        return Swept(last, len(gone))

    async def sweep_inbox(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Empty pushes that name the person; those that wait are emptied when they are read."""
        found, last = await self._mentions(InboxRow, ("id",), cursor, size, traces)
        row, ids = InboxRow, [key for key, _ in found]
        statement = (
            update(row)
            .where(col(row.id).in_(ids), col(row.state) != "waiting")
            .values(payload=b"", reason=None, state="done", changed_at=self.now)
            .returning(col(row.id))
        )
        return Swept(last, len((await self.session.scalars(statement)).all()))

    async def sweep_answers(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Delete kept answers of the API that name the person."""
        row = IdempotencyKeyRow
        found, last = await self._mentions(row, ("login", "key"), cursor, size, traces)
        taken = tuple_(col(row.login), col(row.key)).in_([key for key, _ in found])
        return Swept(last, await self._delete(row, taken) if found else 0)

    async def sweep_effects(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Empty answers of effects that name the person. That the effect was done, and when, stays."""
        row = EffectRow
        found, last = await self._mentions(row, ("key",), cursor, size, traces)
        keys = [key for key, _ in found]
        statement = update(row).where(col(row.key).in_(keys), col(row.answer).is_not(None)).values(answer=None)
        changed = (await self.session.scalars(statement.returning(col(row.key)))).all()
        return Swept(last, len(changed))

    async def sweep_tasks(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Take the person out of human tasks of runs that are about others too."""
        found, last = await self._mentions(HumanTaskRow, ("id",), cursor, size, traces)
        for key, _ in found:
            row = await self.session.get_one(HumanTaskRow, key)
            row.title = "" if traces.are_in(row.title) else row.title
            row.comment = None if traces.are_in(row.comment) else row.comment
            row.subject = "" if traces.are_in(row.subject) else row.subject
            for name in ("data", "draft", "output"):
                setattr(row, name, traces.without(getattr(row, name)))
        await self.session.flush()
        return Swept(last, len(found))

    async def runs_naming(self, traces: Traces, cursor: str, size: int) -> tuple[list[str], list[str], str | None]:
        """Runs that are about the person; runs about others, or about many, that mention them; the last one read."""
        found, last = await self._mentions(RunRow, ("id",), cursor, size, traces)
        theirs = [key for key, places in found if places & _ABOUT]
        return theirs, [key for key, places in found if not places & _ABOUT], last

    async def children_of(self, runs: Collection[str]) -> list[str]:
        """Runs that these started, and those that they started: what is known of the person was handed to them."""
        part = aliased(RunRow)
        tree = select(col(RunRow.id)).where(col(RunRow.parent_id).in_(runs)).cte("tree", recursive=True)
        tree = tree.union(select(col(part.id)).join(tree, col(part.parent_id) == tree.c.id))
        return list(await self.session.scalars(select(tree.c.id)))

    async def leave_runs(self, runs: Collection[str], traces: Traces) -> int:
        """Take the person out of runs that are about others."""
        for row in await self.session.scalars(select(RunRow).where(col(RunRow.id).in_(runs)).with_for_update()):
            for name in ("output", "error", "continuation", "tasks"):
                setattr(row, name, traces.without(getattr(row, name)))
            row.start_problem = None if traces.are_in(row.start_problem) else row.start_problem
        await self.session.flush()
        return len(runs)

    async def delete_runs(self, runs: Collection[str]) -> Mapping[str, int]:
        """Delete runs with their human tasks and effects; records of payments stay, without their answers."""
        effect = EffectRow
        await self._delete(HumanTaskRow, col(HumanTaskRow.run_id).in_(runs))
        await self._delete(effect, col(effect.run_id).in_(runs), col(effect.moves_money).is_(False))
        await self.session.execute(update(effect).where(col(effect.run_id).in_(runs)).values(answer=None))
        return {"runs": await self._delete(RunRow, col(RunRow.id).in_(runs))}

    async def empty_records(self, identities: Sequence[int], size: int) -> Mapping[str, int]:
        """A batch of records that point at these keys: orders and refunds stay with their amounts and numbers, and are
        nobody's; parcels and everything else goes. Nothing is left when all numbers are 0."""
        orders = select(col(OrderRow.id)).where(col(OrderRow.identity_id).in_(identities)).limit(size)
        mine = update(OrderRow).where(col(OrderRow.id).in_(orders.scalar_subquery()))
        nobodys = {"identity_id": None, "buyer": None, "receiver": None, "city": None, "customer_owner": None}
        changed = (
            await self.session.execute(
                mine.values(**nobodys, close_reason=None).returning(col(OrderRow.account_id), col(OrderRow.order_id))
            )
        ).all()
        parcels = 0
        for account, order in changed:
            of_order = (col(ShipmentRow.account_id) == account, col(ShipmentRow.order_id) == order)
            parcels += await self._delete(ShipmentRow, *of_order)
        refunds = select(col(RefundRow.id)).where(col(RefundRow.identity_id).in_(identities)).limit(size)
        returned = await self.session.scalars(
            update(RefundRow)
            .where(col(RefundRow.id).in_(refunds.scalar_subquery()))
            .values(identity_id=None, reason=None, customer_owner=None)
            .returning(col(RefundRow.id))
        )
        acts = select(col(InteractionRow.id)).where(col(InteractionRow.identity_id).in_(identities)).limit(size)
        return {
            "orders": len(changed),
            "parcels": parcels,
            "refunds": len(returned.all()),
            "interactions": await self._delete(InteractionRow, col(InteractionRow.id).in_(acts.scalar_subquery())),
        }

    async def delete_touches(self, recipients: Sequence[str], size: int) -> int:
        """A batch of what was sent to these ids."""
        some = select(col(TouchRow.id)).where(col(TouchRow.recipient).in_(recipients)).limit(size)
        return await self._delete(TouchRow, col(TouchRow.id).in_(some.scalar_subquery()))

    async def delete_keys(self, identities: Sequence[int], names: Sequence[UUID]) -> Mapping[str, int]:
        """The keys themselves, with the evidence, decisions, suggestions and moves that are about them."""
        key = IdentityDecisionKeyRow
        about = col(key.identity_id).in_(identities)
        decisions = (await self.session.scalars(select(col(key.decision_id)).where(about).distinct())).all()
        keys = await self._delete(IdentityRow, col(IdentityRow.id).in_(identities))
        left = (
            select(col(key.decision_id))
            .join(IdentityDecisionRow, col(IdentityDecisionRow.id) == col(key.decision_id))
            .where(col(key.decision_id).in_(decisions))
            .group_by(col(key.decision_id), col(IdentityDecisionRow.verdict))
            .having(
                or_(
                    and_(col(IdentityDecisionRow.verdict) == "join", func.count() > 1),
                    func.count(col(key.side).distinct()) > 1,
                )
            )
        )
        over = [each for each in decisions if each not in set(await self.session.scalars(left))]
        await self._delete(key, col(key.decision_id).in_(over))
        # A reason is a text of a person, and was about somebody who is not there any more.
        await self.session.execute(
            update(IdentityDecisionRow).where(col(IdentityDecisionRow.id).in_(over)).values(reason="")
        )
        moves = or_(col(IdentityMoveRow.from_customer).in_(names), col(IdentityMoveRow.to_customer).in_(names))
        await self._delete(IdentityMoveRow, moves)
        return {"identities": keys}

    async def orders_of(self, identities: Sequence[int], limit: int) -> list[tuple[str, str]]:
        """Account and number of the orders that point at these keys."""
        row = OrderRow
        statement = select(col(row.account_id), col(row.order_id)).where(col(row.identity_id).in_(identities))
        # By an expression, so that no planner walks all orders in their order.
        found = await self.session.execute(statement.order_by(col(row.id) + 0).limit(limit))
        return [(account or "", order) for account, order in found]

    async def _delete(self, row: type[Table], *conditions: Any) -> int:
        statement = delete(row).where(*conditions).returning(*table_of(row).primary_key.columns)
        return len((await self.session.execute(statement, execution_options={"synchronize_session": False})).all())

    async def _mentions(
        self, row: type[Table], keys: tuple[str, ...], cursor: str, size: int, traces: Traces
    ) -> tuple[list[tuple[Any, frozenset[str]]], str | None]:
        """Of the next rows in the order of a key those that name the person, with the columns in which they do; and the
        last key, None at the end."""
        table = table_of(row)
        names = [table.c[name] for name in keys]
        texts = [each for each in table.columns if each.name in _PLAIN]
        sealed = [each for each in table.columns if encrypted_type(each.type)]
        columns = [*texts, *(type_coerce(each, LargeBinary).label(each.name) for each in sealed)]
        statement = select(*names, *columns).order_by(*names).limit(size)
        if cursor:
            statement = statement.where(tuple_(*names) > tuple_(*json.loads(cursor)))
        rows = (await self.session.execute(statement)).mappings().all()
        keyring = self.work.database.keyring
        found = []
        for one in rows:
            places = {each.name for each in texts if traces.are_in(_text(one[each.name]))}
            for each in sealed:
                stored, context = one[each.name], f"{table.name}.{each.name}"
                if stored is not None and traces.are_in(keyring.decrypt(bytes(stored), context)):
                    places.add(each.name)
            key = tuple(one[name] for name in keys)
            if any(traces.are_in(str(part)) for part in key):
                places.add("id")
            if places:
                found.append((key if len(key) > 1 else key[0], frozenset(places)))
        return found, (json.dumps([rows[-1][name] for name in keys]) if len(rows) == size else None)


_PLAIN = frozenset({"subject", "subjects", "customer", "ticket", "reason", "start_problem", "event_id", "source"})
_ABOUT = frozenset({"id", "subject", "subjects", "customer", "ticket", "input", "trigger"})
"""Columns of a run of which one that names the person makes the run theirs."""


def _text(value: Any) -> str | None:
    return "\n".join(value) if isinstance(value, list) else value
