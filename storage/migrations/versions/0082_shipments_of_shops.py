"""Parcels that a warehouse tells hang on the orders of shops.

What was told without its shop is the only order's that has its number.
"""

from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE shipments ADD COLUMN order_account varchar")
    op.execute(
        """
        UPDATE shipments SET order_account = found.account_id
        FROM (
            SELECT parcel.id, min(o.account_id) AS account_id
            FROM shipments AS parcel JOIN orders AS o ON o.order_id = parcel.order_id
            WHERE parcel.account_id LIKE 'erp/%'
            GROUP BY parcel.id HAVING count(*) = 1
        ) AS found
        WHERE shipments.id = found.id
        """
    )
    op.execute("CREATE INDEX ix_shipments_of_orders ON shipments (coalesce(order_account, account_id), order_id)")
    op.execute("DROP INDEX ix_shipments_account_id_order_id")
