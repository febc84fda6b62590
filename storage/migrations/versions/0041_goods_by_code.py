"""Goods by what the merchant's systems call them."""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_goods_code ON goods (coalesce(nullif(merchant_code, ''), nullif(sku_id, ''), item_id))")
