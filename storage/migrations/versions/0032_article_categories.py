"""What kind of goods each article is, for the lines of orders whose platform does not say."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE article_categories (
            account_id varchar NOT NULL,
            item_id varchar NOT NULL,
            category varchar NOT NULL,
            followed_to bigint,
            readable_from bigint,
            CONSTRAINT pk_article_categories PRIMARY KEY (account_id, item_id)
        )
        """
    )
    op.execute(
        "CREATE INDEX ix_article_categories_followed_to ON article_categories (followed_to) "
        "WHERE followed_to IS NOT NULL"
    )
    op.execute("CREATE INDEX ix_order_lines_item_id_order_key ON order_lines (item_id, order_key)")
    op.execute(
        """
        INSERT INTO article_categories (account_id, item_id, category, followed_to)
        SELECT DISTINCT ON (account_id, item_id) account_id, item_id, category, 0
        FROM goods WHERE category > '' ORDER BY account_id, item_id, sku_id
        """
    )
