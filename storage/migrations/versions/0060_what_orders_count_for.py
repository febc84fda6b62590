"""What orders count for: buyers whom nobody knows, orders that are left out, each payee's own facts."""

from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE sales ALTER COLUMN is_first DROP NOT NULL;

CREATE INDEX ix_orders_abroad ON orders (currency, coalesce(paid_at, created_at, told_at)) WHERE currency <> 'CNY';

ALTER TABLE payee_facts
    DROP CONSTRAINT uq_payee_facts_name_key,
    ADD CONSTRAINT uq_payee_facts_payee_name_key UNIQUE (payee, name, key);

ALTER TABLE settlement_calculations ADD COLUMN left_out jsonb
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
