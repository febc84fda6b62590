"""What people look at: suggestions to review, decisions they took, and the history of what moved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import aliased
from sqlmodel import Field, col

from domain.access import Scope
from domain.customers.identity import Decision, Verdict
from domain.customers.merging import Suggestion
from domain.ids import canonical_json
from domain.problems import NotFoundProblem, Text
from storage.bulk import fetch
from storage.customer_scope import customer_visible
from storage.encryption import EncryptedJson
from storage.identities import IdentityRow
from storage.identity_links import MOST_SHOWN, IdentityDecisionKeyRow, IdentityDecisionRow
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository

Cause = Literal["evidence", "decision", "undo"]
DETAIL_CONTEXT = "identity_moves.detail"
SuggestionState = Literal["open", "joined", "parted"]


class IdentityMoveRow(Table, table=True):
    """History: identities that changed from one customer to another, and why. cause: evidence, decision, undo.

    detail: the records that were the evidence, or the decision.
    """

    __tablename__ = "identity_moves"
    id: UUID = identifier()
    identity_id: int = Field(
        sa_type=BigInteger, index=True, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")]
    )
    from_customer: UUID = Field(index=True)
    to_customer: UUID = Field(index=True)
    cause: str
    detail: dict[str, Any] = Field(sa_type=EncryptedJson(DETAIL_CONTEXT))
    moved_at: datetime = instant()


class IdentitySuggestionRow(Table, table=True):
    """Two keys that may be one person, for somebody to look at. why: `shared_device`, `conflicting_unionid` …

    state: open, joined, parted. One row per pair, whatever the order; gone when the evidence answers it.
    """

    __tablename__ = "identity_suggestions"
    id: UUID = identifier()
    low: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    high: int = Field(sa_type=BigInteger, index=True, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    why: str
    state: str = "open"
    made_at: datetime = instant()
    settled_at: datetime | None = instant(optional=True)
    settled_by: str | None = None
    decision_id: UUID | None = Field(default=None, index=True, sa_column_args=[ForeignKey("identity_decisions.id")])

    __table_args__ = (
        UniqueConstraint("low", "high"),
        Index("ix_identity_suggestions_open_made_at_id", "made_at", "id", postgresql_where=text("state = 'open'")),
    )


_OLDEST_FIRST = Order(
    "identity-suggestions", (IdentitySuggestionRow.made_at, IdentitySuggestionRow.id), descending=False
)
_ANSWERED = """
    DELETE FROM identity_suggestions AS old
    WHERE old.state = 'open' AND old.low = ANY(%(ids)b::bigint[]) AND NOT EXISTS (
        SELECT FROM unnest(%(lows)b::bigint[], %(highs)b::bigint[]) AS new (low, high)
        WHERE new.low = old.low AND new.high = old.high
    )
    """
_SUGGEST = """
    INSERT INTO identity_suggestions (low, high, why, state, made_at)
    SELECT low, high, why, 'open', %(now)b::timestamptz
    FROM unnest(%(lows)b::bigint[], %(highs)b::bigint[], %(whys)b::text[]) AS new (low, high, why)
    ON CONFLICT (low, high) DO UPDATE SET why = EXCLUDED.why, state = 'open', settled_at = NULL, settled_by = NULL,
        decision_id = NULL
    WHERE identity_suggestions.state <> 'open' OR identity_suggestions.why <> EXCLUDED.why
    """


_DECIDE = """
    INSERT INTO identity_decision_keys (decision_id, identity_id, side)
    SELECT %(decision)b::uuid, id, side FROM unnest(%(ids)b::bigint[], %(sides)b::smallint[]) AS new (id, side)
"""
_MOVE = """
    INSERT INTO identity_moves (identity_id, from_customer, to_customer, cause, detail, moved_at)
    SELECT id, origin, target, %(cause)b::text, detail, %(now)b::timestamptz
    FROM unnest(%(ids)b::bigint[], %(origins)b::uuid[], %(targets)b::uuid[], %(details)b::bytea[])
        AS new (id, origin, target, detail)
