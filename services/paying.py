"""Payouts on their way: each is handed to its rail, followed until it ends, and booked; thousands at a time.

A payout's next state is written down before its rail is asked and again after; what the process loses in between is
asked about by number. Whoever takes a payout puts off its next turn first, so two never ask at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from domain.access import system_actor
from domain.problems import ProblemError, UnavailableProblem
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import ENDS, Omission, Rail, State, Terms, why_withheld
from services.overdue_payouts import end_overdue, note_overdue
from services.payee_terms import today
from services.payout_booking import settle_paid, settle_part, settle_returned
from services.payout_confirmations import announce
from services.payout_days import give_overdue_days
from services.payout_planning import batch_of
from services.payout_rails import LEASE_S, PayoutOrder, PayoutRail, RailAnswer
from storage.audit import AuditLog
from storage.engine import Database
from storage.payees import Payees
from storage.payout_chunks import Chunk, DayChunk, PayoutChunks
from storage.payout_receivers import PayoutReceivers
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
"""How often a rail that does not take a payout is tried: pauses grow to ten minutes, so that is more than a day."""
NEVER_AGAIN_AFTER = timedelta(days=25)
"""Rails that forget can be asked about a number for thirty days. Later, one that they do not know may have been paid.
A payout that was sent so long ago is a break until its end is known, by whatever rail."""
MOST_PUT_OFF = 14
"""How many days a payout is put off because its rail takes no more on each of them."""
_OVERDUE_PAUSE_S = 21_600.0
"""How long a rail that never forgets is left alone by a payout that is overdue."""
_READ_AT_ONCE = 200
_SETTLEMENT = system_actor("settlement")
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
    """A payout in somebody's hands. before: where it stood. attempts: whose turn this is, of all that there were.
    sent_at: when it may have been sent before. is_forgotten: no rail can be asked about it any more. details: whose
    account it goes to. withheld: why it is not sent to that any more."""

    row: PayoutRow
    details: PayoutDetails
    withheld: Omission | None
    before: State
    attempts: int
    sent_at: datetime | None
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
            chunks, day = PayoutChunks(work), today(work.now)
            found = await chunks.unfollowed(
                batch_id, self._rails, CHUNK, (day, work.now - NOBODYS_AFTER), after, CHUNKS_TOLD + 1
            )
            count, _ = await chunks.next_of(batch_id, self._rails)
            wait_s = (_begin_of(day + timedelta(days=1)) - work.now).total_seconds()
        return Following(count, wait_s, found[:CHUNKS_TOLD], len(found) > CHUNKS_TOLD)

    async def pay_chunk(self, batch_id: UUID, first: int, last: int, day: date | None = None) -> Standing:
        """Take every payout of a chunk as far as it goes now. day: of those of one day only."""
        chunk = Chunk(first, last, day)
        async with UnitOfWork(self._database) as work:
            batch, begins = await batch_of(work, batch_id), work.now
            await give_overdue_days(work, batch, self._rails)
        terms, turns = Terms.model_validate(batch.terms), asyncio.Semaphore(AT_ONCE)

        broken: set[str] = set()

        async def go_on(number: str) -> None:
            async with turns:
                try:
                    await self._go_on(number, batch.scheme, terms)
                except UnavailableProblem:
                    raise
                except Exception:  # whatever it is, the other payouts are not to wait for this one
                    log.exception("a payout could not be gone on with", number=number)
                    broken.add(number)

        while True:
            async with UnitOfWork(self._database) as work:
                # What comes due meanwhile waits for the next go: others want theirs, too.
                due = await PayoutChunks(work).due(batch_id, self._rails, chunk, begins, _READ_AT_ONCE)
                numbers = [each.number for each in due if each.number not in broken]
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
        rail, order = self._rails[row.rail], _order(taken, scheme, terms)
        try:
            if taken.withheld is not None:
                answer = _unless_sent(await rail.ask(order), taken.withheld)
            elif taken.before in ("accepted", "awaiting_user") or row.refused_at is not None:
                answer = await rail.ask(order)
            else:
                answer = await rail.pay(order, resumed=taken.before != "reserved")
        except ProblemError as problem:
            # The rail's own refusals are answers; this is our database or Temporal being away: ask again by number.
            log.warning("a payout is asked about again", number=number, reason=str(problem))
            answer = RailAnswer("unknown", reason=str(problem))
        except Exception as error:  # whatever it is, it says nothing of what the rail did
            log.exception("a rail broke over a payout", number=number)
            answer = RailAnswer("unknown", reason=type(error).__name__)
        await self._note(number, answer, taken)

    async def _take(self, number: str) -> _Turn | None:
        """A turn for whoever asks the rail now; None when nobody has to."""
        async with UnitOfWork(self._database) as work:
            payouts = Payouts(work)
            row = await payouts.find(number, for_update=True)
            if row is None or row.state in ENDS or row.next_at > work.now:
                return None
            begins = _begin_of(row.pay_on)
            if row.state == "reserved" and begins > work.now:
                row.next_at = begins
                return None
            before: State = row.state
            payee = (await Payees(work).by_ids([row.payee]))[row.payee]
            approved = (await PayoutReceivers(work).of([row.id])).get(row.id)
            why = why_withheld(payee, approved, row.amount_minor, row.currency, row.rail)
            if why is not None and before == "reserved" and row.first_sent_at is None:
                payouts.move(row, "cancelled", reason=why)
                await settle_returned(work, row)
                await AuditLog(work).record(_SETTLEMENT, "payouts.withhold", f"payout:{number}", {"reason": why})
                return None
            sent_at, since = row.first_sent_at, row.first_sent_at or row.created_at
            is_overdue = before != "reserved" and work.now - since > NEVER_AGAIN_AFTER
            is_forgotten = is_overdue and self._rails[row.rail].forgets
            if is_forgotten:
                payouts.wait(row, 86_400)
            else:
                if before in ("reserved", "unknown"):
                    payouts.move(row, "submitting")
                if before == "reserved":
                    row.first_sent_at = work.now
                row.attempts = min(row.attempts + 1, 30_000)
                payouts.wait(row, min(LEASE_S, self._longest_pause_s))
            return _Turn(row, approved or payee.details, why, before, row.attempts, sent_at, is_forgotten)

    async def _ask_bills(self, number: str) -> None:
        """Of a payout that the rail cannot be asked about any more, its bills tell the end."""
        word = await self._bills(number) if self._bills is not None else None
        if word is not None:
            state: State = "paid" if word == "paid" else "failed"
            await self._note(number, RailAnswer(state, reason=f"{word} by the rail's bills"))
            return
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number, for_update=True)
            if row is not None and row.state not in ENDS:
                await note_overdue(work, row)

    async def _note(self, number: str, answer: RailAnswer, turn: _Turn | None = None) -> None:
        """Write what a rail said in a turn (or its bills), and book it when it is an end."""
        async with UnitOfWork(self._database) as work:
            payouts = Payouts(work)
            row = await payouts.find(number, for_update=True)
            if row is None or row.state in ENDS:
                return
            certain_after_s = self._rails[row.rail].certain_after_s
            if turn is not None and turn.attempts != row.attempts and _is_not_taken(answer, certain_after_s):
                # Somebody else has it by now, and may be sending it.
                return
            was_refused = row.refused_at is not None
            never_sent = False
            if answer.unsent and turn is not None and turn.attempts == row.attempts:
                never_sent = turn.sent_at is None
                row.first_sent_at = turn.sent_at
            state, is_refused = _weighed(row, answer, certain_after_s, never_sent=never_sent)
            if state == "reserved" and answer.tomorrow:
                _put_off(payouts, row, answer.reason)
                return
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
                # While a refusal is not certain, that is what there is to know.
                "reason": row.reason if was_refused and row.refused_at is not None else answer.reason,
            }
            if not payouts.move(row, state, **told):
                return
            is_overdue = row.first_sent_at is not None and work.now - row.first_sent_at > NEVER_AGAIN_AFTER
            if is_overdue and state in ENDS:
                await end_overdue(work, row)
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
                    growing_s = min(_pause(state, row.attempts), self._longest_pause_s)
                    pause_s = answer.retry_after_s or growing_s
                    if state == "reserved" and certain_after_s is not None:
                        # Its tries are counted, and a throttled merchant may be asked again after a second.
                        pause_s = max(pause_s, growing_s)
                    if is_overdue and state != "reserved":
                        pause_s = max(pause_s, _OVERDUE_PAUSE_S)
                        await note_overdue(work, row)
                    payouts.wait(row, pause_s)


def _weighed(
    row: PayoutRow, answer: RailAnswer, certain_after_s: float | None, *, never_sent: bool
) -> tuple[State, bool]:
    """The state that an answer leads to, and whether it is to be believed only later. What was tried for long enough
    fails; but our own word, that nothing was sent, ends only what never was. What was, and cannot be asked about any
    more, is unknown: it becomes overdue, and people say how it ended."""
    state, is_refused = answer.state, answer.refused
    if answer.tomorrow and row.put_off >= MOST_PUT_OFF:
        return "failed", True
    if state == "reserved" and certain_after_s is not None and (row.attempts >= MOST_TRIES or row.refused_at):
        if never_sent:
            return "failed", False
        if not answer.unsent:
            return "failed", True
        if row.attempts >= MOST_TRIES:
            return "unknown", False
    return state, is_refused or (state == "failed" and answer.unsent and not never_sent)


def _unless_sent(answer: RailAnswer, why: Omission) -> RailAnswer:
    """What a rail that was only asked says of a payout that is not to be sent any more: one that it does not have has
    failed, as nobody sends it again."""
    if answer.state == "reserved":
        return RailAnswer("failed", reason=why, refused=True)
    return replace(answer, reason=why) if answer.refused else answer


def _is_not_taken(answer: RailAnswer, certain_after_s: float | None) -> bool:
    """Whether a rail said that it does not have a payout, and is believed at once."""
    return answer.state == "reserved" or (answer.refused and certain_after_s is None)


def _put_off(payouts: Payouts, row: PayoutRow, reason: str | None) -> None:
    payouts.move(row, "reserved", reason=reason, pay_on=today(payouts.now) + timedelta(days=1), put_off=row.put_off + 1)
    row.next_at = _begin_of(row.pay_on)


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), _SHANGHAI).astimezone(UTC)


def _pause(state: State, attempts: int) -> float:
    first, most = _PAUSES.get(state, (5.0, 600.0))
    return float(min(most, first * 2 ** min(attempts - 1, 12)))


def _order(turn: _Turn, scheme: str, terms: Terms) -> PayoutOrder:
    row = turn.row
    return PayoutOrder(
        id=row.id,
        number=row.number,
        payee=row.payee,
        amount_minor=row.amount_minor,
        currency=row.currency,
        details=turn.details,
        remark=f"{scheme} 结算",
        payer=terms.payers.get(row.rail),
        rail_number=row.rail_number,
        until=row.next_at,
        is_confirmable=row.confirmation is not None,
        withheld=turn.withheld,
    )
