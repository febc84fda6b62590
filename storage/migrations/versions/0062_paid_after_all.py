"""A payout that had failed may turn out to be paid; nothing else of it changes with that."""

from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

_KEEP_PAYOUT = """
CREATE OR REPLACE FUNCTION keep_payout() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bounced CONSTANT text[] := ARRAY['state', 'reason', 'changed_at'];
    after_all CONSTANT text[] := ARRAY['state', 'reason', 'rail_number', 'changed_at', 'ended_at'];
BEGIN
    IF OLD.state = 'paid' AND OLD.rail = 'bank' AND NEW.state = 'failed' AND NEW.reason = 'returned'
        AND to_jsonb(NEW) - bounced = to_jsonb(OLD) - bounced
    THEN
        RETURN NEW;
    END IF;
    IF OLD.state IN ('failed', 'cancelled') AND NEW.state = 'paid' AND NEW.reason = 'paid-after-all'
        AND to_jsonb(NEW) - after_all = to_jsonb(OLD) - after_all
    THEN
        RETURN NEW;
    END IF;
    IF OLD.state IN ('paid', 'failed', 'cancelled')
        OR (NEW.id, NEW.batch, NEW.number, NEW.payee, NEW.amount_minor, NEW.offset_minor, NEW.currency)
            IS DISTINCT FROM (OLD.id, OLD.batch, OLD.number, OLD.payee, OLD.amount_minor, OLD.offset_minor, OLD.currency)
    THEN
        RAISE EXCEPTION 'a payout keeps its number, payee and amount, and ends once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute(_KEEP_PAYOUT)
