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
        coalesce(sum(-amount) FILTER (
            WHERE moved AND transfer IN ('payout-paid', 'payout-bounced', 'payout-overpaid')
        ), 0)::bigint AS paid,
        coalesce(sum(amount) FILTER (
            WHERE moved AND transfer NOT IN (
                'commission', 'adjustment', 'clawback', 'payout-paid', 'payout-bounced', 'payout-overpaid'
            )
        ), 0)::bigint AS other,
        sum(amount)::bigint AS closing,
        coalesce(sum(amount) FILTER (WHERE account = 'payable'), 0)::bigint AS payable,
        coalesce(sum(amount) FILTER (WHERE account = 'held'), 0)::bigint AS held,
        coalesce(sum(amount) FILTER (WHERE account = 'paying'), 0)::bigint AS paying,
        coalesce(sum(-amount) FILTER (WHERE account = 'receivable'), 0)::bigint AS receivable
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    WHERE account IN {mine} GROUP BY payee, currency
"""
_PAYABLE = """
    SELECT payee, currency,
        coalesce(sum(amount) FILTER (WHERE NOT moved), 0)::bigint AS opening,
        coalesce(sum(amount) FILTER (WHERE moved AND amount > 0), 0)::bigint AS came,
        coalesce(sum(-amount) FILTER (WHERE moved AND amount < 0), 0)::bigint AS left,
        sum(amount)::bigint AS closing
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    WHERE account = 'payable' GROUP BY payee, currency
    HAVING sum(amount) <> 0 OR bool_or(moved)
"""
_HELD = """
    SELECT payee, currency,
        coalesce(sum(amount) FILTER (WHERE NOT moved), 0)::bigint AS opening,
        coalesce(sum(amount) FILTER (WHERE moved AND transfer <> 'release'), 0)::bigint AS came,
        coalesce(sum(-amount) FILTER (WHERE moved AND transfer = 'release'), 0)::bigint AS left,
        sum(amount)::bigint AS closing
    FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
    WHERE account = 'held' GROUP BY payee, currency
    HAVING sum(amount) <> 0 OR bool_or(moved)
"""
_RECEIVABLES = """
    WITH by_period AS (
        SELECT m.payee, p.scheme, m.currency, p.start, p."end", m.period, m.moved,
            sum(greatest(-amount, 0)) AS owed, sum(greatest(amount, 0)) AS repaid
        FROM (SELECT m.*, period = ANY(CAST(:inside AS integer[])) AS moved FROM ({moves}) m) m
        JOIN settlement_periods p ON p.id = m.period
        WHERE account = 'receivable' GROUP BY m.payee, p.scheme, m.currency, p.start, p."end", m.period, m.moved
    ), by_age AS (
        SELECT *, sum(owed) OVER (of_one ORDER BY "end", start, period) AS owed_upto,
            sum(repaid) OVER of_one AS repaid_in_all
        FROM by_period WINDOW of_one AS (PARTITION BY payee, scheme, currency)
    ), standing AS (
        SELECT *, least(owed, greatest(owed_upto - repaid_in_all, 0)) AS still,
            least(CAST(:end AS date) - 1, CAST(:today AS date)) - ("end" - 1) AS days
        FROM by_age
    )
    SELECT payee, scheme, currency, (min("end") FILTER (WHERE still > 0)) - 1 AS since,
        coalesce(sum(owed - repaid) FILTER (WHERE NOT moved), 0)::bigint AS opening,
        coalesce(sum(owed) FILTER (WHERE moved), 0)::bigint AS taken_back,
        coalesce(sum(repaid) FILTER (WHERE moved), 0)::bigint AS repaid,
        sum(owed - repaid)::bigint AS closing,
        coalesce(sum(still) FILTER (WHERE days <= 30), 0)::bigint AS days_30,
        coalesce(sum(still) FILTER (WHERE days BETWEEN 31 AND 60), 0)::bigint AS days_60,
        coalesce(sum(still) FILTER (WHERE days BETWEEN 61 AND 90), 0)::bigint AS days_90,
        coalesce(sum(still) FILTER (WHERE days > 90), 0)::bigint AS older
    FROM standing GROUP BY payee, scheme, currency
    HAVING sum(owed - repaid) <> 0 OR bool_or(moved)
