"""Customers and their identities: why keys are one person's; merge, split, undo, review."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging, RowId
from api.routing import router
from domain.access import Actor, Permission
from services.customers import LONGEST_REASON, MOST_KEYS

customers = router("/api/v1/customers", "customers")
identity_decisions = router("/api/v1/identity-decisions", "customers")
identity_suggestions = router("/api/v1/identity-suggestions", "customers")

Reader = Annotated[Actor, requires(Permission.CUSTOMERS_READ)]
Reviewer = Annotated[Actor, requires(Permission.CUSTOMERS_MERGE)]
Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, pattern=r"\S")]
Verdict = Literal["join", "part"]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IdentityOut(_Out):
    """A key of a person; its value is masked. crowded: many people use it, so it says nothing about anybody."""

    id: int
    kind: str
    scope: str
    value: str
    customer: UUID
    first_seen_at: AwareDatetime
    crowded: bool


class IdentityLinkOut(_Out):
    """The first record that named both keys. strength: of the weaker key, `union`, `wechat`, `account`, `phone`,
    `device`."""

    low: int
    high: int
    strength: str
    account_id: str
    record: str
    seen_at: AwareDatetime


class IdentityDecisionOut(_Out):
    """What somebody decided about keys. sides: the keys of one person for `join`, those of two for `part`."""

    id: UUID
    verdict: Verdict
    sides: list[list[int]]
    actor: str
    reason: str
    decided_at: AwareDatetime
    undone_at: AwareDatetime | None
    undone_by: str | None


class IdentityMoveOut(_Out):
    """A key that went from one customer to another. detail: the records or the decision that caused it."""

    identity: int
    from_customer: UUID
    to_customer: UUID
    cause: Literal["evidence", "decision", "undo"]
    detail: dict[str, Any]
    moved_at: AwareDatetime


class IdentitySuggestionOut(_Out):
    """Two keys that may be one person's. why: `shared_phone`, `shared_device`, `conflicting_unionid`,
    `too_many_linked` …"""

    id: UUID
    why: str
    made_at: AwareDatetime
    low: IdentityOut
    high: IdentityOut


class ExplanationOut(_Out):
    """Why these keys are one customer. others: keys of other customers that are named as well."""

    customer: UUID
    aliases: list[UUID]
    keys: list[IdentityOut]
    others: list[IdentityOut]
    links: list[IdentityLinkOut]
    decisions: list[IdentityDecisionOut]
    moves: list[IdentityMoveOut]
    suggestions: list[IdentitySuggestionOut]


class DecidedOut(_Out):
    """The decision, and the customers that its keys belong to now."""

    decision: UUID
    verdict: Verdict
    customers: list[UUID]


class MergeIn(_In):
    """Customers that are the same person as the one in the path, and how that is known."""

    others: list[UUID] = Field(min_length=1, max_length=20)
    reason: Reason


class SplitIn(_In):
    """Identities of the customer that are another person's, and how that is known."""

    identities: list[RowId] = Field(min_length=1, max_length=MOST_KEYS)
    reason: Reason


class SettleIn(_In):
    """The answer to a suggestion: one person (`join`), or not (`part`)."""

    verdict: Verdict
    reason: Reason


@customers.get("/{customer_id}/identities", summary="为何是同一位客户 · Why one customer")
async def explain_customer(customer_id: UUID, actor: Reader, deps: Deps) -> ExplanationOut:
    """标识（已脱敏）、证据、人工决定、变更历史与待核对项；旧编号同样可用。

    Its identities (masked), the evidence, decisions, history and open questions; former ids work as well.
    """
    return ExplanationOut.model_validate(await deps.customers.explain(actor, customer_id))


@customers.post("/{customer_id}/merge", summary="合并客户 · Merge customers")
async def merge_customers(customer_id: UUID, wanted: MergeIn, actor: Reviewer, deps: Deps) -> DecidedOut:
    """把这些客户的全部标识判定为同一人；最早的编号保留，可撤销。

    Joins all their identities, whatever the evidence says. The oldest id stays. It can be undone.
    """
    return DecidedOut.model_validate(await deps.customers.merge(actor, customer_id, wanted.others, wanted.reason))


@customers.post("/{customer_id}/split", summary="拆分客户 · Split a customer")
async def split_customer(customer_id: UUID, wanted: SplitIn, actor: Reviewer, deps: Deps) -> DecidedOut:
    """把选中的标识与其余标识判定为不同的人；之后的证据不会再把它们合并，可撤销。

    Parts the chosen identities from the rest; later evidence does not bring them together. It can be undone.
    """
    found = await deps.customers.split(actor, customer_id, wanted.identities, wanted.reason)
    return DecidedOut.model_validate(found)


@identity_decisions.post("/{decision_id}/undo", summary="撤销决定 · Undo a decision")
async def undo_identity_decision(decision_id: UUID, actor: Reviewer, deps: Deps) -> DecidedOut:
    """撤销合并或拆分，归属恢复为证据与其余决定所说。· Whose the keys are is again what the evidence says."""
    return DecidedOut.model_validate(await deps.customers.undo(actor, decision_id))


@identity_suggestions.get("", summary="待核对的标识 · Identities to review")
async def list_identity_suggestions(actor: Reader, deps: Deps, page: Paging) -> PageOf[IdentitySuggestionOut]:
    """可能属于同一人的标识对，最早在前。· Pairs of keys that may be one person's, the oldest first."""
    found: Any = await deps.customers.review(actor, page)
    return PageOf[IdentitySuggestionOut].model_validate(found)


@identity_suggestions.post("/{suggestion_id}/settle", summary="处理待核对项 · Answer a suggestion")
async def settle_identity_suggestion(suggestion_id: UUID, wanted: SettleIn, actor: Reviewer, deps: Deps) -> DecidedOut:
    """判定为同一人（join）或不同的人（part），可撤销。· One person (`join`) or not (`part`); it can be undone."""
    return DecidedOut.model_validate(await deps.customers.settle(actor, suggestion_id, wanted.verdict, wanted.reason))
