"""Payees as they were: their terms from a day on, who is in a period by them, and what closed periods wait for."""

from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

# Payees of old begin with the first day that anything is known of them, as they are now. Where they were booked in
# another role or by another cycle, that holds until the end of what was booked: nothing settled changes. The cycle of
# now begins where that one ends a period as well.
_STATEMENTS = """
CREATE TABLE payee_terms (
    payee integer NOT NULL,
    since date NOT NULL,
    role varchar NOT NULL,
    cycle varchar,
    active boolean NOT NULL,
    set_at timestamptz NOT NULL,
    set_by varchar NOT NULL,
    CONSTRAINT pk_payee_terms PRIMARY KEY (payee, since),
    CONSTRAINT fk_payee_terms_payee_payees FOREIGN KEY (payee) REFERENCES payees (id)
);

WITH last AS (
    SELECT DISTINCT ON (c.origin) c.origin, c.calculation
    FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
    WHERE r.state = 'booked' ORDER BY c.origin, r.number DESC
),
today AS (SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date AS day),
seen AS (
    SELECT m.payee, p.start, least(p."end", today.day) AS until, m.role,
        CASE WHEN y.cycle IS NOT NULL THEN p.cycle END AS cycle
    FROM last
    JOIN settlement_periods p ON p.id = last.origin
    JOIN settlement_members m ON m.calculation = last.calculation
    JOIN payees y ON y.id = m.payee
    CROSS JOIN today
    WHERE p.start < today.day
),
first AS (
    SELECT payee, min(day) AS day FROM (
        SELECT id AS payee, (created_at AT TIME ZONE 'Asia/Shanghai')::date AS day FROM payees
        UNION ALL SELECT payee, min(day) FROM sales GROUP BY payee
        UNION ALL SELECT payee, min(day) FROM payee_facts GROUP BY payee
        UNION ALL SELECT payee, min(start) FROM seen GROUP BY payee
    ) known GROUP BY payee
),
booked AS (SELECT DISTINCT ON (payee) payee, until, cycle FROM seen ORDER BY payee, until DESC, start),
steps AS (
    SELECT DISTINCT ON (payee, since) payee, since, role, cycle, active FROM (
        SELECT payee, start AS since, role, cycle, true AS active, 1 AS turn, until FROM seen
        UNION ALL
        SELECT y.id, coalesce(booked.until, first.day), y.role, coalesce(booked.cycle, y.cycle), y.active, 2, NULL
        FROM payees y JOIN first ON first.payee = y.id LEFT JOIN booked ON booked.payee = y.id
        UNION ALL
        SELECT y.id, (
            SELECT min(one.day)::date FROM generate_series(booked.until, booked.until + 800, interval '1 day') one (day)
            WHERE CASE WHEN 'month' IN (y.cycle, booked.cycle) THEN extract(day FROM one.day) = 1
                    WHEN 'half-month' IN (y.cycle, booked.cycle) THEN extract(day FROM one.day) IN (1, 16)
                    ELSE true END
                AND ('week' NOT IN (y.cycle, booked.cycle) OR extract(isodow FROM one.day) = 1)
        ), y.role, y.cycle, y.active, 3, NULL
        FROM payees y JOIN booked ON booked.payee = y.id
        WHERE booked.cycle <> y.cycle
    ) told
    ORDER BY payee, since, turn DESC, until DESC
),
changes AS (
    SELECT s.*, (role, cycle, active) IS DISTINCT FROM (
        lag(role) OVER before, lag(cycle) OVER before, lag(active) OVER before
    ) AS is_change, lag(since) OVER before IS NULL AS is_first
    FROM steps s WINDOW before AS (PARTITION BY payee ORDER BY since)
)
INSERT INTO payee_terms (payee, since, role, cycle, active, set_at, set_by)
SELECT c.payee, CASE WHEN c.is_first THEN least(c.since, first.day) ELSE c.since END, c.role, c.cycle, c.active,
    now(), 'migration'
FROM changes c JOIN first ON first.payee = c.payee
WHERE c.is_first OR c.is_change;

ALTER TABLE settlement_members ADD COLUMN is_present boolean NOT NULL DEFAULT true;

ALTER TABLE settlement_members ALTER COLUMN is_present DROP DEFAULT;

ALTER TABLE settlement_runs ADD COLUMN waiting integer NOT NULL DEFAULT 0;

ALTER TABLE settlement_runs ALTER COLUMN waiting DROP DEFAULT;

CREATE INDEX ix_sales_day_seq ON sales (day, seq);

CREATE INDEX ix_payee_facts_day_seq ON payee_facts (day, seq);

DROP INDEX ix_payee_facts_day_name;

CREATE FUNCTION payees_standing(first date, after date)
RETURNS TABLE (payee integer, role varchar, cycle varchar, is_present boolean) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (payee) payee, role, cycle, is_present
    FROM (
        SELECT t.payee, t.since, t.role, t.cycle, t.since < $2 AS has_begun,
            t.active AND t.since < $2
                AND coalesce(lead(t.since) OVER (PARTITION BY t.payee ORDER BY t.since) > $1, true) AS is_present
        FROM payee_terms t
    ) spans
    ORDER BY payee, is_present DESC, has_begun DESC, CASE WHEN has_begun THEN since END DESC, since
$$;

CREATE FUNCTION settlement_membership(
    roles text[], cycle text, own_cycle text, first date, after date, levels integer
)
RETURNS TABLE (payee integer, role varchar, uplines integer[], is_present boolean) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE above AS MATERIALIZED (
        SELECT DISTINCT ON (u.payee) u.payee, u.upline FROM payee_uplines u
        WHERE u.since < $5 ORDER BY u.payee, u.since DESC
    ),
    chain AS (
        SELECT above.payee, above.upline, 1 AS level FROM above WHERE above.upline IS NOT NULL AND $6 > 0
        UNION ALL
        SELECT chain.payee, above.upline, chain.level + 1
        FROM chain JOIN above ON above.payee = chain.upline
        WHERE above.upline IS NOT NULL AND chain.level < $6
    ),
    chains AS (
        SELECT chain.payee, array_agg(chain.upline ORDER BY chain.level) AS uplines FROM chain GROUP BY chain.payee
    )
    SELECT s.payee, s.role, coalesce(chains.uplines, '{}'), s.is_present
    FROM payees_standing($4, $5) s LEFT JOIN chains ON chains.payee = s.payee
    WHERE coalesce(s.cycle, $3) = $2 AND ($1 = '{}' OR s.role = ANY($1))
$$
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
