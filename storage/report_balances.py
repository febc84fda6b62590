"""Reports of balances: what accounts held, moved and hold, from transfers; and what lines make up a statement."""

from collections.abc import Mapping

from storage.report_payouts import PAYOUTS_OF_FRAME
from storage.report_texts import EARNED, MOVES, filled

_MINE = "('payable', 'held', 'receivable', 'paying')"
_BALANCES = """
    SELECT payee, currency,
        coalesce(sum(amount) FILTER (WHERE period = ANY(CAST(:before AS integer[]))), 0)::bigint AS opening,
        coalesce(sum(amount) FILTER (WHERE moved AND transfer IN ('commission', 'adjustment', 'clawback')), 0)::bigint
            AS earned,
        coalesce(sum(-amount) FILTER (WHERE moved AND transfer IN ('payout-paid', 'payout-bounced')), 0)::bigint
            AS paid,
        coalesce(sum(amount) FILTER (
            WHERE moved AND transfer NOT IN ('commission', 'adjustment', 'clawback', 'payout-paid', 'payout-bounced')
        ), 0)::bigint AS other,
        sum(amount)::bigint AS closing,
        coalesce(sum(amount) FILTER (WHERE account = 'payable'), 0)::bigint AS payable,
        coalesce(sum(amount) FILTER (WHERE account = 'held'), 0)::bigint AS held,
        coalesce(sum(amount) FILTER (WHERE account = 'paying'), 0)::bigint AS paying,
        coalesce(sum(-amount) FILTER (WHERE account = 'receivable'), 0)::bigint AS receivable
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    WHERE account IN {mine} GROUP BY payee, currency
"""
_ACCOUNT = """
    SELECT payee, currency,
        coalesce(sum(amount) FILTER (WHERE NOT moved), 0)::bigint AS opening,
        coalesce(sum(amount) FILTER (WHERE moved AND amount > 0), 0)::bigint AS came,
        coalesce(sum(-amount) FILTER (WHERE moved AND amount < 0), 0)::bigint AS left,
        sum(amount)::bigint AS closing
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    WHERE account = '{account}' GROUP BY payee, currency
    HAVING sum(amount) <> 0 OR bool_or(moved)
"""
_RECEIVABLES = """
    SELECT m.payee, m.currency, min(p.start) FILTER (WHERE m.amount < 0) AS since,
        coalesce(sum(-amount) FILTER (WHERE NOT moved), 0)::bigint AS opening,
        coalesce(sum(-amount) FILTER (WHERE moved AND amount < 0), 0)::bigint AS taken_back,
        coalesce(sum(amount) FILTER (WHERE moved AND amount > 0), 0)::bigint AS repaid,
        sum(-amount)::bigint AS closing
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    JOIN settlement_periods p ON p.id = m.period
    WHERE account = 'receivable' GROUP BY m.payee, m.currency
"""
_EXCEPTIONS = """
    SELECT b.payee, b.currency, coalesce(o.reason, 'not-planned') AS reason, coalesce(o.number, 0) AS batch, b.closing
    FROM (
        SELECT payee, currency, sum(amount)::bigint AS closing FROM ({moves}) m
        WHERE account = 'payable' GROUP BY payee, currency HAVING sum(amount) <> 0
    ) b
    LEFT JOIN LATERAL (
        SELECT o.reason, batch.number FROM payout_omissions o JOIN payout_batches batch ON batch.id = o.batch
        WHERE o.payee = b.payee AND batch.currency = b.currency
            AND batch.period = ANY(CAST(:inside AS integer[]) || CAST(:before AS integer[]))
        ORDER BY batch.number DESC LIMIT 1
    ) o ON true
"""
_LATE = """
    SELECT side.payee, booked.scheme, p.start AS period_start, booked.run, booked.currency,
        abs(sum(side.sign * side.amount))::bigint AS amount
    FROM (
        SELECT c.calculation, c.before, c.origin, r.scheme, own.currency, r.number::text AS run
        FROM settlement_runs r
        JOIN settlement_run_calculations c ON c.run = r.id AND c.origin <> r.period
        JOIN settlement_periods own ON own.id = r.period
        WHERE r.state = 'booked' AND r.period = ANY(CAST(:inside AS integer[]))
    ) booked
    JOIN settlement_periods p ON p.id = booked.origin
    CROSS JOIN LATERAL (
        SELECT e.payee, 1 AS sign, e.amount_minor AS amount FROM settlement_earnings e
        WHERE e.calculation = booked.calculation
        UNION ALL
        SELECT e.payee, -1, e.amount_minor FROM settlement_earnings e WHERE e.calculation = booked.before
    ) side
    WHERE CAST(:payee AS integer) IS NULL OR side.payee = CAST(:payee AS integer)
    GROUP BY side.payee, booked.scheme, p.start, booked.run, booked.currency
    HAVING sum(side.sign * side.amount) {which} 0
"""
_FORECAST = """
    SELECT scheme, sort, due, currency, count(DISTINCT payee) AS payees, sum(amount)::bigint AS amount
    FROM (
        SELECT p.scheme, t.currency, a.payee, side.sign * t.amount_minor AS amount,
            CASE WHEN a.kind <> 'held' THEN a.kind WHEN is_held THEN 'held' ELSE 'released' END AS sort,
            CASE WHEN is_held THEN p."end" + coalesce(hold.days, 0) ELSE CAST(:today AS date) END AS due
        FROM transfers t
        CROSS JOIN LATERAL (VALUES (t.credit, 1), (t.debit, -1)) side(account, sign)
        JOIN ledger_accounts a ON a.id = side.account
        JOIN settlement_periods p ON p.id = t.period
        LEFT JOIN settlement_releases done ON done.period = t.period
        CROSS JOIN LATERAL (SELECT a.kind = 'held' AND done.period IS NULL AND t.kind <> 'release' AS is_held) hold_on
        LEFT JOIN unnest(CAST(:hold_schemes AS text[]), CAST(:hold_days AS integer[])) hold(scheme, days)
            ON hold.scheme = p.scheme
        WHERE t.period = ANY(CAST(:everything AS integer[])) AND a.kind IN {mine}
            AND (CAST(:payee AS integer) IS NULL OR a.payee = CAST(:payee AS integer))
    ) each_move
    GROUP BY scheme, sort, due, currency HAVING sum(amount) <> 0
"""
_TRIAL = """
    SELECT account, currency, count(DISTINCT account_id) AS accounts,
        coalesce(sum(amount) FILTER (WHERE NOT moved), 0)::bigint AS opening,
        coalesce(sum(-amount) FILTER (WHERE moved AND amount < 0), 0)::bigint AS debit,
        coalesce(sum(amount) FILTER (WHERE moved AND amount > 0), 0)::bigint AS credit,
        sum(amount)::bigint AS closing
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    GROUP BY account, currency
"""
_STATEMENTS = """
    SELECT payee, 1::bigint AS line, 'opening' AS sort, '' AS scheme, '' AS component, '期初余额' AS title,
        CAST(:start AS date) AS period_start, '' AS detail, '' AS measured, 0::bigint AS base, currency,
        sum(amount)::bigint AS amount
    FROM ({moves}) m
    WHERE account IN {mine} AND period = ANY(CAST(:before AS integer[])) GROUP BY payee, currency
    HAVING sum(amount) <> 0
    UNION ALL
    SELECT payee, CASE WHEN late THEN 3 ELSE 2 END, CASE WHEN late THEN 'adjusted' ELSE 'earned' END, scheme,
        component, max(title), period_start,
        coalesce(((array_agg(calculation::text ORDER BY calculation DESC) FILTER (WHERE sign > 0)))[1], ''),
        max(measured), sum(base)::bigint, currency, sum(amount)::bigint
    FROM ({earned}) e GROUP BY payee, late, scheme, component, period_start, currency
    UNION ALL
    SELECT payee, 4, 'paid', scheme, rail, CASE WHEN paid > 0 THEN '付款' ELSE '退票' END,
        coalesce((ended_at AT TIME ZONE 'Asia/Shanghai')::date, pay_on), number, '', 0, currency, -paid
    FROM ({payouts}) p WHERE paid <> 0
"""


def _account(kind: str) -> str:
    return filled(_ACCOUNT, moves=MOVES, account=kind)


BALANCES: Mapping[str, str] = {
    "statements": filled(_STATEMENTS, payouts=PAYOUTS_OF_FRAME, moves=MOVES, earned=EARNED, mine=_MINE),
    "balances": filled(_BALANCES, moves=MOVES, mine=_MINE),
    "adjustments": filled(_LATE, which=">"),
    "clawbacks": filled(_LATE, which="<"),
    "receivables": filled(_RECEIVABLES, moves=MOVES),
    "holds": _account("held"),
    "carry-over": _account("payable"),
    "exceptions": filled(_EXCEPTIONS, moves=MOVES),
    "forecast": filled(_FORECAST, mine=_MINE),
    "trial-balance": filled(_TRIAL, moves=MOVES),
}
"""The statements of these reports, by name."""
