"""What people write about customers is encrypted.

No migration has the keys: what was written before is kept as it is behind a zero byte, which `storage.encryption` reads,
until `tandem secret rekey` encrypts it.
"""

from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

_COLUMNS = (("tag_marks", "reason"), ("suppressions", "note"), ("identity_decisions", "reason"), ("consents", "source"))


def upgrade() -> None:
    for table, column in _COLUMNS:
        kept = f"decode('00', 'hex') || convert_to({column}, 'UTF8')"
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bytea USING {kept}")
