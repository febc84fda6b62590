"""Steps of orders that a short push told, until the whole order is read."""

from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE awaited_orders (
            account_id varchar NOT NULL,
            event_id varchar NOT NULL,
            platform varchar NOT NULL,
            order_id varchar NOT NULL,
            stage integer NOT NULL,
            event bytea NOT NULL,
            received_at timestamptz NOT NULL,
            waits_since timestamptz NOT NULL,
            attempts integer NOT NULL,
            ask_at timestamptz NOT NULL,
            tell_at timestamptz NOT NULL,
            CONSTRAINT pk_awaited_orders PRIMARY KEY (account_id, event_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_awaited_orders_account_id_order_id ON awaited_orders (account_id, order_id)")
    op.execute(
        "CREATE INDEX ix_awaited_orders_never_asked ON awaited_orders (platform, account_id, received_at)"
        " WHERE attempts = 0"
    )
    op.execute(
        "CREATE INDEX ix_awaited_orders_asked ON awaited_orders (platform, account_id, ask_at) WHERE attempts > 0"
    )
    op.execute("ALTER TABLE event_outbox ADD COLUMN hears_from timestamptz")
    op.execute(
        "CREATE INDEX ix_awaited_orders_platform_account_id_tell_at ON awaited_orders (platform, account_id, tell_at)"
    )
