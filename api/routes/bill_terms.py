"""What accounts bill: proposed by one person, confirmed by another."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.routing import router
from domain.access import Actor, Permission
from domain.organisation import AccountId, Slug
from domain.settlement.reconciliation import WINDOW_DAYS
from services.bill_terms import BillTerms, TermsView

bill_terms = router("/api/v1/settlement/bill-terms", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Asker = Annotated[Actor, requires(Permission.SETTLEMENTS_RUN)]
Decider = Annotated[Actor, requires(Permission.PAYOUTS_APPROVE)]


class TermsIn(BaseModel):
    """What an account bills. shops: whose orders are paid through it. fee_bps: the agreed rate in ten-thousandths;
    null: fees are not compared. fees_back: whether the fee of what is refunded comes back; null: as the platform does.
    window_days: how much later than the books a bill may be. bank: its bills are the statements of the bank that
    payouts are paid from, which one account's are."""

    model_config = ConfigDict(extra="forbid")

    shops: list[AccountId] = Field(max_length=200)
    fee_bps: int | None = Field(default=None, ge=0, le=10_000)
    fees_back: bool | None = None
    window_days: int = Field(default=WINDOW_DAYS, ge=1, le=15)
    bank: bool = False


class ProposalIn(BaseModel):
    """Which proposal is decided on: one that somebody put in its place meanwhile is not."""

    model_config = ConfigDict(extra="forbid")

    proposal: UUID


class ProposedTermsOut(BaseModel):
    """What somebody proposed, and nobody else has confirmed yet."""

    id: UUID
    shops: list[str]
    fee_bps: int | None
    fees_back: bool
    window_days: int
    bank: bool
    by: str
    at: AwareDatetime


class TermsOut(BaseModel):
    """What an account bills: see the request. proposed: what waits for a second person; null when nothing does."""

    account: str
    shops: list[str]
    fee_bps: int | None
    fees_back: bool
    window_days: int
    bank: bool
    proposed: ProposedTermsOut | None


@bill_terms.get("/{platform}/{slug}", summary="查看账单约定 · What an account bills")
async def show_bill_terms(platform: Slug, slug: Slug, actor: Looker, deps: Deps) -> TermsOut:
    """为哪些店铺收款、费率、可迟几天，以及待确认的提议。· Whose orders, which rate, how late; what is proposed."""
    return _shown(await deps.bill_terms.show(actor, f"{platform}/{slug}"))


@bill_terms.put("/{platform}/{slug}", summary="提议账单约定 · Propose what an account bills")
async def set_bill_terms(platform: Slug, slug: Slug, wanted: TermsIn, actor: Asker, deps: Deps) -> TermsOut:
    """由另一人确认后才生效；再次提议代替前一份。一个店铺只归一个收款账号。

    In force once somebody else confirms it; a second proposal takes the place of the first. A shop is billed by one
    account.
    """
    terms = BillTerms(f"{platform}/{slug}", **wanted.model_dump())
    return _shown(await deps.bill_terms.propose(actor, terms))


@bill_terms.post("/{platform}/{slug}/confirm", summary="确认账单约定 · Confirm what an account bills")
async def confirm_bill_terms(platform: Slug, slug: Slug, wanted: ProposalIn, actor: Decider, deps: Deps) -> TermsOut:
    """提议的人不能确认。· Never who proposed it."""
    return _shown(await deps.bill_terms.decide(actor, f"{platform}/{slug}", wanted.proposal, confirm=True))


@bill_terms.post("/{platform}/{slug}/refuse", summary="退回账单约定 · Refuse a proposal")
async def refuse_bill_terms(platform: Slug, slug: Slug, wanted: ProposalIn, actor: Decider, deps: Deps) -> TermsOut:
    """原来的约定不变。· What is in force stays."""
    return _shown(await deps.bill_terms.decide(actor, f"{platform}/{slug}", wanted.proposal, confirm=False))


def _shown(view: TermsView) -> TermsOut:
    waits = view.proposed
    proposed = None if waits is None else ProposedTermsOut(id=waits.id, by=waits.by, at=waits.at, **_told(waits.terms))
    return TermsOut(account=view.terms.account, proposed=proposed, **_told(view.terms))


def _told(terms: BillTerms) -> dict[str, Any]:
    told = {name: getattr(terms, name) for name in ("fee_bps", "window_days", "bank")}
    return {**told, "shops": list(terms.shops), "fees_back": terms.gives_fees_back}
