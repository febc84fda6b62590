"""Taking one person out of the tables, a batch at a time.

What points at the person is found by its indexes, what only mentions them (pushes, events, runs, answers) is read
through (`storage.mentions`). What goes from here is in an export as well (`storage.personal`); a test compares both.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, delete, func, or_, select, tuple_, union, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.customers.traces import Traces
from storage.awaited_orders import AwaitedOrderRow
from storage.effects import EffectRow
from storage.erasures import ErasureRow
from storage.events import EventRow
from storage.human_tasks import HumanTaskRow
from storage.idempotency import IdempotencyKeyRow
from storage.identities import IdentityRow
from storage.identity_links import IdentityDecisionKeyRow, IdentityDecisionRow, IdentityLinkRow
from storage.identity_reviews import IdentityMoveRow
from storage.inbox import InboxRow
from storage.interactions import InteractionRow
from storage.mentions import Looked, Mention, Mentions
from storage.named_people import NamedPeople
from storage.orders import OrderRow, RefundRow, ShipmentRow, shop_of_parcel
from storage.reach import TouchRow
from storage.recordsets import table_of
from storage.run_owners import RunOwners
from storage.runs import RunRow
from storage.tables import Table
from storage.unit_of_work import Repository


@dataclass(frozen=True, slots=True)
class Swept:
    """One batch of reading through. cursor: the last key that was looked at, None at the end of the table; unreadable:
    rows that nobody can decrypt, so that nobody knows whom they name."""

    cursor: str | None
    changed: int = 0
    unreadable: int = 0


class Erasing(Repository):
    """Each method is one bounded batch, and changes nothing when it is repeated."""

    async def sweep_awaited(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Delete events that wait for their whole order and name the person, or an order of theirs."""
        return await self._sweep_pairs(AwaitedOrderRow, ("account_id", "event_id"), traces, cursor, size)

    async def sweep_events(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Delete events that name the person, with their places in the outbox and what triggers remember of them."""
        looked = await Mentions(self.work).after(EventRow, ("seq",), cursor, size, traces)
        gone = [each.key for each in looked.found]
        await self.session.execute(delete(EventRow).where(col(EventRow.seq).in_(gone)))
        return Swept(looked.cursor, len(gone), looked.unreadable)

    async def sweep_inbox(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Empty pushes that name the person; those that wait are emptied when they are read."""
        looked = await Mentions(self.work).after(InboxRow, ("id",), cursor, size, traces)
        row, ids = InboxRow, [each.key for each in looked.found]
        named = col(row.id).in_([each.key for each in looked.found if "dedupe_key" in each.columns])
        key = case((named, func.concat("erased:", col(row.id))), else_=col(row.dedupe_key))
        statement = (
            update(row)
            .where(col(row.id).in_(ids), col(row.state) != "waiting")
            .values(payload=b"", reason=None, state="done", changed_at=self.now, dedupe_key=key)
            .returning(col(row.id))
        )
        return Swept(looked.cursor, len((await self.session.scalars(statement)).all()), looked.unreadable)

    async def sweep_answers(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Delete kept answers of the API that name the person."""
        return await self._sweep_pairs(IdempotencyKeyRow, ("login", "key"), traces, cursor, size)

    async def _sweep_pairs(
        self, row: type[Table], keys: tuple[str, str], traces: Traces, cursor: str, size: int
    ) -> Swept:
        looked = await Mentions(self.work).after(row, keys, cursor, size, traces)
        taken = tuple_(*(table_of(row).c[key] for key in keys)).in_([each.key for each in looked.found])
        return Swept(looked.cursor, await self._delete(row, taken) if looked.found else 0, looked.unreadable)

    async def sweep_effects(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Empty answers of effects that name the person. That the effect was done, and when, stays."""
        row = EffectRow
        looked = await Mentions(self.work).after(row, ("key",), cursor, size, traces)
        keys = [each.key for each in looked.found]
        statement = update(row).where(col(row.key).in_(keys), col(row.answer).is_not(None)).values(answer=None)
        changed = (await self.session.scalars(statement.returning(col(row.key)))).all()
        return Swept(looked.cursor, len(changed), looked.unreadable)

    async def sweep_tasks(self, traces: Traces, cursor: str, size: int) -> Swept:
        """Take the person out of human tasks of runs that are about others too."""
        looked = await Mentions(self.work).after(HumanTaskRow, ("id",), cursor, size, traces)
        await Mentions(self.work).empty_damaged(HumanTaskRow, looked.found)
        for each in looked.found:
            row = await self.session.get_one(HumanTaskRow, each.key)
            row.title = "" if traces.are_in(row.title) else row.title
            row.comment = None if traces.are_in(row.comment) else row.comment
            row.subject = "" if traces.are_in(row.subject) else row.subject
            for name in ("data", "draft", "output"):
                setattr(row, name, traces.without(getattr(row, name)))
        await self.session.flush()
        return Swept(looked.cursor, len(looked.found), looked.unreadable)

    async def runs_naming(
        self, traces: Traces, identities: Collection[int], cursor: str, size: int
    ) -> tuple[list[str], list[Mention], Looked]:
        """Runs that are about the person; runs about others, or about many, that mention them; all that was seen."""
        looked = await Mentions(self.work).after(RunRow, ("id",), cursor, size, traces)
        theirs = await self.theirs(looked.found, traces, identities)
        return theirs, [each for each in looked.found if each.key not in theirs], looked

    async def theirs(self, runs: Sequence[Mention], traces: Traces, identities: Collection[int]) -> list[str]:
        """Of runs that mention the person with these keys those that are about them. One whose order or refund is
        another's today is that one's, whoever it was thought to be when it began; and one that was told of them beside
        others, or is somebody else's, only mentions them."""
        told = [run for run in runs if run.columns & _TOLD and not run.columns & _NAMED]
        of_many = await self._about_others_too([run.key for run in told if not run.damaged & _TOLD], traces, identities)
        about = [run.key for run in runs if run.columns & (_NAMED | _TOLD) and run.key not in of_many]
        others = await RunOwners(self.work).of_others(about, identities)
        return [run_id for run_id in about if run_id not in others]

    async def _about_others_too(self, runs: Collection[str], traces: Traces, mine: Collection[int]) -> set[str]:
        """Of runs that do not name the person as whom they are about those that are about others: about nobody else is
        a list with the person in it of which no other entry names a customer."""
        row = RunRow
        columns = (col(row.id), col(row.customer), col(row.subjects), col(row.input), col(row.trigger))
        others: set[str] = set()
        beside: dict[str, set[str]] = {}
        for run, customer, subjects, *told in await self.session.execute(select(*columns).where(col(row.id).in_(runs))):
            if customer is not None or any(each.startswith(_SOMEBODY) for each in subjects):
                others.add(run)
            else:
                beside[run] = set(islice(chain(*map(traces.told_beside, told)), _MOST_BESIDE))
        named = await NamedPeople(self.work).of_others(set[str]().union(*beside.values()), mine)
        return others | {run for run, texts in beside.items() if not named.isdisjoint(texts)}

    async def children_of(self, runs: Collection[str]) -> list[str]:
        """Runs that these started, and those that they started: what is known of the person was handed to them."""
        part = aliased(RunRow)
        tree = select(col(RunRow.id)).where(col(RunRow.parent_id).in_(runs)).cte("tree", recursive=True)
        tree = tree.union(select(col(part.id)).join(tree, col(part.parent_id) == tree.c.id))
        return list(await self.session.scalars(select(tree.c.id)))

    async def leave_runs(self, others: Sequence[Mention], traces: Traces) -> int:
        """Take the person out of runs that are about others."""
        await Mentions(self.work).empty_damaged(RunRow, others)
        runs = select(RunRow).where(col(RunRow.id).in_([each.key for each in others]))
        for row in await self.session.scalars(runs.with_for_update()):
            for name in ("input", "trigger", "output", "error", "continuation", "tasks"):
                setattr(row, name, traces.without(getattr(row, name)))
            row.subjects = [each for each in row.subjects if not traces.are_in(each)]
            # What a platform calls them stands here without its kind.
            row.customer = None if traces.are_in(f"customer:{row.customer}") else row.customer
            for name in ("enrolled", "ticket"):
                setattr(row, name, None if traces.are_in(getattr(row, name)) else getattr(row, name))
            row.subject = "" if traces.are_in(row.subject) else row.subject
            row.start_problem = None if traces.are_in(row.start_problem) else row.start_problem
        await self.session.flush()
        return len(others)

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
        nobodys = dict.fromkeys(("identity_id", "buyer", "names", "receiver", "city", "customer_owner"))
        changed = (
            await self.session.execute(
                mine.values(**nobodys, close_reason=None).returning(col(OrderRow.account_id), col(OrderRow.order_id))
            )
        ).all()
        parcels = 0
        for account, order in changed:
            of_order = (shop_of_parcel() == account, col(ShipmentRow.order_id) == order)
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

    async def ownerless_beside(self, identities: Sequence[int]) -> list[IdentityRow]:
        """Phones and devices that nobody is left to have when these keys go: they belong to no person, no record points
        at them, and only these keys and keys that are being erased were ever seen with them."""
        beside = union(
            select(col(IdentityLinkRow.high)).where(col(IdentityLinkRow.low).in_(identities)),
            select(col(IdentityLinkRow.low)).where(col(IdentityLinkRow.high).in_(identities)),
        )
        shared = select(IdentityRow).where(
            col(IdentityRow.id).in_(beside),
            col(IdentityRow.id).not_in(identities),
            col(IdentityRow.kind).in_(_SHARED),
        )
        found = list(await self.session.scalars(shared.order_by(col(IdentityRow.id))))
        if not found:
            return []
        going = select(func.unnest(col(ErasureRow.identities))).where(col(ErasureRow.ended_at).is_(None))
        mine = [each.id for each in found]
        kept: set[int] = set()
        for near, far in ((IdentityLinkRow.low, IdentityLinkRow.high), (IdentityLinkRow.high, IdentityLinkRow.low)):
            known = select(col(near)).where(col(near).in_(mine), col(far).not_in([*identities, *mine]))
            kept |= set(await self.session.scalars(known.where(col(far).not_in(going)).distinct()))
        for row in (OrderRow, RefundRow, InteractionRow):
            kept |= set(
                await self.session.scalars(
                    select(col(row.identity_id)).where(col(row.identity_id).in_(mine)).distinct()
                )
            )
        # One that somebody was found to be keeps that person's other keys company.
        owners = {each.customer_id for each in found}
        others = select(col(IdentityRow.customer_id)).where(
            col(IdentityRow.customer_id).in_(owners), col(IdentityRow.id).not_in(mine)
        )
        owned = set(await self.session.scalars(others.distinct()))
        return [each for each in found if each.id not in kept and each.customer_id not in owned]

    async def _delete(self, row: type[Table], *conditions: Any) -> int:
        statement = delete(row).where(*conditions).returning(*table_of(row).primary_key.columns)
        return len((await self.session.execute(statement, execution_options={"synchronize_session": False})).all())


_NAMED = frozenset({"id", "subject", "subjects", "customer", "enrolled", "ticket"})
"""Columns of a run that say whom it is about: one that names the person makes the run theirs, unless its order is
another's."""

_TOLD = frozenset({"input", "trigger"})
"""Columns of a run that tell what it was started with: that names the person, but may name others too."""

_SOMEBODY = ("customer:", "key:")
"""How subjects begin that name a customer."""

_MOST_BESIDE = 100
"""So many of what stands beside the person in a run are looked up: in a longer list of people some are among these."""

_SHARED = ("phone", "device")
"""Kinds of keys that several people may have, and then are nobody's."""
