"""Identities: what a key goes back to when it is parted; links by tier; decisions about many keys; rotating digests."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE identities ADD COLUMN home uuid;
UPDATE identities SET home = customer_id;
ALTER TABLE identities ADD COLUMN crowded smallint DEFAULT 0 NOT NULL;

CREATE TABLE identity_digest_keys (
    id bigint GENERATED ALWAYS AS IDENTITY,
    key_id varchar NOT NULL,
    CONSTRAINT pk_identity_digest_keys PRIMARY KEY (id),
    CONSTRAINT uq_identity_digest_keys_key_id UNIQUE (key_id)
);

DROP TABLE identity_links;
CREATE TABLE identity_links (
    low bigint NOT NULL,
    tier smallint NOT NULL,
    high bigint NOT NULL,
    account_id varchar NOT NULL,
    record varchar NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_identity_links PRIMARY KEY (low, tier, high),
    CONSTRAINT fk_identity_links_low FOREIGN KEY(low) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT fk_identity_links_high FOREIGN KEY(high) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_identity_links_high_tier ON identity_links (high, tier);

DROP INDEX ix_identity_decisions_low;
DROP INDEX ix_identity_decisions_high;
ALTER TABLE identity_decisions DROP COLUMN low;
ALTER TABLE identity_decisions DROP COLUMN high;
CREATE INDEX ix_identity_decisions_decided_at_id ON identity_decisions (decided_at, id);
CREATE TABLE identity_decision_pairs (
    decision_id uuid NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    CONSTRAINT pk_identity_decision_pairs PRIMARY KEY (decision_id, low, high),
    CONSTRAINT fk_identity_decision_pairs_decision_id FOREIGN KEY(decision_id)
        REFERENCES identity_decisions (id) ON DELETE CASCADE,
    CONSTRAINT fk_identity_decision_pairs_low FOREIGN KEY(low) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT fk_identity_decision_pairs_high FOREIGN KEY(high) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_identity_decision_pairs_low ON identity_decision_pairs (low);
CREATE INDEX ix_identity_decision_pairs_high ON identity_decision_pairs (high);

ALTER TABLE identity_suggestions ADD COLUMN settled_by varchar;
ALTER TABLE identity_suggestions ADD COLUMN decision_id uuid;
ALTER TABLE identity_suggestions ADD CONSTRAINT fk_identity_suggestions_decision_id
    FOREIGN KEY(decision_id) REFERENCES identity_decisions (id);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
