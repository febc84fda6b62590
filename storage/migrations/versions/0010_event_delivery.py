"""How far an event reaches that somebody with a narrow data scope published, and from when on a run hears events."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE events ADD COLUMN reach jsonb")
    op.execute("ALTER TABLE runs ADD COLUMN hears_from timestamptz")
    op.execute("UPDATE runs SET hears_from = created_at")
    op.execute("ALTER TABLE runs ALTER COLUMN hears_from SET NOT NULL")
    # Every start of a run looks events up by subject: it must not read through what GIN has not sorted in yet.
    op.execute("ALTER INDEX ix_events_subjects SET (fastupdate = off)")
    op.execute("SELECT gin_clean_pending_list('ix_events_subjects')")
