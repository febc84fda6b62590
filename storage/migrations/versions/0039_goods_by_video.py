"""Goods by the videos that show them."""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_goods_video_ids ON goods USING gin (video_ids)")
