"""What a plan of payouts comes to, and what is taken out of the balances for it: thousands of payees at a time."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from domain.settlement.payouts import Omission, Rail
from storage.bulk import fetch
from storage.unit_of_work import Repository


class PlannedPayout(NamedTuple):
    """A payout to be. offset_minor: what of the balance goes to what the payee owes."""

    number: str
    payee: int
    rail: Rail
    amount_minor: int
    offset_minor: int


class PlannedOmission(NamedTuple):
    """A payee with a balance who is not paid, and why. amount_minor: what stays."""

    payee: int
    reason: Omission
    amount_minor: int
    offset_minor: int


class PayoutPlan(NamedTuple):
    """A part of a batch. day: on which all of it would be paid, before rails' quotas are looked at."""

    batch: UUID
    part: int
    currency: str
    day: date


class CreatedPayout(NamedTuple):
    """A payout that is planned and whose sum is still in the balance."""

    id: int
    number: str
    payee: int
    amount_minor: int
    offset_minor: int


class PayoutPlans(Repository):
    """Parts of batches before they are paid."""

    async def write(
        self, plan: PayoutPlan, payouts: Sequence[PlannedPayout], omissions: Sequence[PlannedOmission]
    ) -> Mapping[str, int]:
        """Write what a part comes to, in place of what an earlier attempt wrote; the payouts' rows by their numbers."""
        part = {"batch": plan.batch, "part": plan.part}
        await fetch(self.work, _FORGET, part)
        await fetch(self.work, _FORGET_OMISSIONS, part)
        omitted = {
            "payees": [each.payee for each in omissions],
            "reasons": [each.reason for each in omissions],
            "amounts": [each.amount_minor for each in omissions],
            "offsets": [each.offset_minor for each in omissions],
        }
        await fetch(self.work, _OMIT, {**part, **omitted})
        planned = {
            "numbers": [each.number for each in payouts],
            "payees": [each.payee for each in payouts],
            "rails": [each.rail for each in payouts],
            "amounts": [each.amount_minor for each in payouts],
            "offsets": [each.offset_minor for each in payouts],
        }
        return dict(await fetch(self.work, _WRITE, {**plan._asdict(), **planned, "now": self.now}))

    async def created(self, batch: UUID, part: int) -> Sequence[CreatedPayout]:
        """The payouts of a part whose sums are still in the balances, locked."""
        rows = await fetch(self.work, _CREATED, {"batch": batch, "part": part})
        return [CreatedPayout(*row) for row in rows]

    async def owing(self, batch: UUID, part: int) -> Sequence[tuple[int, int]]:
        """Those of a part who are not paid, and owe something that is taken off now: payee and amount."""
        return [(payee, offset) for payee, offset in await fetch(self.work, _OWING, {"batch": batch, "part": part})]

    async def reserve(self, payouts: Collection[int]) -> None:
        """Write that the sums of locked payouts are taken out."""
        await fetch(self.work, _RESERVE, {"ids": list(payouts), "now": self.now})

    async def cancel(self, payouts: Collection[int], reason: str) -> None:
        """Write that locked payouts end before anything is taken out for them."""
        await fetch(self.work, _CANCEL, {"ids": list(payouts), "reason": reason, "now": self.now})


_FORGET = "DELETE FROM payouts WHERE batch = %(batch)b::uuid AND part = %(part)b::smallint"
_FORGET_OMISSIONS = "DELETE FROM payout_omissions WHERE batch = %(batch)b::uuid AND part = %(part)b::smallint"
_OMIT = """
    INSERT INTO payout_omissions (batch, payee, part, reason, amount_minor, offset_minor)
    SELECT %(batch)b::uuid, payee, %(part)b::smallint, reason, amount, held_back
    FROM unnest(
        %(payees)b::integer[], %(reasons)b::text[], %(amounts)b::bigint[], %(offsets)b::bigint[]
    ) AS t(payee, reason, amount, held_back)
"""
_WRITE = """
    INSERT INTO payouts (
        batch, part, number, payee, rail, amount_minor, offset_minor, currency, state, pay_on, attempts, next_at,
        put_off, created_at, changed_at
    )
    SELECT %(batch)b::uuid, %(part)b::smallint, number, payee, rail, amount, held_back, %(currency)b::text, 'created',
        %(day)b::date, 0, %(now)b::timestamptz, 0, %(now)b::timestamptz, %(now)b::timestamptz
    FROM unnest(
        %(numbers)b::text[], %(payees)b::integer[], %(rails)b::text[], %(amounts)b::bigint[], %(offsets)b::bigint[]
    ) AS t(number, payee, rail, amount, held_back)
    ORDER BY payee
    RETURNING number, id
"""
_CREATED = """
    SELECT id, number, payee, amount_minor, offset_minor FROM payouts
    WHERE batch = %(batch)b::uuid AND part = %(part)b::smallint AND state = 'created'
    ORDER BY id FOR UPDATE
"""
_OWING = """
    SELECT payee, offset_minor FROM payout_omissions
    WHERE batch = %(batch)b::uuid AND part = %(part)b::smallint AND offset_minor > 0 ORDER BY payee
"""
_RESERVE = """
    UPDATE payouts SET state = 'reserved', changed_at = %(now)b::timestamptz
    WHERE id = ANY(%(ids)b::bigint[]) AND state = 'created'
"""
_CANCEL = """
    UPDATE payouts SET state = 'cancelled', reason = %(reason)b::text, changed_at = %(now)b::timestamptz,
        ended_at = %(now)b::timestamptz
    WHERE id = ANY(%(ids)b::bigint[]) AND state = 'created'
"""
