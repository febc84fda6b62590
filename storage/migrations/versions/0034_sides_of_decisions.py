"""Decisions name the keys of each side, not every pair of them: a person may have thousands."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE identity_decision_keys (
        decision_id uuid NOT NULL,
        identity_id bigint NOT NULL,
        side smallint NOT NULL,
        CONSTRAINT pk_identity_decision_keys PRIMARY KEY (decision_id, identity_id),
        CONSTRAINT fk_identity_decision_keys_decision_id FOREIGN KEY (decision_id)
            REFERENCES identity_decisions (id) ON DELETE CASCADE,
        CONSTRAINT fk_identity_decision_keys_identity_id FOREIGN KEY (identity_id)
            REFERENCES identities (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_identity_decision_keys_identity_id ON identity_decision_keys (identity_id)",
    # Of a parting every key of one side stood beside every key of the other: those beside the first one are the other.
    """
    INSERT INTO identity_decision_keys (decision_id, identity_id, side)
    SELECT named.decision_id, named.identity_id, CASE WHEN decision.verdict = 'part' AND EXISTS (
        SELECT FROM identity_decision_pairs AS beside
        WHERE beside.decision_id = named.decision_id AND beside.low = firsts.low AND beside.high = named.identity_id
    ) THEN 1 ELSE 0 END
    FROM (
        SELECT decision_id, low AS identity_id FROM identity_decision_pairs
        UNION SELECT decision_id, high FROM identity_decision_pairs
    ) AS named
    JOIN identity_decisions AS decision ON decision.id = named.decision_id
    JOIN (SELECT decision_id, min(low) AS low FROM identity_decision_pairs GROUP BY decision_id) AS firsts
        ON firsts.decision_id = named.decision_id
    """,
    "DROP TABLE identity_decision_pairs",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
