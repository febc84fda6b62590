"""One share of a payout: asked for under its number, asked about, and noted, so that nothing is shared twice.

Its number is written down before it is asked for, and stays. Only who has the payout in hand sends, at once after that
was noted. A refusal counts when the platform still knows of no such request at a time when none of ours can be on its
way: a worker that was cut off may have sent one late.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from connectors.wechat_pay.sharing import ProfitSharing
from domain.catalog.wechat_pay_sharing import (
    ReceiverKind,
    SharePart,
    SharePaymentArguments,
    SharingNumberArguments,
    SharingOutput,
)
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    ConfigurationProblem,
    NotFoundProblem,
    ProblemError,
)
from domain.settlement.profit_sharing import CERTAIN_AFTER, OF_THE_PAYMENT, ShareState
from services.payout_rails import PayoutOrder
from storage.engine import Database
from storage.payout_shares import PayoutShareRow, PayoutShares, ShareOf
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

SEND_WITHIN = timedelta(seconds=30)
_OF_THE_ACCOUNT = (AuthenticationProblem, AuthorizationProblem, ConfigurationProblem)
ACCOUNT_WAIT_S = 600.0
_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Halt:
    """Why nothing more is asked for now, and for how many seconds."""

    reason: str
    wait_s: float


def halted(problem: ProblemError) -> Halt:
    """What a problem of the platform or of the account means for what is left."""
    told = problem.problem.as_dict()
    wait_s = ACCOUNT_WAIT_S if isinstance(problem, _OF_THE_ACCOUNT) else _WAIT_S
    reason = told.get("platform_code") or problem.problem.type.rpartition("/")[2]
    return Halt(str(reason), float(told.get("retry_after_s") or wait_s))


def is_final(problem: ProblemError) -> bool:
    """Whether it is about what was asked for: neither the account nor another time would help."""
    told = problem.problem.as_dict()
    passes = told.get("outcome") == "unknown" or bool(told.get("retryable"))
    return not passes and not isinstance(problem, _OF_THE_ACCOUNT)


def is_due(row: PayoutShareRow, now: datetime) -> bool:
    """Whether there is something to ask about a share now."""
    if row.state == "refused":
        return row.sent_at is None or now >= row.sent_at + CERTAIN_AFTER
    return row.ended_at is None


class ShareRequests:
    """The shares of one payout, in one hand."""

    def __init__(
        self,
        database: Database,
        client: ProfitSharing,
        order: PayoutOrder,
        receiver: tuple[ReceiverKind, str] | None,
        hand: int,
    ) -> None:
        self._database = database
        self._client = client
        self._order = order
        self._receiver = receiver
        self._hand = hand

    async def go_on(self, share: ShareOf, *, given_up: bool) -> Halt | None:
        """Ask for a share that was never asked for, after any other answer about it first. A Halt: not now."""
        row = share.row
        if row.state == "planned":
            return await self._send(share)
        try:
            found = await self._client.get_sharing(
                SharingNumberArguments(transaction_id=share.transaction_id, out_order_no=row.out_order_no)
            )
        except NotFoundProblem:
            return await self._unheard_of(share, given_up)
        except ProblemError as problem:
            return halted(problem)
        await self._read(row, found)
        return None

    async def _unheard_of(self, share: ShareOf, given_up: bool) -> Halt | None:
        row = share.row
        if row.state == "refused":
            reason = row.reason or "refused"
            async with UnitOfWork(self._database) as work:
                await PayoutShares(work).note(row.out_order_no, "failed", reason=reason)
                if reason in OF_THE_PAYMENT:
                    await PayoutShares(work).bar(row.out_order_no, reason)
            return None
        if row.state == "processing":
            log.warning("share.unheard_of", number=row.out_order_no)
            return Halt("unheard-of", ACCOUNT_WAIT_S)
        if given_up:
            await self._note(row, "refused", row.reason)
            return None
        return await self._send(share)

    async def _send(self, share: ShareOf) -> Halt | None:
        row = share.row
        if self._receiver is None:
            return Halt("no-account", ACCOUNT_WAIT_S)
        kind, receiver = self._receiver
        async with UnitOfWork(self._database) as work:
            began = await PayoutShares(work).begin(self._order.id, row.out_order_no, self._hand)
            noted_at = work.now
        if not began:
            return Halt("in-other-hands", _WAIT_S)
        remark = self._order.remark[:80] or self._order.number
        part = SharePart(kind=kind, receiver=receiver, amount_minor=row.amount_minor, remark=remark)
        request = SharePaymentArguments(
            transaction_id=share.transaction_id, shares=[part], out_order_no=row.out_order_no
        )
        if self._database.clock() - noted_at > SEND_WITHIN:
            return Halt("late", _WAIT_S)
        try:
            answer = await self._client.share_payment(request, key=row.out_order_no, resumed=False)
        except ProblemError as problem:
            halt = halted(problem)
            if is_final(problem):
                await self._note(row, "refused", halt.reason)
                return None
            await self._note(row, "unknown", halt.reason)
            return halt
        await self._read(row, answer)
        return None

    async def _read(self, row: PayoutShareRow, answer: SharingOutput) -> None:
        """Each of our requests is for one receiver; what was released with it stands beside."""
        part = next((each for each in answer.shares if each.amount_minor == row.amount_minor), None)
        if part is None:
            log.error("share.of_another", number=row.out_order_no)
            await self._note(row, "unknown", "of-another")
            return
        states: dict[str, ShareState] = {"pending": "processing", "shared": "shared", "closed": "failed"}
        reason = part.reason or "CLOSED" if part.result == "closed" else None
        await self._note(row, states[part.result], reason, answer.sharing_id)

    async def _note(
        self, row: PayoutShareRow, state: ShareState, reason: str | None, sharing_id: str | None = None
    ) -> None:
        async with UnitOfWork(self._database) as work:
            await PayoutShares(work).note(row.out_order_no, state, sharing_id=sharing_id, reason=reason)
