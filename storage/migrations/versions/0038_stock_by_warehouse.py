"""Stock in a table of its own, a row for each warehouse; and what merchants call their goods."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE TABLE stock (
            account_id varchar NOT NULL,
            item_id varchar NOT NULL,
            sku_id varchar NOT NULL,
            warehouse varchar NOT NULL,
            available bigint NOT NULL,
            version bigint NOT NULL,
            version_tie integer DEFAULT 0 NOT NULL,
            recorded_at timestamptz NOT NULL,
            CONSTRAINT pk_stock PRIMARY KEY (account_id, item_id, sku_id, warehouse)
        )"""
    )
    op.execute("CREATE INDEX ix_stock_item_id ON stock (item_id)")
    op.execute("CREATE INDEX ix_stock_sku_id ON stock (sku_id)")
    op.execute(
        "INSERT INTO stock (account_id, item_id, sku_id, warehouse, available, version, version_tie, recorded_at) "
        "SELECT account_id, item_id, sku_id, '', available, stock_version, stock_version_tie, recorded_at "
        "FROM goods WHERE available IS NOT NULL"
    )
    # Rows that only stock had made.
    op.execute("DELETE FROM goods WHERE version = 0 AND title = ''")
    op.execute(
        "ALTER TABLE goods DROP COLUMN available, DROP COLUMN stock_version, DROP COLUMN stock_version_tie, "
        "ADD COLUMN merchant_code varchar"
    )
