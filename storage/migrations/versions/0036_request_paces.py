"""How far ahead the requests to each account are booked."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE request_paces (
            account_id varchar NOT NULL CONSTRAINT pk_request_paces PRIMARY KEY,
            busy_until timestamptz NOT NULL,
            bulk_until timestamptz NOT NULL,
            held_until timestamptz,
            granted integer NOT NULL,
            requests bigint NOT NULL,
            delays bigint NOT NULL
        )
        """
    )
