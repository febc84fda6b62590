"""Payouts on their way: each is handed to its rail, followed until it ends, and booked; thousands at a time.

A payout's next state is written down before its rail is asked and again after; what the process loses in between is
asked about by number. Whoever takes a payout puts off its next turn first, so two never ask at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from domain.problems import ProblemError
from domain.settlement.payees import Payee
from domain.settlement.payouts import ENDS, Rail, State, Terms
from services.payout_booking import settle_paid, settle_part, settle_returned
from services.payout_confirmations import announce
from services.payout_planning import batch_of
from services.payout_rails import LEASE_S, PayoutOrder, PayoutRail, RailAnswer
from storage.engine import Database
from storage.payees import Payees
from storage.payout_chunks import Chunk, DayChunk, PayoutChunks
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

AskBills = Callable[[str], Awaitable[Literal["paid", "absent"] | None]]
"""What a rail's bills say of a payout, by its number; None while they do not say."""

CHUNK = 1_000
CHUNKS_TOLD = 500
"""How many chunks are told at a time."""
NOBODYS_AFTER = timedelta(hours=1)
"""Who follows a payout asks when its time has come, or waits for a worker. One that nobody asked about for so long
after its time may have lost whoever followed it."""
AT_ONCE = 16
MOST_TRIES = 200
"""How often a rail that does not take a payout is tried: with pauses of ten minutes, more than a day."""
NEVER_AGAIN_AFTER = timedelta(days=25)
"""Rails can be asked about a number for thirty days. Later, one that they do not know may have been paid."""
_READ_AT_ONCE = 200
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_PAUSES: Mapping[State, tuple[float, float]] = {
    "reserved": (2.0, 600.0),
    "accepted": (2.0, 600.0),
    "unknown": (5.0, 1_800.0),
    "awaiting_user": (30.0, 1_800.0),
}
"""How long until a payout is looked at again, at first and at most, in seconds."""
LONGEST_PAUSE_S = max(most for _, most in _PAUSES.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """Payouts of a chunk that have not ended, and in how many seconds the first of them is to be asked about."""

    open: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Following:
    """Chunks whose day has begun and that nobody follows, in order; whether there are more. open: payouts of the batch
    that have not ended. wait_s: how long no other day begins."""

    open: int
    wait_s: float
    chunks: Sequence[DayChunk]
    more: bool


@dataclass(frozen=True, slots=True)
class _Turn:
    """A payout in somebody's hands. before: where it stood. is_forgotten: no rail can be asked about it any more."""

    row: PayoutRow
    payee: Payee
    before: State
    is_forgotten: bool


class Paying:
    """The steps of paying, for a workflow.

    longest_pause_s: a rail that is not waited for is asked about a payout again after so long, whatever it said before;
    so is one whose answer was lost. Shorter than a call takes, two may ask at once, which the number makes harmless.
    """

    def __init__(
        self,
        database: Database,
        rails: Mapping[Rail, PayoutRail],
        bills: AskBills | None = None,
        *,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self._database = database
        self._rails = rails
        self._bills = bills
        self._longest_pause_s = longest_pause_s

    async def chunks(self, batch_id: UUID) -> Sequence[tuple[int, int]]:
        """First and last row of each thousand payouts that a rail has to be asked for."""
        async with UnitOfWork(self._database) as work:
            return await PayoutChunks(work).chunks(batch_id, CHUNK, self._rails)

    async def to_follow(self, batch_id: UUID, after: tuple[date, int] | None = None) -> Following:
        """The chunks of a batch, cut by day, that somebody has to begin to follow (again).

        after: of the chunks behind this one (its day, its first row).
        """
        async with UnitOfWork(self._database) as work:
            chunks, today = PayoutChunks(work), work.now.astimezone(_SHANGHAI).date()
            found = await chunks.unfollowed(
                batch_id, self._rails, CHUNK, (today, work.now - NOBODYS_AFTER), after, CHUNKS_TOLD + 1
            )
            count, _ = await chunks.next_of(batch_id, self._rails)
            tomorrow = datetime.combine(today + timedelta(days=1), time(), _SHANGHAI)
            wait_s = (tomorrow - work.now).total_seconds()
        return Following(count, wait_s, found[:CHUNKS_TOLD], len(found) > CHUNKS_TOLD)

    async def pay_chunk(self, batch_id: UUID, first: int, last: int, day: date | None = None) -> Standing:
        """Take every payout of a chunk as far as it goes now. day: of those of one day only."""
        chunk = Chunk(first, last, day)
        async with UnitOfWork(self._database) as work:
            batch, begins = await batch_of(work, batch_id), work.now
        terms, turns = Terms.model_validate(batch.terms), asyncio.Semaphore(AT_ONCE)

        async def go_on(number: str) -> None:
            async with turns:
                await self._go_on(number, batch.scheme, terms)

        while True:
            async with UnitOfWork(self._database) as work:
                # What comes due meanwhile waits for the next go: others want theirs, too.
                due = await PayoutChunks(work).due(batch_id, self._rails, chunk, begins, _READ_AT_ONCE)
                numbers = [each.number for each in due]
            if not numbers:
                break
            await asyncio.gather(*(go_on(number) for number in numbers))
        async with UnitOfWork(self._database) as work:
            count, next_at = await PayoutChunks(work).next_of(batch_id, self._rails, chunk)
            return Standing(count, max((next_at - work.now).total_seconds(), 0.0) if next_at is not None else 0.0)

    async def _go_on(self, number: str, scheme: str, terms: Terms) -> None:
        """One turn of one payout."""
        taken = await self._take(number)
        if taken is None:
            return
        if taken.is_forgotten:
            await self._ask_bills(number)
            return
        row = taken.row
        rail, order = self._rails[row.rail], _order(row, taken.payee, scheme, terms)
        try:
            if taken.before in ("accepted", "awaiting_user") or row.refused_at is not None:
                answer = await rail.ask(order)
            else:
                answer = await rail.pay(order, resumed=taken.before != "reserved")
        except ProblemError as problem:
            # The rail's own refusals are answers; this is our database or Temporal being away: ask again by number.
            log.warning("a payout is asked about again", number=number, reason=str(problem))
            answer = RailAnswer("unknown", reason=str(problem))
        await self._note(number, answer)

    async def _take(self, number: str) -> _Turn | None:
        """A turn for whoever asks the rail now; None when nobody has to."""
        async with UnitOfWork(self._database) as work:
            payouts = Payouts(work)
            row = await payouts.find(number, for_update=True)
            if row is None or row.state in ENDS or row.next_at > work.now:
                return None
            begins = datetime.combine(row.pay_on, time(), _SHANGHAI).astimezone(UTC)
            if row.state == "reserved" and begins > work.now:
                row.next_at = begins
                return None
            before: State = row.state
            is_forgotten = before != "reserved" and work.now - row.created_at > NEVER_AGAIN_AFTER
            if is_forgotten:
                payouts.wait(row, 86_400)
            else:
                if before in ("reserved", "unknown"):
                    payouts.move(row, "submitting")
                row.attempts = min(row.attempts + 1, 30_000)
                payouts.wait(row, min(LEASE_S, self._longest_pause_s))
            payee = (await Payees(work).by_ids([row.payee]))[row.payee]
            return _Turn(row, payee, before, is_forgotten)

    async def _ask_bills(self, number: str) -> None:
        """Of a payout that the rail cannot be asked about any more, its bills tell the end."""
        word = await self._bills(number) if self._bills is not None else None
        if word is not None:
            state: State = "paid" if word == "paid" else "failed"
            await self._note(number, RailAnswer(state, reason=f"{word} by the rail's bills"))

    async def _note(self, number: str, answer: RailAnswer) -> None:
        """Write what a rail said, and book it when it is an end."""
        async with UnitOfWork(self._database) as work:
            payouts = Payouts(work)
            row = await payouts.find(number, for_update=True)
            if row is None or row.state in ENDS:
                return
            state, is_refused = answer.state, answer.refused
            certain_after_s = self._rails[row.rail].certain_after_s
            if state == "reserved" and (row.attempts >= MOST_TRIES or row.refused_at) and certain_after_s is not None:
                state, is_refused = "failed", True
            if is_refused and row.rail_number is not None:
                # It took the payout once, and does not know it any more: that says nothing.
                state, is_refused = "unknown", False
            if is_refused and certain_after_s is not None:
                row.refused_at = row.refused_at or work.now
                if work.now < row.refused_at + timedelta(seconds=certain_after_s):
                    # Somebody who was held up may still send it, and that may be taken.
                    payouts.move(row, "unknown", reason=answer.reason)
                    payouts.wait(row, certain_after_s)
                    return
            elif state != "unknown":
                row.refused_at = None
            if state == "unknown" and row.state in ("accepted", "awaiting_user"):
                # The rail took it and could not be asked: it stands where it stood.
                state = row.state
            confirmation = answer.confirmation.model_dump(mode="json") if answer.confirmation else row.confirmation
            told = {
                "rail_number": answer.rail_number or row.rail_number,
                "confirmation": None if state in ENDS else confirmation,
                "reason": answer.reason,
            }
            if not payouts.move(row, state, **told):
                return
            match state:
                case "paid":
                    await settle_paid(work, row, row.rail)
                case "failed" | "cancelled" if answer.paid_minor:
                    await settle_part(work, row, row.rail, answer.paid_minor)
                case "failed" | "cancelled":
                    await settle_returned(work, row)
                case _:
                    if state == "awaiting_user" and answer.confirmation is not None:
                        await announce(work, row, answer.confirmation)
                    pause_s = min(_pause(state, row.attempts), self._longest_pause_s)
                    payouts.wait(row, answer.retry_after_s or pause_s)


def _pause(state: State, attempts: int) -> float:
    first, most = _PAUSES.get(state, (5.0, 600.0))
    return float(min(most, first * 2 ** min(attempts - 1, 12)))


def _order(row: PayoutRow, payee: Payee, scheme: str, terms: Terms) -> PayoutOrder:
    return PayoutOrder(
        id=row.id,
        number=row.number,
        payee=row.payee,
        amount_minor=row.amount_minor,
        currency=row.currency,
        details=payee.details,
        remark=f"{scheme} 结算",
        account=terms.accounts.get(row.rail),
        rail_number=row.rail_number,
        until=row.next_at,
        is_confirmable=row.confirmation is not None,
    )
