"""What reports have to come to: sums of the journal, added up without the statements of the reports."""

from collections.abc import Mapping
from typing import Any

from domain.settlement.reports import Report, Tie
from storage.report_earnings import REST, SOME
from storage.report_frames import ReportFrame
from storage.report_texts import filled, run
from storage.unit_of_work import Repository

_JOURNAL = """
    SELECT t.currency, sum(side.sign * t.amount_minor)::bigint
    FROM transfers t
    CROSS JOIN LATERAL (VALUES (t.credit, 1), (t.debit, -1)) side(account, sign)
    JOIN ledger_accounts a ON a.id = side.account
    WHERE t.period = ANY(CAST(:periods AS integer[])) AND a.kind = ANY(CAST(:accounts AS text[]))
        AND (CAST(:transfers AS text[]) = '{}' OR t.kind = ANY(CAST(:transfers AS text[])))
    GROUP BY t.currency
"""
_ENDED = """
    SELECT t.currency, sum(side.sign * t.amount_minor)::bigint
    FROM transfers t
    CROSS JOIN LATERAL (VALUES (t.credit, 1), (t.debit, -1)) side(account, sign)
    JOIN ledger_accounts a ON a.id = side.account AND a.kind = ANY(CAST(:accounts AS text[]))
    JOIN settlement_periods period ON period.id = t.period
    JOIN payouts p ON t.source = 'payout/' || p.number
    WHERE t.kind = ANY(CAST(:transfers AS text[]))
        AND (p.ended_at AT TIME ZONE 'Asia/Shanghai')::date >= CAST(:start AS date)
        AND (p.ended_at AT TIME ZONE 'Asia/Shanghai')::date < CAST(:end AS date)
        AND (CAST(:scheme AS text) IS NULL OR period.scheme = CAST(:scheme AS text))
    GROUP BY t.currency
"""
_TURNOVER = """
    SELECT currency, sum(amount_minor)::bigint FROM transfers
    WHERE period = ANY(CAST(:periods AS integer[])) GROUP BY currency
"""
_LOGGED = """
    SELECT '', count(*) FROM audit_entries
    WHERE action = :action AND at >= (CAST(:start AS timestamp) AT TIME ZONE 'Asia/Shanghai')
        AND at < (CAST(:end AS timestamp) AT TIME ZONE 'Asia/Shanghai')
"""
_LEFT_OVER = """
    SELECT 'CNY', sum(difference_minor)::bigint FROM bill_leftovers
    WHERE day >= CAST(:start AS date) AND day < CAST(:end AS date) HAVING count(*) > 0
"""


class ReportTies(Repository):
    """Sums that reports are compared with, by currency."""

    async def expected(self, report: Report, frame: ReportFrame) -> Mapping[str, int]:
        """What the column of a report's tie has to come to."""
        tie = report.tie
        found = await self._sums(tie, frame)
        if tie.rest:
            rest = await run(self.work, filled(REST, which=SOME[report.name]), frame.values)
            for currency, amount in rest:
                found[currency] = found.get(currency, 0) - amount
        return found

    async def _sums(self, tie: Tie, frame: ReportFrame) -> dict[str, int]:
        values: dict[str, Any] = {**frame.values, "periods": _periods(tie, frame)}
        if tie.logged is not None:
            return dict(await run(self.work, _LOGGED, {**values, "action": tie.logged}))
        if tie.left_over:
            return dict(await run(self.work, _LEFT_OVER, values))
        if tie.turnover:
            return dict(await run(self.work, _TURNOVER, values))
        values |= {"accounts": list(tie.accounts), "transfers": list(tie.transfers)}
        statement = _ENDED if tie.ended else _JOURNAL
        return {currency: tie.sign * amount for currency, amount in await run(self.work, statement, values)}


def _periods(tie: Tie, frame: ReportFrame) -> list[int]:
    kept = frame.kept
    match tie.moment:
        case "moved":
            return [*kept.inside]
        case "opening":
            return [*kept.before]
        case "closing":
            return [*kept.before, *kept.inside]
        case "now":
            return [*kept.everything]
