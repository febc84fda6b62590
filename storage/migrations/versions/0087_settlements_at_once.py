"""Settlements under way at once: one of each period, no longer one of a scheme and cycle, so that all that are due can
be asked for together."""

from alembic import op

revision = "0087"
down_revision = "0085"
branch_labels = None
depends_on = None

_STATEMENTS = """
DROP INDEX uq_settlement_runs_open;

CREATE UNIQUE INDEX uq_settlement_runs_open ON settlement_runs (period)
    WHERE state IN ('computing', 'computed', 'approved')
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
