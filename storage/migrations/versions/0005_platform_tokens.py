"""Access tokens of platforms."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE platform_tokens (
            name varchar CONSTRAINT pk_platform_tokens PRIMARY KEY,
            content bytea NOT NULL,
            saved_at timestamptz NOT NULL
        )
        """
    )

