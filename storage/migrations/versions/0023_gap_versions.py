"""How new each part of a record is that its newest telling left out, and which of two tellings with one version counts."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_VERSIONS = {
    "orders": ("version", "detail_version"),
    "refunds": ("version", "detail_version"),
    "shipments": ("version",),
    "interactions": ("version",),
    "goods": ("version", "stock_version"),
}
_PROGRESS = {
    "orders": "{unknown,unpaid,paid,shipped,completed,closed}",
    "refunds": "{unknown,requested,awaiting_return,returned,return_refused,refused,closed,refunded}",
}


def upgrade() -> None:
    for table, versions in _VERSIONS.items():
        ties = ", ".join(f"ADD COLUMN {version}_tie integer DEFAULT 0 NOT NULL" for version in versions)
        op.execute(f"ALTER TABLE {table} {ties}, ADD COLUMN gap_versions jsonb")
    op.execute(
        "ALTER TABLE orders ADD COLUMN lines_version bigint DEFAULT -9223372036854775808 NOT NULL, "
        "ADD COLUMN lines_version_tie integer DEFAULT 0 NOT NULL"
    )
    for table, progress in _PROGRESS.items():
        place = f"greatest(array_position('{progress}'::varchar[], status) - 1, 0) << 27"
        op.execute(f"UPDATE {table} SET version_tie = {place}, detail_version_tie = {place}")
    op.execute(
        "UPDATE orders SET lines_version = detail_version "
        "WHERE EXISTS (SELECT FROM order_lines WHERE order_key = orders.id)"
    )
