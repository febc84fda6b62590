"""Reports of payouts, of batches, of runs and who approved them, of disputes, and of breaks."""

from collections.abc import Mapping

from storage.report_texts import filled

_OVERPAID = "CASE a.kind WHEN 'payable' THEN -t.amount_minor ELSE t.amount_minor END"
"""What a transfer paid too much; below nothing where it came back."""
PAYOUTS_OF_FRAME = filled(
    """
    SELECT p.id, p.number, b.number AS batch, b.scheme, p.payee, p.rail, p.state, p.pay_on, p.ended_at,
        coalesce(p.rail_number, '') AS rail_number, coalesce(p.reason, '') AS reason, p.currency,
        p.amount_minor AS amount,
        CASE
            WHEN booked.paid IS NULL THEN 0 WHEN p.state = 'paid' THEN p.amount_minor * booked.payments
            ELSE booked.paid
        END - coalesce(booked.bounced, 0) + coalesce(booked.overpaid, 0) AS paid,
        coalesce(booked.overpaid, 0) AS overpaid,
        CASE WHEN booked.reserved THEN p.amount_minor ELSE 0 END - coalesce(booked.returned, 0) AS taken,
        coalesce(booked.reserved, false) AS reserved, coalesce(booked.returned, 0) AS returned,
        coalesce(booked.bounced, 0) AS bounced
    FROM payouts p
    JOIN payout_batches b ON b.id = p.batch
    LEFT JOIN (
        SELECT t.source, bool_or(t.kind = 'payout-reserved') AS reserved,
            count(*) FILTER (WHERE t.kind = 'payout-paid') AS payments,
            (sum(t.amount_minor) FILTER (WHERE t.kind = 'payout-paid'))::bigint AS paid,
            (sum(t.amount_minor) FILTER (WHERE t.kind = 'payout-returned'))::bigint AS returned,
            (sum(t.amount_minor) FILTER (WHERE t.kind = 'payout-bounced'))::bigint AS bounced,
            (sum({overpaid}) FILTER (WHERE t.kind = 'payout-overpaid'))::bigint AS overpaid
        FROM transfers t JOIN ledger_accounts a ON a.id = t.credit
        WHERE t.period = ANY(CAST(:inside AS integer[]))
            AND t.kind IN ('payout-reserved', 'payout-paid', 'payout-returned', 'payout-bounced', 'payout-overpaid')
        GROUP BY t.source
    ) booked ON booked.source = 'payout/' || p.number
    WHERE (b.period = ANY(CAST(:inside AS integer[])) OR booked.source IS NOT NULL)
        AND (CAST(:payee AS integer) IS NULL OR p.payee = CAST(:payee AS integer))
    """,
    overpaid=_OVERPAID,
)
"""Payouts of the frame's batches, and those that ended in it. paid, taken: what was booked of it in the frame, less
what the bank sent back; of a payout that was paid its own amount, so that the journal can say something else.
overpaid: what of that was paid once more, less what of that came back."""
_APPROVED = """
    (SELECT string_agg(a.login, ', ' ORDER BY a.decided_at, a.login) FROM {approvals} a
     WHERE a.{of} = r.id AND a.approved = {yes})
"""
_RUN = "settlement_approvals"

