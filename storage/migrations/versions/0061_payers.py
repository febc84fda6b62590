"""Who pays a batch and when a payout was first sent; batches of before have who it can only have been."""

from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

# Named, or who shares its payouts already, or the only one that was connected while it lasted.
WHO_PAYS = """
UPDATE payout_batches SET terms = (terms - 'accounts') || jsonb_build_object('payers', coalesce((
    SELECT jsonb_object_agg(rail, jsonb_build_object('account', account, 'mch_id', mch_id)) FROM (
        SELECT rails.rail, min(a.id) AS account, min(a.settings->>'mch_id') AS mch_id
        FROM (VALUES ('wechat-pay'), ('profit-sharing')) rails (rail)
        JOIN accounts a ON a.platform = 'wechat_pay' AND CASE
            WHEN payout_batches.terms->'accounts'->>rails.rail IS NOT NULL
                THEN payout_batches.terms->'accounts'->>rails.rail IN (a.slug, a.id)
            WHEN rails.rail = 'profit-sharing' AND EXISTS (
                SELECT FROM payouts p JOIN share_plans s ON s.payout = p.id WHERE p.batch = payout_batches.id
            ) THEN a.id IN (
                SELECT s.merchant FROM payouts p JOIN share_plans s ON s.payout = p.id WHERE p.batch = payout_batches.id
            )
            ELSE a.created_at <= coalesce(payout_batches.ended_at, 'infinity')
        END
        GROUP BY rails.rail HAVING count(*) = 1 AND min(a.settings->>'mch_id') IS NOT NULL
    ) chosen
), '{}'::jsonb))
"""
# Sooner than it was sent: it is asked about for less long, and never sent again too late.
_STATEMENTS = f"""
ALTER TABLE payouts ADD COLUMN first_sent_at timestamptz, ADD COLUMN put_off smallint NOT NULL DEFAULT 0;

CREATE INDEX ix_payouts_first_sent_at ON payouts (first_sent_at);

UPDATE payouts SET first_sent_at = created_at
    WHERE attempts > 0 AND state IN ('reserved', 'submitting', 'accepted', 'awaiting_user', 'unknown');

{WHO_PAYS}
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
