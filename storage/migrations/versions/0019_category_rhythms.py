"""The purchase interval that is usual in a category."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE category_rhythms (
            category varchar NOT NULL CONSTRAINT pk_category_rhythms PRIMARY KEY,
            days integer NOT NULL,
            customers bigint NOT NULL,
            measured_at timestamptz NOT NULL
        )
        """
    )
