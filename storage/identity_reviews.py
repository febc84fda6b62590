"""What people look at: suggestions to review, decisions they took, and the history of what moved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, exists, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import Field, col

from domain.access import Scope
from domain.customers.identity import Pair, Verdict
from domain.customers.merging import Suggestion
from domain.ids import canonical_json
from domain.problems import NotFoundProblem, Text
from storage.bulk import fetch
from storage.customer_scope import customer_visible
from storage.encryption import EncryptedJson
from storage.identities import IdentityRow
from storage.identity_links import MOST_SHOWN, IdentityDecisionPairRow, IdentityDecisionRow
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

    async def settle(self, pairs: Collection[Pair], state: SuggestionState, actor: str, decision_id: UUID) -> None:
        """Note that a decision answered these pairs."""
        row = IdentitySuggestionRow
        for low, high in pairs:
            await self.session.execute(
                update(row)
                .where(col(row.low) == low, col(row.high) == high)
                .values(state=state, settled_at=self.now, settled_by=actor, decision_id=decision_id)
            )

    async def about(self, ids: Collection[int]) -> Sequence[IdentitySuggestionRow]:
        """Open pairs with one of the keys in them."""
        row = IdentitySuggestionRow
        statement = select(row).where(col(row.state) == "open", or_(col(row.low).in_(ids), col(row.high).in_(ids)))
        return (await self.session.scalars(statement.order_by(col(row.made_at), col(row.id)))).all()


class IdentityDecisions(Repository):
    """What people decided; a decision is undone, never changed."""

    async def add(self, verdict: Verdict, pairs: Collection[Pair], actor: str, reason: str) -> IdentityDecisionRow:
        """A decision about pairs of keys, the lower one first in each."""
        row = IdentityDecisionRow(verdict=verdict, actor=actor, reason=reason, decided_at=self.now)
        await self.insert(row)
        values = [{"decision_id": row.id, "low": low, "high": high} for low, high in sorted(set(pairs))]
        await self.session.execute(insert(IdentityDecisionPairRow), values)
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

    async def pairs(self, decisions: Collection[UUID]) -> Mapping[UUID, Sequence[Pair]]:
        """The pairs of keys that decisions are about."""
        row = IdentityDecisionPairRow
        columns = (col(row.decision_id), col(row.low), col(row.high))
        rows = await self.session.execute(
            select(*columns).where(col(row.decision_id).in_(decisions)).order_by(*columns)
        )
        found: dict[UUID, list[Pair]] = {}
        for decision_id, low, high in rows:
            found.setdefault(decision_id, []).append((low, high))
        return found

    async def about(self, ids: Collection[int]) -> Sequence[IdentityDecisionRow]:
        """Every decision with one of the keys in it, undone ones too, the earliest first."""
        row, pair = IdentityDecisionRow, IdentityDecisionPairRow
        named = select(col(pair.decision_id)).where(or_(col(pair.low).in_(ids), col(pair.high).in_(ids)))
        statement = select(row).where(col(row.id).in_(named)).order_by(col(row.decided_at), col(row.id))
        return (await self.session.scalars(statement)).all()

    async def active(self, ids: Collection[int]) -> Sequence[tuple[UUID, Verdict, int, int]]:
        """The pairs of decisions in force with one of the keys in them, as (decision, verdict, low, high)."""
        row, pair = IdentityDecisionRow, IdentityDecisionPairRow
        rows = await self.session.execute(
            select(col(row.id), col(row.verdict), col(pair.low), col(pair.high))
            .join(pair, col(pair.decision_id) == col(row.id))
            .where(col(row.undone_at).is_(None), or_(col(pair.low).in_(ids), col(pair.high).in_(ids)))
        )
        return [(decision, "join" if verdict == "join" else "part", low, high) for decision, verdict, low, high in rows]


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
                col(row.identity_id).in_(ids),
                col(row.from_customer) == customer,
                col(row.to_customer) == customer,
            )
        )
        return (await self.session.scalars(statement.order_by(col(row.moved_at), col(row.id)).limit(MOST_SHOWN))).all()
