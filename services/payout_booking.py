"""What the end of a payout books: `paying` goes to the rail that paid it, or back to `payable`; and only once.

Both ends of a payout are booked under one key, so the ledger itself refuses the second of two that contradict. What may
come to pass several times afterwards is counted: the second return of a payout has another key than the first.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID, uuid5

from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.periods import period_of
from services.payee_terms import today
from services.scheme_versions import own_cycle
from storage.ledger import AccountKind, Ledger, LedgerAccount, Transfer
from storage.payout_batches import PayoutBatches
from storage.payouts import PayoutRow
from storage.settlement_periods import SettlementPeriodRow, SettlementPeriods
from storage.unit_of_work import UnitOfWork

_KEYS = UUID("0f2a6c1e-58d7-5c0b-9b3e-7d1f4a9c2e60")
"""The namespace of transfers' keys: which payout they end."""
_MOST_CLOSED_AHEAD = 400
_MOST_TIMES = 20
_Afterwards = Literal["bounced", "after-all", "once-more", "sent-back"]
"""sent-back: of what was paid once more."""


async def booking_period(work: UnitOfWork, scheme: str, day: date) -> SettlementPeriodRow:
    """The period of a scheme's own cycle that a Shanghai day is in, or the first after it that is not closed.

    :raises NotFoundProblem: nothing was ever settled by such a scheme. :raises ConflictProblem: all of the next
        hundreds of periods are closed.
    """
    periods = SettlementPeriods(work)
    for _ in range(_MOST_CLOSED_AHEAD):
        cycle, currency = await own_cycle(work, scheme, day)
        start, end = period_of(cycle, day)
        found = await periods.open(scheme, cycle, start, end, currency)
        if found.closed_at is None:
            return found
        day = end
    raise ConflictProblem(
        Text(f"方案 {scheme} 到 {day} 的账期都已关闭", f"All periods of {scheme} up to {day} are closed")
    )


async def settle_paid(work: UnitOfWork, payout: PayoutRow, rail_account: AccountKind) -> None:
    """Book that a locked payout was paid: `paying` to the rail. Booked already, it stays as it is.

    :raises ConflictProblem: it was returned before.
    """
    await settle(work, [(payout, rail_account)])


async def settle_returned(work: UnitOfWork, payout: PayoutRow) -> None:
    """Book that a locked payout was not paid: `paying` back to `payable`. Booked already, it stays as it is.

    :raises ConflictProblem: it was paid before.
    """
    await settle(work, [(payout, "payable")])


async def settle_bounced(work: UnitOfWork, payout: PayoutRow) -> None:
    """Book that a bank sent a locked payout back that it had paid: `bank` back to `payable`. Each call books it."""
    await _book_afterwards(work, payout, "bounced", "payout-bounced")


async def settle_after_all(work: UnitOfWork, payout: PayoutRow) -> None:
    """Book that a locked payout was paid although it had failed: `payable` to the rail, even below nothing, so that
    what the payee earns next makes up for it. Each call books it."""
    await _book_afterwards(work, payout, "after-all", "payout-paid")


async def settle_once_more(work: UnitOfWork, payout: PayoutRow) -> None:
    """Book that a locked payout was paid once more than it should, as `settle_after_all` does. Each call books it."""
    await _book_afterwards(work, payout, "once-more", "payout-overpaid")


async def settle_sent_back(work: UnitOfWork, payout: PayoutRow) -> None:
    """Book that of a locked payout one payment too many came back: the rail back to `payable`. Each call books it."""
    await _book_afterwards(work, payout, "sent-back", "payout-overpaid")


async def times_once_more(work: UnitOfWork, payout: PayoutRow) -> int:
    """How often it is booked that a locked payout was paid once more."""
    return len(await Ledger(work).periods_of(_keys_afterwards(payout, "once-more")))


async def times_sent_back(work: UnitOfWork, payout: PayoutRow) -> int:
    """How often it is booked that one payment too many of a locked payout came back."""
    return len(await Ledger(work).periods_of(_keys_afterwards(payout, "sent-back")))


