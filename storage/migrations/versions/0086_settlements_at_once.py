"""Settlements under way at once: one of each period, no longer one of a scheme and cycle, so that all that are due can
be asked for together. And whose frozen input a calculation goes by."""

from alembic import op

revision = "0086"
down_revision = "0085"
branch_labels = None
depends_on = None

_STATEMENTS = """
DROP INDEX uq_settlement_runs_open;

CREATE UNIQUE INDEX uq_settlement_runs_open ON settlement_runs (period)
    WHERE state IN ('computing', 'computed', 'approved');

ALTER TABLE settlement_calculations
    ADD COLUMN input_of uuid CONSTRAINT fk_settlement_calculations_input_of_settlement_calculations
        REFERENCES settlement_calculations (id) ON DELETE CASCADE;

CREATE INDEX ix_settlement_calculations_input_of ON settlement_calculations (input_of) WHERE input_of IS NOT NULL
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
