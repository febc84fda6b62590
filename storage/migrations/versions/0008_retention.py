"""What is over is found by when it ended, and how much of it was deleted."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE purges (
    kind varchar CONSTRAINT pk_purges PRIMARY KEY,
    rows bigint NOT NULL,
    purged_at timestamptz NOT NULL
);
CREATE INDEX ix_inbox_done_changed_at ON inbox (changed_at) WHERE state = 'done';
CREATE INDEX ix_events_received_at ON events (received_at);
CREATE INDEX ix_runs_ended_at ON runs (ended_at) WHERE ended_at IS NOT NULL;
ALTER TABLE effects ADD COLUMN moves_money boolean NOT NULL DEFAULT false;
UPDATE effects SET moves_money = true WHERE call = 'youzan.agree_refund';
CREATE INDEX ix_effects_moves_money_changed_at ON effects (moves_money, changed_at);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
