"""Calculations that are done again: which one a repeat is of, and how many payees came to something else by it."""

from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE settlement_calculations
    ADD COLUMN repeats uuid CONSTRAINT fk_settlement_calculations_repeats_settlement_calculations
        REFERENCES settlement_calculations (id) ON DELETE CASCADE,
    ADD COLUMN differing integer;

CREATE INDEX ix_settlement_calculations_repeats ON settlement_calculations (repeats) WHERE repeats IS NOT NULL;

DROP INDEX ix_settlement_calculations_tried;

CREATE INDEX ix_settlement_calculations_tried ON settlement_calculations (asked_at)
    WHERE purpose IN ('preview', 'what-if', 'repeat')
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
