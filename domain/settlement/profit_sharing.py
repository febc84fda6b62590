"""Out of which payments a payee is paid by profit sharing, and what a payout comes to of which only parts went through.

A payment can be shared within thirty days, up to the merchant's ratio, by fifty requests. What a payee gets comes out
of the payments of their own orders, the oldest first: those can be shared for the shortest time. Source: WeChat Pay's
profit sharing documents [O]; that the ratio is of what buyers kept is assumed, on the safe side.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

WITHIN = timedelta(days=30)
SPARE = timedelta(hours=1)
"""So long before a payment's time is over nothing new is asked of it: a request and its repetitions take a while."""
MOST_REQUESTS = 50
SPARE_REQUESTS = 2
"""Left for whoever releases the rest by hand."""
MOST_TURNS = 5
"""How often a payout is cut: once, and again for what failed."""
CERTAIN_AFTER = timedelta(minutes=12)
"""So long after a request was last noted none can be on its way: it is signed within half a minute, and the platform
takes no signature that is five minutes old, by clocks that are five minutes apart at the worst."""

ShareState = Literal["planned", "submitting", "unknown", "processing", "refused", "shared", "failed"]
"""planned: certainly not asked for; submitting: being asked for; unknown: nobody knows; processing: the platform took
it; refused: it said no, and no request may be on its way still; shared, failed: ends."""
OPEN_SHARES: frozenset[ShareState] = frozenset({"planned", "submitting", "unknown", "processing", "refused"})


OF_THE_PAYMENT = frozenset({"RULE_LIMIT", "NOT_ENOUGH"})
"""The platform's reasons why nothing more of a payment can be shared, with anybody."""
ELSEWHERE = OF_THE_PAYMENT | {"INVALID_REQUEST", "NO_RELATION", "RESOURCE_NOT_EXISTS"}
"""Its reasons for which another payment may do; every other is the receiver's or the merchant's."""


class Payment(NamedTuple):
    """A payment that can be shared. refunded: went back to its buyer; taken: shared, or reserved to be."""

    transaction_id: str
    paid_minor: int
    paid_at: datetime
    refunded_minor: int = 0
    taken_minor: int = 0
    requests: int = 0


class Piece(NamedTuple):
    """What is to come out of a payment."""

    transaction_id: str
    amount_minor: int


def shareable_minor(payment: Payment, percent: int, now: datetime) -> int:
    """What of a payment can be shared now."""
    if payment.requests >= MOST_REQUESTS - SPARE_REQUESTS or not can_be_asked(payment.paid_at, now):
        return 0
    kept = payment.paid_minor - payment.refunded_minor
    return max(kept * percent // 100 - payment.taken_minor, 0)


def is_merchant(receiver: str) -> bool:
    """Whether who gets the shares is a merchant, by its number; else it is a person, by their openid."""
    return receiver.isascii() and receiver.isdigit()


def can_be_asked(paid_at: datetime, now: datetime) -> bool:
    """Whether a payment's time is not over, nor nearly."""
    return now < paid_at + WITHIN - SPARE


def cut(amount_minor: int, payments: Sequence[Payment], percent: int, now: datetime) -> Sequence[Piece]:
    """An amount over payments, each once, the oldest first; nothing when they do not suffice.

    The same for the same payments in whatever order.
    """
    pieces: list[Piece] = []
    left = amount_minor
    for payment in sorted(payments, key=lambda each: (each.paid_at, each.transaction_id)):
        piece = min(shareable_minor(payment, percent, now), left)
        if piece > 0:
            pieces.append(Piece(payment.transaction_id, piece))
            left -= piece
        if left == 0:
            return pieces
    return ()


def share_number(payout: str, count: int) -> str:
    """The number of a share: the payout's own, and which of its shares it is. Letters and digits, at most 64."""
    return f"{payout}S{count:04d}"
