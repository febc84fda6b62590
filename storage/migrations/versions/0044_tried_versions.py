"""Versions of tag rules and gradings that are tried out on a share of the customers."""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE definition_versions ADD COLUMN share_percent double precision;
CREATE UNIQUE INDEX uq_definition_versions_tried_kind_namespace_name
    ON definition_versions (kind, namespace, name) WHERE share_percent IS NOT NULL;

ALTER TABLE tag_backfills
    ADD COLUMN candidate varchar NOT NULL DEFAULT '',
    ADD COLUMN buckets integer NOT NULL DEFAULT 0,
    ADD COLUMN first_bucket integer NOT NULL DEFAULT 0,
    ADD COLUMN end_bucket integer NOT NULL DEFAULT 10000;
ALTER TABLE tag_backfills
    ALTER COLUMN candidate DROP DEFAULT,
    ALTER COLUMN buckets DROP DEFAULT,
    ALTER COLUMN first_bucket DROP DEFAULT,
    ALTER COLUMN end_bucket DROP DEFAULT;

ALTER TABLE grading_breaks DROP CONSTRAINT pk_grading_breaks;
ALTER TABLE grading_breaks ADD CONSTRAINT pk_grading_breaks PRIMARY KEY (grading, version)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
