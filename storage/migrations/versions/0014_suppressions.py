"""What a customer is not to be spoken to about, and whose key a touch went to."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE suppressions (
    id bigint GENERATED ALWAYS AS IDENTITY,
    identity_id bigint NOT NULL,
    account_id varchar,
    item_id varchar,
    refund_key bigint,
    reason varchar NOT NULL,
    until timestamptz,
    made_at timestamptz NOT NULL,
    CONSTRAINT pk_suppressions PRIMARY KEY (id),
    CONSTRAINT fk_suppressions_identity_id FOREIGN KEY(identity_id) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT fk_suppressions_refund_key FOREIGN KEY(refund_key) REFERENCES refunds (id) ON DELETE CASCADE,
    CONSTRAINT uq_suppressions_refund_key_item_id UNIQUE NULLS NOT DISTINCT (refund_key, item_id, identity_id)
);
CREATE INDEX ix_suppressions_identity_id ON suppressions (identity_id);

ALTER TABLE touches ADD COLUMN identity_id bigint;
ALTER TABLE touches ADD CONSTRAINT fk_touches_identity_id FOREIGN KEY(identity_id)
    REFERENCES identities (id) ON DELETE CASCADE;
CREATE INDEX ix_touches_identity_id_at ON touches (identity_id, at);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
