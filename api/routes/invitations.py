"""Who invited a customer: seen and written down."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.routing import router
from domain.access import Actor, Permission
from domain.privacy import masked_text
from domain.settlement.payees import Code
from services.invitations import LONGEST_SOURCE, Invitation, Inviter

invitations = router("/api/v1/customers/{customer_id}/invitations", "settlement")

Reader = Annotated[Actor, requires(Permission.PAYEES_READ)]
Keeper = Annotated[Actor, requires(Permission.PAYEES_MANAGE)]


class InviterShown(BaseModel):
    """A payee by code, or a customer; neither, where that customer was erased since."""

    model_config = ConfigDict(extra="forbid")

    payee: Code | None = None
    customer: UUID | None = None


class InvitationOut(BaseModel):
    """One invitation. counts: whether it is the first, by which orders are somebody's."""

    inviter: InviterShown
    at: AwareDatetime
    source: str
    recorded_at: AwareDatetime
    made_by: str
    counts: bool


class InvitationList(BaseModel):
    """Who invited the customer, the first first; numbers in a source are masked."""

    items: list[InvitationOut]


class InvitationIn(BaseModel):
    """Who invited the customer (a payee, or another customer), when, and how that is known."""

    model_config = ConfigDict(extra="forbid")

    inviter: InviterShown
    at: AwareDatetime
    source: str = Field(min_length=1, max_length=LONGEST_SOURCE)


@invitations.get("", summary="邀请记录 · Who invited a customer")
async def list_invitations(customer_id: UUID, actor: Reader, deps: Deps) -> InvitationList:
    """最早的在前，以它为准。· The first first, which is the one that counts."""
    return _list(await deps.invitations.of_customer(actor, customer_id))


@invitations.post("", summary="登记邀请 · Write down an invitation")
async def record_invitation(customer_id: UUID, told: InvitationIn, actor: Keeper, deps: Deps) -> InvitationList:
    """谁邀请了这位客户；同样的说两次只记一次，写入审计。归属规则里有 `inviter` 的，无主的订单随即重新判定。

    Who invited the customer; the same said twice is one. It is audited, and orders that are nobody's are looked at
    again where the attribution has `inviter`.
    """
    inviter = Inviter(told.inviter.payee, told.inviter.customer)
    return _list(await deps.invitations.record(actor, customer_id, inviter, told.at, told.source))


def _list(found: Sequence[Invitation]) -> InvitationList:
    shown = [replace(each, source=masked_text(each.source)) for each in found]
    return InvitationList(items=[InvitationOut.model_validate(asdict(each)) for each in shown])