PAYOUTS: Mapping[str, str] = {
    "payouts": PAYOUTS_OF_FRAME,
    "payout-states": filled(
        """
        SELECT rail, state, currency, count(*) AS count, sum(amount)::bigint AS amount, sum(taken)::bigint AS taken
        FROM ({payouts}) p GROUP BY rail, state, currency
        """,
        payouts=PAYOUTS_OF_FRAME,
    ),
    "payout-calendar": filled(
        """
        SELECT pay_on, rail, currency, count(*) AS count, sum(amount)::bigint AS amount, sum(taken)::bigint AS taken
        FROM ({payouts}) p GROUP BY pay_on, rail, currency
        """,
        payouts=PAYOUTS_OF_FRAME,
    ),
    "batches": filled(
        """
        SELECT r.number AS batch, r.scheme, r.day, r.state, r.asked_by, coalesce({approved}, '') AS approved_by,
            r.currency, count(p.number) AS count, coalesce(sum(p.amount), 0)::bigint AS amount,
            coalesce(sum(p.paid), 0)::bigint AS paid
        FROM payout_batches r LEFT JOIN ({payouts}) p ON p.batch = r.number
        WHERE p.number IS NOT NULL
            OR (r.period = ANY(CAST(:inside AS integer[])) AND CAST(:payee AS integer) IS NULL)
        GROUP BY r.id
        """,
        payouts=PAYOUTS_OF_FRAME,
        approved=filled(_APPROVED, approvals="payout_approvals", of="batch", yes="true"),
    ),
    "tax-base": filled(
        """
        SELECT p.payee, p.rail, p.currency, date_trunc('month', p.ended_at AT TIME ZONE 'Asia/Shanghai')::date AS month,
            count(*) AS count,
            sum(CASE p.state WHEN 'paid' THEN p.amount_minor + coalesce(more.minor, 0) ELSE shared.minor END)::bigint
                AS paid
        FROM payouts p
        JOIN payout_batches b ON b.id = p.batch
        LEFT JOIN LATERAL (
            SELECT sum(s.amount_minor) AS minor FROM payout_shares s WHERE s.payout = p.id AND s.state = 'shared'
        ) shared ON p.state = 'failed'
        LEFT JOIN (
            SELECT t.source, sum({overpaid}) AS minor FROM transfers t JOIN ledger_accounts a ON a.id = t.credit
            WHERE t.kind = 'payout-overpaid' GROUP BY t.source
        ) more ON more.source = 'payout/' || p.number
        WHERE (p.state = 'paid' OR shared.minor > 0)
            AND p.ended_at >= (CAST(:start AS timestamp) AT TIME ZONE 'Asia/Shanghai')
            AND p.ended_at < (CAST(:end AS timestamp) AT TIME ZONE 'Asia/Shanghai')
            AND (CAST(:scheme AS text) IS NULL OR b.scheme = CAST(:scheme AS text))
            AND (CAST(:payee AS integer) IS NULL OR p.payee = CAST(:payee AS integer))
        GROUP BY 1, 2, 3, 4
        """,
        overpaid=_OVERPAID,
    ),
}
CONTROL: Mapping[str, str] = {
    "approvals": filled(
        """
        SELECT r.number, r.scheme, p.start AS period_start, r.state, r.asked_by, r.asked_at,
            coalesce({yes}, '') AS approved_by, coalesce({no}, '') AS refused_by, p.currency,
            coalesce(r.total_minor, 0) AS total, coalesce(r.booked_minor, 0) AS booked
        FROM settlement_runs r JOIN settlement_periods p ON p.id = r.period
        WHERE r.period = ANY(CAST(:inside AS integer[]))
        """,
        yes=filled(_APPROVED, approvals=_RUN, of="run", yes="true"),
        no=filled(_APPROVED, approvals=_RUN, of="run", yes="false"),
    ),
    "calculations": """
        SELECT r.number, r.scheme, k.version, origin.start AS period_start, k.purpose,
            k.id::text AS calculation, coalesce(k.digest, '') AS digest, p.currency,
            coalesce(k.total_minor, 0) AS total, coalesce(was.total_minor, 0) AS before,
            coalesce(k.total_minor, 0) - coalesce(was.total_minor, 0) AS amount
        FROM settlement_runs r
        JOIN settlement_periods p ON p.id = r.period
        JOIN settlement_run_calculations c ON c.run = r.id
        JOIN settlement_periods origin ON origin.id = c.origin
        JOIN settlement_calculations k ON k.id = c.calculation
        LEFT JOIN settlement_calculations was ON was.id = c.before
        WHERE r.state = 'booked' AND r.period = ANY(CAST(:inside AS integer[]))
    """,
    "corrections": """
        SELECT asked_at, id::text AS correction, account_id || '/' || order_id AS "order", role, state, asked_by,
            coalesce(decided_by, '') AS decided_by, reason, coalesce(note, '') AS note, 1::bigint AS count
        FROM sale_corrections c
        WHERE asked_at >= (CAST(:start AS timestamp) AT TIME ZONE 'Asia/Shanghai')
            AND asked_at < (CAST(:end AS timestamp) AT TIME ZONE 'Asia/Shanghai')
            AND (
                CAST(:payee AS integer) IS NULL
                OR EXISTS (
                    SELECT FROM jsonb_array_elements(c.shares) s WHERE (s ->> 0)::integer = CAST(:payee AS integer)
                )
                OR EXISTS (
                    SELECT FROM attributions a
                    WHERE a.order_key = c.order_key AND a.role = c.role AND a.payee = CAST(:payee AS integer)
                )
            )
    """,
    "breaks": """
        SELECT day, id::text AS break, account, kind, family, coalesce(shop, '') AS shop,
            coalesce(number, '') AS number, state, coalesce(assignee, '') AS assignee,
            coalesce(explained_by, '') AS explained_by, coalesce(solved_by, '') AS solved_by,
            coalesce(reason, '') AS reason, our_minor AS ours, their_minor AS theirs,
            CASE WHEN stands THEN their_minor - our_minor ELSE 0 END AS difference, 'CNY' AS currency
        FROM breaks WHERE day >= CAST(:start AS date) AND day < CAST(:end AS date)
    """,
}
"""The statements of these reports, by name."""