async def extra_payments(work: UnitOfWork, payout: PayoutRow) -> int:
    """How many payments too many of a locked payout the books hold, without those that came back."""
    return await times_once_more(work, payout) - await times_sent_back(work, payout)


async def _book_afterwards(work: UnitOfWork, payout: PayoutRow, what: _Afterwards, kind: str) -> None:
    """Raises ConflictProblem when it came to pass too often to be believed."""
    keys = _keys_afterwards(payout, what)
    times = len(await Ledger(work).periods_of(keys))
    if times == len(keys):
        raise ConflictProblem(
            Text(
                f"付款 {payout.number} 已这样记过 {times} 次，请先查清",
                f"The payout {payout.number} was booked so {times} times: find out first what happens with it",
            )
        )
    payable, rail = LedgerAccount("payable", payout.payee), LedgerAccount(payout.rail)
    leaves = what in ("after-all", "once-more")
    booked = Transfer(
        key=keys[times],
        period=(await _period_of_batch(work, payout.batch)).id,
        debit=payable if leaves else rail,
        credit=rail if leaves else payable,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
        kind=kind,
        source=f"payout/{payout.number}",
    )
    await Ledger(work).book([booked])


def _keys_afterwards(payout: PayoutRow, what: _Afterwards) -> Sequence[UUID]:
    """The keys of the first time, the second, and so on."""
    first = f"{payout.number}/{what}"
    return [uuid5(_KEYS, first), *(uuid5(_KEYS, f"{first}/{times}") for times in range(2, _MOST_TIMES + 1))]


async def settle_part(work: UnitOfWork, payout: PayoutRow, rail_account: AccountKind, paid_minor: int) -> None:
    """Book a locked payout that its rail paid in part, for good: that much to the rail, the rest back to `payable`.

    :raises ConflictProblem: it ended otherwise before.
    """
    keys = {
        target: uuid5(_KEYS, f"{payout.number}/{name}") for target, name in ((rail_account, "part"), ("payable", "end"))
    }
    period = (await _period_of_batch(work, payout.batch)).id
    booked = await Ledger(work).periods_of(keys.values())
    amounts: dict[AccountKind, int] = {rail_account: paid_minor, "payable": payout.amount_minor - paid_minor}
    await Ledger(work).book(
        [
            _transfer(payout, target, key, booked.get(key, period), amounts[target])
            for target, key in keys.items()
            if amounts[target]
        ]
    )


async def settle(work: UnitOfWork, ends: Sequence[tuple[PayoutRow, AccountKind]]) -> int:
    """Book the ends of many locked payouts: the rail that paid each, or `payable`. How many were not booked before.

    What is booked stays in its period. :raises ConflictProblem: one of them ended otherwise before; nothing is booked.
    """
    keys = {payout.number: uuid5(_KEYS, f"{payout.number}/end") for payout, _ in ends}
    booked = await Ledger(work).periods_of(keys.values())
    open_periods: dict[UUID, int] = {}
    transfers = []
    for payout, target in ends:
        period = booked.get(keys[payout.number])
        if period is None:
            if payout.batch not in open_periods:
                open_periods[payout.batch] = (await _period_of_batch(work, payout.batch)).id
            period = open_periods[payout.batch]
        transfers.append(_transfer(payout, target, keys[payout.number], period))
    return await Ledger(work).book(transfers)


def _transfer(
    payout: PayoutRow, target: AccountKind, key: UUID, period: int, amount_minor: int | None = None
) -> Transfer:
    returned = target == "payable"
    return Transfer(
        key=key,
        period=period,
        debit=LedgerAccount("paying", payout.payee),
        credit=LedgerAccount("payable", payout.payee) if returned else LedgerAccount(target),
        amount_minor=payout.amount_minor if amount_minor is None else amount_minor,
        currency=payout.currency,
        kind="payout-returned" if returned else "payout-paid",
        source=f"payout/{payout.number}",
    )


async def _period_of_batch(work: UnitOfWork, batch: UUID) -> SettlementPeriodRow:
    found = await PayoutBatches(work).find(batch)
    if found is None:
        raise NotFoundProblem(Text(f"没有付款批次 {batch}", f"There is no batch of payouts {batch}"))
    return await booking_period(work, found.scheme, today(work.now))
