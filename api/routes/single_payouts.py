"""One payout by its number: where it stands, what its payee needs to confirm it, and calling it off."""

from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.auth import requires
from api.deps import Deps
from api.masking import disclose
from api.routes.payouts import CallOffIn, PayoutOut, payout_out
from api.routing import router
from domain.access import Actor, Permission

single_payouts = router("/api/v1/payouts", "settlement")

Looker = Annotated[Actor, requires(Permission.PAYEES_READ)]
Reader = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Decider = Annotated[Actor, requires(Permission.PAYOUTS_APPROVE)]
PayoutNumber = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9]{1,32}$", description="付款单号 · our number of the payout", examples=["P4d7a1c9e"])
]
Reason = Annotated[str, Query(max_length=500, description="为什么查看，写入审计 · why; kept in the audit log")]


class ConfirmationOut(BaseModel):
    """What `wx.requestMerchantTransfer` takes: `mchId`, `appId` and `package`. account: the slug of the WeChat Pay
    account that pays. expires_at: what is not confirmed by then comes back to the balance."""

    number: str
    payee: str
    amount_minor: int
    currency: str
    account: str
    mch_id: str
    app_id: str
    package_info: str = Field(repr=False)
    expires_at: AwareDatetime


@single_payouts.get("/{number}", summary="查询一笔付款 · Show a payout")
async def show_payout(number: PayoutNumber, actor: Reader, deps: Deps) -> PayoutOut:
    """状态、原因、渠道的单号与已付金额。· Its state and reason, the rail's own number, and what was paid of it."""
    return payout_out(await deps.payouts.payout(actor, number))


@single_payouts.get("/{number}/confirmation", summary="确认收款所需 · What a payee needs to confirm it")
async def show_payout_confirmation(
    number: PayoutNumber, actor: Looker, deps: Deps, request: Request, response: Response, reason: Reason
) -> ConfirmationOut:
    """付款待收款人确认时，小程序调起确认页所需；需能提出或批准付款，写入审计。

    While a payout waits for its payee: what their app opens the page with. For who prepares or approves payouts;
    audited.
    """
    found = disclose(request, await deps.payout_confirmations.show(actor, number, reason))
    response.headers["Cache-Control"] = "no-store"
    return ConfirmationOut(
        number=found.payout.number,
        payee=found.payee,
        amount_minor=found.payout.amount_minor,
        currency=found.payout.currency,
        **found.confirmation.model_dump(),
    )


@single_payouts.post("/{number}/call-off", summary="撤回一笔付款 · Call a payout off")
async def call_payout_off(number: PayoutNumber, wanted: CallOffIn, actor: Decider, deps: Deps) -> PayoutOut:
    """尚未提交渠道的付款退回收款人余额；提出该批次的人不能撤回。状态已变的拒绝，并告知其状态。

    What no rail was asked for goes back to the payee's balance; never by who asked for its batch. One that moved
    meanwhile is refused with its state.
    """
    found = await deps.payout_call_offs.of_one(actor, number, wanted.note)
    return payout_out(found)
