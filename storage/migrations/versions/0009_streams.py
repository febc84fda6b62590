"""Streams: where reading a platform again stands, and what comparing found."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE streams (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar NOT NULL,
    customer_owner varchar,
    stream varchar NOT NULL,
    cursor jsonb NOT NULL,
    reached_at timestamptz,
    records bigint NOT NULL,
    missed bigint NOT NULL,
    problem varchar,
    pulled_at timestamptz NOT NULL,
    CONSTRAINT pk_streams PRIMARY KEY (account_id, stream)
);

CREATE TABLE comparisons (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id uuid DEFAULT uuidv7() NOT NULL,
    stream varchar NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    records integer NOT NULL,
    missing integer NOT NULL,
    differing integer NOT NULL,
    compared_at timestamptz NOT NULL,
    CONSTRAINT pk_comparisons PRIMARY KEY (id)
);
CREATE INDEX ix_comparisons_account_id_compared_at_id ON comparisons (account_id, compared_at, id);
CREATE INDEX ix_comparisons_compared_at_id ON comparisons (compared_at, id);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