"""


class IdentitySuggestions(Repository):
    """The review list."""

    async def replace(self, ids: Collection[int], suggestions: Iterable[Suggestion]) -> None:
        """What these keys suggest now, in place of what they suggested before."""
        ordered = sorted(set(suggestions))
        named = {"lows": [each.low for each in ordered], "highs": [each.high for each in ordered]}
        await fetch(self.work, _ANSWERED, {**named, "ids": list(ids)})
        await self.add(ordered)

    async def add(self, suggestions: Collection[Suggestion]) -> None:
        """Put pairs on the list; one that was settled before is open again."""
        if suggestions:
            lows, highs, whys = (list(column) for column in zip(*sorted(suggestions), strict=True))
            await fetch(self.work, _SUGGEST, {"lows": lows, "highs": highs, "whys": whys, "now": self.now})

    async def list(self, page: PageRequest, scope: Scope) -> Page[IdentitySuggestionRow]:
        """Open pairs of which a scope shows both sides, the oldest first."""
        statement = select(IdentitySuggestionRow).where(col(IdentitySuggestionRow.state) == "open")
        if scope.kind != "everything":
            for end in (IdentitySuggestionRow.low, IdentitySuggestionRow.high):
                side = aliased(IdentityRow)
                seen = exists().where(col(side.id) == col(end)).where(customer_visible(col(side.customer_id), scope))
                statement = statement.where(seen)
        return await paginate(self.session, statement, _OLDEST_FIRST, page, lambda row: row)

    async def require(self, suggestion_id: UUID) -> IdentitySuggestionRow:
        """A suggestion, held until the unit of work ends; raises NotFoundProblem."""
        statement = select(IdentitySuggestionRow).where(col(IdentitySuggestionRow.id) == suggestion_id)
        found = await self.session.scalar(statement.with_for_update())
        if found is None:
            raise NotFoundProblem(
                Text(
                    f"没有编号为 {suggestion_id} 的待核对项，或已有新的证据", f"There is no suggestion {suggestion_id}"
                )
            )
        return found

    async def settle(self, decided: Decision, state: SuggestionState, actor: str, decision_id: UUID) -> None:
        """Note that a decision answered the pairs that it is about."""
        row = IdentitySuggestionRow
        one, other = list(decided.one), list(decided.other or decided.one)
        answered = or_(
            and_(col(row.low) == func.any(one), col(row.high) == func.any(other)),
            and_(col(row.low) == func.any(other), col(row.high) == func.any(one)),
        )
        values = {"state": state, "settled_at": self.now, "settled_by": actor, "decision_id": decision_id}
        await self.session.execute(update(row).where(answered).values(values))

    async def about(self, ids: Collection[int]) -> Sequence[IdentitySuggestionRow]:
        """Open pairs with one of the keys in them."""
        row, given = IdentitySuggestionRow, list(ids)
        named = or_(col(row.low) == func.any(given), col(row.high) == func.any(given))
        statement = select(row).where(col(row.state) == "open", named)
        return (await self.session.scalars(statement.order_by(col(row.made_at), col(row.id)))).all()


class IdentityDecisions(Repository):
    """What people decided; a decision is undone, never changed."""

    async def add(self, decided: Decision, actor: str, reason: str) -> IdentityDecisionRow:
        """Write a decision down."""
        row = IdentityDecisionRow(verdict=decided.verdict, actor=actor, reason=reason, decided_at=self.now)
        await self.insert(row)
        sides = {key: side for side, keys in enumerate((decided.one, decided.other)) for key in keys}
        names = {"decision": row.id, "ids": list(sides), "sides": list(sides.values())}
        await fetch(self.work, _DECIDE, names)
        return row

    async def require(self, decision_id: UUID) -> IdentityDecisionRow:
        """A decision, held until the unit of work ends; raises NotFoundProblem."""
        statement = select(IdentityDecisionRow).where(col(IdentityDecisionRow.id) == decision_id)
        found = await self.session.scalar(statement.with_for_update())
        if found is None:
            raise NotFoundProblem(
                Text(f"没有编号为 {decision_id} 的合并或拆分决定", f"There is no decision {decision_id}")
            )
        return found

    async def sides(self, decisions: Collection[UUID]) -> Mapping[UUID, Sequence[Sequence[int]]]:
        """The keys that decisions are about: all of them for a `join`, those of each side for a `part`."""
        row = IdentityDecisionKeyRow
        columns = (col(row.decision_id), col(row.side), col(row.identity_id))
        rows = await self.session.execute(
            select(*columns).where(col(row.decision_id) == func.any(list(decisions))).order_by(*columns)
        )
        found: dict[UUID, dict[int, list[int]]] = {}
        for decision_id, side, key in rows:
            found.setdefault(decision_id, {}).setdefault(side, []).append(key)
        return {decision_id: list(sides.values()) for decision_id, sides in found.items()}

    async def about(self, ids: Collection[int]) -> Sequence[IdentityDecisionRow]:
        """Every decision with one of the keys in it, undone ones too, the earliest first."""
        row, key = IdentityDecisionRow, IdentityDecisionKeyRow
        named = select(col(key.decision_id)).where(col(key.identity_id) == func.any(list(ids)))
        statement = select(row).where(col(row.id).in_(named)).order_by(col(row.decided_at), col(row.id))
        return (await self.session.scalars(statement)).all()

    async def active(self, ids: Collection[int]) -> Mapping[UUID, Decision]:
        """What decisions in force say of the keys."""
        row, key = IdentityDecisionRow, IdentityDecisionKeyRow
        rows = await self.session.execute(
            select(col(row.id), col(row.verdict), col(key.side), col(key.identity_id))
            .join(key, col(key.decision_id) == col(row.id))
            .where(col(row.undone_at).is_(None), col(key.identity_id) == func.any(list(ids)))
        )
        found: dict[UUID, tuple[Verdict, list[int], list[int]]] = {}
        for decision, verdict, side, number in rows:
            _, *sides = found.setdefault(decision, ("join" if verdict == "join" else "part", [], []))
            sides[side].append(number)
        return {decision: Decision(*said) for decision, said in found.items()}


class NewMove(NamedTuple):
    """A key that changes its customer, and what the history keeps as the reason."""

    identity_id: int
    from_customer: UUID
    to_customer: UUID
    detail: Mapping[str, Any]


class IdentityMoves(Repository):
    """What moved, when and why; only ever added to."""

    async def add(self, cause: Cause, moves: Collection[NewMove]) -> None:
        """Note what moves now."""
        if not moves:
            return
        keyring = self.work.database.keyring
        ids, origins, targets, details = (list(column) for column in zip(*moves, strict=True))
        sealed = [keyring.encrypt(canonical_json(detail), DETAIL_CONTEXT) for detail in details]
        values = {"ids": ids, "origins": origins, "targets": targets, "details": sealed}
        await fetch(self.work, _MOVE, {**values, "cause": cause, "now": self.now})

    async def of(self, ids: Collection[int], customer: UUID) -> Sequence[IdentityMoveRow]:
        """The moves of keys, and all moves out of or into a customer, the earliest first."""
        row = IdentityMoveRow
        statement = select(row).where(
            or_(
                col(row.identity_id) == func.any(list(ids)),
                col(row.from_customer) == customer,
                col(row.to_customer) == customer,
            )
        )
        return (await self.session.scalars(statement.order_by(col(row.moved_at), col(row.id)).limit(MOST_SHOWN))).all()
