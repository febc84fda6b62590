"""What a list of everything has named while it is read."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE listed (
            account_id varchar NOT NULL,
            stream varchar NOT NULL,
            begun_at timestamptz NOT NULL,
            digest bigint NOT NULL,
            CONSTRAINT pk_listed PRIMARY KEY (account_id, stream, begun_at, digest)
        )
        """
    )
