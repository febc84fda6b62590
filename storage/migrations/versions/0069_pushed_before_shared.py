"""Contacts that were pushed are asked about before those whose tags alone are to be shared."""

from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE lookups ADD COLUMN only_tags boolean NOT NULL DEFAULT false;
ALTER TABLE lookups ALTER COLUMN only_tags DROP DEFAULT;
DROP INDEX ix_lookups_platform_due_at;
CREATE INDEX ix_lookups_platform_only_tags_due_at
    ON lookups (platform, only_tags, due_at) WHERE due_at IS NOT NULL
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
