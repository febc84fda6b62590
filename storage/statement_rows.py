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
    SELECT p.payee, p.currency, p.number, p.rail, said.state,
        CASE
            WHEN p.paid > 0 OR p.returned > 0 OR NOT p.reserved
            THEN coalesce((p.ended_at AT TIME ZONE 'Asia/Shanghai')::date, p.pay_on) ELSE p.pay_on
        END,
        p.amount, said.paid
    FROM (SELECT *, paid - overpaid AS own FROM ({payouts}) p) p
    CROSS JOIN LATERAL (VALUES
        (
            1, p.own,
            CASE
                WHEN p.own > 0 AND p.own < p.amount AND p.returned > 0 THEN 'part'
                WHEN p.state IN ('paid', 'failed', 'cancelled') AND p.reserved AND p.own = 0 AND p.returned = 0
                    AND p.bounced = 0
                THEN 'later'
                WHEN p.own = p.amount THEN 'paid'
                WHEN p.state = 'paid' AND p.own = -p.bounced AND p.returned + p.bounced > 0 THEN 'failed'
                ELSE p.state
            END
        ),
        (2, p.overpaid, CASE WHEN p.overpaid > 0 THEN 'overpaid' ELSE 'recovered' END)
    ) said(line, paid, state)
    WHERE p.payee = ANY(CAST(:payees AS integer[])) AND (said.line = 1 OR said.paid <> 0)
    ORDER BY p.payee, p.id, said.line
    """,
    payouts=PAYOUTS_OF_FRAME,
)
