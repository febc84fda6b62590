"""What a statement needs beside its lines: where balances are, and payouts wherever they stand."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from domain.settlement.statements import StatedState
from storage.ledger import Ledger
from storage.report_frames import ReportFrame
from storage.report_payouts import PAYOUTS_OF_FRAME
from storage.report_texts import filled, run
from storage.unit_of_work import Repository


class StatedPayout(NamedTuple):
    """A payout of the frame. state, day, paid_minor: as in `domain.settlement.statements.PayoutLine`."""

    payee: int
    currency: str
    number: str
    rail: str
    state: StatedState
    day: date
    amount_minor: int
    paid_minor: int


class StatementRows(Repository):
    """Of some payees at once."""

    async def balances(
        self, frame: ReportFrame, payees: Collection[int]
    ) -> Mapping[tuple[int, str], Mapping[str, int]]:
        """What accounts hold at the end of a frame, by payee and currency, then by kind."""
        found: dict[tuple[int, str], dict[str, int]] = {}
        periods = [*frame.kept.before, *frame.kept.inside]
        for each in await Ledger(self.work).balances(periods=periods, payees=payees):
            if each.payee is not None:
                found.setdefault((each.payee, each.currency), {})[each.kind] = each.balance_minor
        return found

    async def payouts(self, frame: ReportFrame, payees: Collection[int]) -> Sequence[StatedPayout]:
        """Payouts that were planned or ended in the frame."""
        values = {**frame.values, "payees": list(payees)}
        return [StatedPayout(*row) for row in await run(self.work, _STATED, values)]


_STATED = filled(
    """
    SELECT payee, currency, number, rail,
        CASE
            WHEN paid > 0 AND paid < amount AND returned > 0 THEN 'part'
            WHEN state IN ('paid', 'failed', 'cancelled') AND reserved AND paid = 0 AND returned = 0 THEN 'later'
            ELSE state
        END,
        CASE
            WHEN paid > 0 OR returned > 0 OR NOT reserved
            THEN coalesce((ended_at AT TIME ZONE 'Asia/Shanghai')::date, pay_on) ELSE pay_on
        END,
        amount, paid
    FROM ({payouts}) p WHERE payee = ANY(CAST(:payees AS integer[])) ORDER BY payee, id
    """,
    payouts=PAYOUTS_OF_FRAME,
)
