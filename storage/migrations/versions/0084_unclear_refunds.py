"""Orders of which something went back whose sum is not known, or in another currency, are looked at again: they say so
since, and what they come to stays."""

from alembic import op

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        INSERT INTO sale_queue (order_key, queued_at)
        SELECT DISTINCT o.id, now()
        FROM refunds r
        JOIN orders o ON o.account_id = r.account_id AND o.order_id = r.order_id
        JOIN sold_orders s ON s.order_key = o.id
        WHERE r.status = 'refunded'
            AND (r.amount_minor IS NULL OR r.amount_minor > 0 AND r.currency <> o.currency)
        ORDER BY o.id
        ON CONFLICT (order_key) DO NOTHING
        """
    )
