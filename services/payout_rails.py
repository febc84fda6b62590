"""How a payout is handed to a rail, and what a rail says of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Confirmation, Payer, State

LEASE_S = 120.0
"""How long whoever takes a payout may take for it, before somebody else goes on with it."""


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """A payout as its rail needs it. number: ours, the same for every attempt. payer: the merchant whom alone it is
    asked of; None where nobody was chosen, as nobody had to be once. rail_number: the rail's own, once it said one.
    remark: for the payee. until: after that somebody else may have taken the payout over, and nothing more of it may be
    sent.
    is_confirmable: the payee has been given what they need to confirm it. withheld: why nothing more of it is sent.
    """

    id: int
    number: str
    payee: int
    amount_minor: int
    currency: str
    details: PayoutDetails
    remark: str
    payer: Payer | None
    rail_number: str | None
    until: datetime | None = None
    is_confirmable: bool = False
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class RailAnswer:
    """Where a payout stands, as its rail says. `reserved`: the rail certainly did not take it, and it can be tried
    again; `unknown`: nobody knows. retry_after_s: when the rail wants to be asked next, in seconds.

    paid_minor: what of it reached the payee although it `failed`, where a rail pays in pieces and only some of them
    went through. That much left for good; only the rest goes back to the payee's balance.

    refused: it `failed` because the rail did not take it, or does not know it, and not because the rail ended it.

    unsent: nothing was sent this time, so this is our own word and not the rail's. `reserved`: its merchant cannot be
    asked now; `failed`: it cannot be paid so. tomorrow: it is `reserved`, as the rail takes no more today.
    """

    state: State
    rail_number: str | None = None
    confirmation: Confirmation | None = None
    reason: str | None = None
    retry_after_s: float | None = None
    paid_minor: int = 0
    refused: bool = False
    unsent: bool = False
    tomorrow: bool = False


class PayoutRail(Protocol):
    """One way for money to reach a payee. Neither method raises for what a rail may answer: its refusals are states.

    certain_after_s: how long after a refusal nothing that was sent before it can be taken any more. None: the rail says
    itself when something has failed for certain, and when it gives up. forgets: whether it cannot be asked about a
    payout any more a month after it was sent.
    """

    certain_after_s: float | None
    forgets: bool

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        """Have it paid. resumed: an earlier attempt may have reached the rail, so it is asked by number first."""
        ...

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        """Where it stands. What pay() never handed over stays so; a rail that pays in pieces goes on with those of a
        payout that it took, unless it is withheld."""
        ...
