"""Payouts that wait for their payees: told to flows and subscribers, and shown to who pays.

A transfer of WeChat Pay is closed after a day without its payee's word. What they need for it is handed out here: as an
event when the rail has said it, and to people who ask for it, on record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.telling import version_of
from connectors.wechat_pay.keys import PLATFORM
from domain.access import Actor, Permission
from domain.canonical.keys import IdentityKey
from domain.canonical.payouts import PayoutToConfirm
from domain.events import Event
from domain.ids import derived_id
from domain.organisation import Placement
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.payouts import Confirmation
from services.disclosure import record_unmasking, require_unmasking
from storage.accounts import Accounts
from storage.engine import Database
from storage.events import Events
from storage.identities import Identities
from storage.payees import Payees
from storage.payout_batches import PayoutBatches
from storage.payout_receivers import PayoutReceivers
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork

TYPE = "tandem.payout.awaiting-confirmation"


@dataclass(frozen=True, slots=True)
class PayoutConfirmation:
    """What the payee of a payout needs to confirm it."""

    payout: PayoutRow
    payee: str
    confirmation: Confirmation
    masked: bool = False


class PayoutConfirmations:
    """Confirmations within one's data scope, for who prepares or approves payouts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, actor: Actor, number: str, reason: str) -> PayoutConfirmation:
        """What the payee needs, for a reason; audited.

        :raises ValidationProblem: no reason. :raises NotFoundProblem: there is no such payout within the scope.
        :raises ConflictProblem: it does not wait for its payee.
        """
        actor.require(Permission.PAYEES_READ)
        may_approve = actor.may(Permission.PAYOUTS_APPROVE)
        require_unmasking(actor, reason, Permission.PAYOUTS_APPROVE if may_approve else Permission.PAYOUTS_PREPARE)
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number)
            payee = (await Payees(work).by_ids([row.payee]))[row.payee] if row is not None else None
            if row is None or payee is None or not actor.sees(Placement(payee.unit_path)):
                raise NotFoundProblem(Text(f"没有付款 {number}", f"There is no payout {number}"))
            if row.state != "awaiting_user" or row.confirmation is None:
                raise _nothing_to_confirm(row)
            await record_unmasking(work, actor, "payout", number, reason, Placement(payee.unit_path))
            return PayoutConfirmation(row, payee.code, Confirmation.model_validate(row.confirmation))


async def announce(work: UnitOfWork, row: PayoutRow, confirmation: Confirmation) -> None:
    """Tell flows and subscribers that a payout waits for its payee; the same word twice is one event."""
    batch = await PayoutBatches(work).find(row.batch)
    payee = (await Payees(work).by_ids([row.payee]))[row.payee]
    # Only who was asked for can confirm it, whoever the payee says they are by now.
    openid = (await PayoutReceivers(work).of([row.id])).get(row.id, payee.details).openid
    told = PayoutToConfirm(
        platform=PLATFORM,
        account=confirmation.account,
        version=version_of(work.now, "wait_confirm", full=True),
        occurred_at=work.now,
        out_bill_no=row.number,
        payout_id=row.rail_number,
        state="wait_confirm",
        amount_minor=row.amount_minor,
        currency=row.currency,
        payee=payee.code,
        scheme=batch.scheme if batch is not None else "",
        openid=openid,
        mch_id=confirmation.mch_id,
        app_id=confirmation.app_id,
        package_info=confirmation.package_info,
        expires_at=confirmation.expires_at,
    )
    event = Event(
        id=derived_id("payout-to-confirm", row.number, confirmation.package_info),
        source=f"/{PLATFORM}/{confirmation.account}",
        type=TYPE,
        time=work.now,
        subject=f"payout:{PLATFORM}/{row.number}",
        datacontenttype="application/json",
        data=told.model_dump(mode="json", exclude_none=True),
        tandemkeys=await _names_of(work, openid, confirmation.app_id),
    )
    await Events(work).add([event])


async def _names_of(work: UnitOfWork, openid: str | None, app_id: str) -> tuple[str, ...]:
    """What a payee is known by among customers: their openid at every account of the app, and the customer it is of."""
    if openid is None:
        return ()
    keys: Sequence[IdentityKey] = [
        IdentityKey("openid", scope, openid) for scope in await Accounts(work).of_app(app_id)
    ]
    found = (await Identities(work).find(keys)).values() if keys else ()
    customers = {f"customer:{each.customer_id}": None for each in found}
    return (*(each.subject for each in keys), *customers)


def _nothing_to_confirm(row: PayoutRow) -> ConflictProblem:
    if row.state == "awaiting_user":
        return ConflictProblem(
            Text(
                f"付款 {row.number} 待收款人确认，但渠道还没有给出确认所需的内容，稍后再试",
                f"The payout {row.number} waits for its payee, and its rail has not said yet what they need: try again "
                "later",
            ),
            state=row.state,
        )
    return ConflictProblem(
        Text(
            f"付款 {row.number} 处于 {row.state}，不需要收款人确认",
            f"The payout {row.number} is {row.state}: there is nothing to confirm",
        ),
        state=row.state,
    )