"""
_EXCEPTIONS = """
    WITH b AS (
        SELECT m.payee, p.scheme, m.currency, sum(m.amount)::bigint AS closing
        FROM ({moves}) m JOIN settlement_periods p ON p.id = m.period
        WHERE m.account = 'payable' GROUP BY m.payee, p.scheme, m.currency HAVING sum(m.amount) <> 0
    ), latest AS (
        SELECT DISTINCT ON (scheme, currency) id, number, scheme, currency FROM payout_batches
        WHERE period = ANY(CAST(:inside AS integer[]) || CAST(:before AS integer[]))
            AND state NOT IN ('planning', 'failed')
        ORDER BY scheme, currency, number DESC
    )
    SELECT b.payee, b.scheme, b.currency, b.closing,
        CASE
            WHEN b.closing < 0 THEN 'overdrawn'
            WHEN o.payee IS NOT NULL THEN 'omitted'
            WHEN p.id IS NULL OR booked.taken >= p.amount_minor THEN 'not-planned'
            WHEN p.state = 'cancelled' OR booked.taken < p.amount_minor THEN p.state
            ELSE 'planned'
        END AS state,
        CASE
            WHEN b.closing < 0 OR booked.taken >= p.amount_minor THEN ''
            ELSE coalesce(o.reason, p.reason, '')
        END AS reason,
        CASE WHEN o.payee IS NOT NULL OR p.id IS NOT NULL THEN latest.number ELSE 0 END AS batch
    FROM b
    LEFT JOIN latest ON latest.scheme = b.scheme AND latest.currency = b.currency
    LEFT JOIN payout_omissions o ON o.batch = latest.id AND o.payee = b.payee
    LEFT JOIN payouts p ON p.batch = latest.id AND p.payee = b.payee
    LEFT JOIN (
        SELECT m.source, sum(-m.amount) AS taken FROM ({moves}) m
        WHERE m.account = 'payable'
            AND m.transfer IN ('payout-reserved', 'payout-returned', 'payout-paid', 'payout-bounced')
        GROUP BY m.source
    ) booked ON booked.source = 'payout/' || p.number
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
    SELECT scheme, sort, due, currency, payees, amount FROM unnest(
        CAST(:falling_scheme AS text[]), CAST(:falling_sort AS text[]), CAST(:falling_due AS date[]),
        CAST(:falling_currency AS text[]), CAST(:falling_payees AS bigint[]), CAST(:falling_amount AS bigint[])
    ) AS t(scheme, sort, due, currency, payees, amount)
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
        max(holds::text),
        max(measured), sum(base)::bigint, currency, sum(amount)::bigint
    FROM ({earned}) e GROUP BY payee, late, scheme, component, period_start, currency
    UNION ALL
    SELECT p.payee, said.line, said.sort, p.scheme, p.rail, said.title,
        coalesce((p.ended_at AT TIME ZONE 'Asia/Shanghai')::date, p.pay_on), p.number, '', 0, p.currency, -said.paid
    FROM ({payouts}) p
    CROSS JOIN LATERAL (VALUES
        (4, 'paid', p.paid - p.overpaid, CASE WHEN p.paid > p.overpaid THEN '付款' ELSE '退票' END),
        (5, 'overpaid', p.overpaid, CASE WHEN p.overpaid > 0 THEN '多付' ELSE '多付退回' END)
    ) said(line, sort, paid, title)
    WHERE said.paid <> 0
"""


BALANCES: Mapping[str, str] = {
    "statements": filled(_STATEMENTS, payouts=PAYOUTS_OF_FRAME, moves=MOVES, earned=EARNED, mine=_MINE),
    "balances": filled(_BALANCES, moves=MOVES, mine=_MINE),
    "adjustments": filled(_LATE, which=">"),
    "clawbacks": filled(_LATE, which="<"),
    "receivables": filled(_RECEIVABLES, moves=MOVES),
    "holds": filled(_HELD, moves=MOVES),
    "carry-over": filled(_PAYABLE, moves=MOVES),
    "exceptions": filled(_EXCEPTIONS, moves=MOVES),
    "forecast": _FORECAST,
    "trial-balance": filled(_TRIAL, moves=MOVES),
}
"""The statements of these reports, by name."""
