"""The data engine: customers and their identities; orders, refunds, parcels, interactions, goods."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE customers (
    id uuid DEFAULT uuidv7() NOT NULL,
    merged_into uuid,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_customers PRIMARY KEY (id),
    CONSTRAINT fk_customers_merged_into FOREIGN KEY(merged_into) REFERENCES customers (id)
);
CREATE INDEX ix_customers_merged_into ON customers (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE identities (
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind varchar NOT NULL,
    scope varchar NOT NULL,
    digest bytea NOT NULL,
    value bytea NOT NULL,
    customer_id uuid NOT NULL,
    first_seen_at timestamptz NOT NULL,
    CONSTRAINT pk_identities PRIMARY KEY (id),
    CONSTRAINT uq_identities_digest UNIQUE (digest),
    CONSTRAINT fk_identities_customer_id FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE INDEX ix_identities_customer_id ON identities (customer_id);

CREATE TABLE identity_links (
    low bigint NOT NULL,
    high bigint NOT NULL,
    is_strong boolean NOT NULL,
    account_id varchar NOT NULL,
    record varchar NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_identity_links PRIMARY KEY (low, high),
    CONSTRAINT fk_identity_links_low FOREIGN KEY(low) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT fk_identity_links_high FOREIGN KEY(high) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_identity_links_high ON identity_links (high);

CREATE TABLE identity_decisions (
    id uuid DEFAULT uuidv7() NOT NULL,
    verdict varchar NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    actor varchar NOT NULL,
    reason varchar NOT NULL,
    decided_at timestamptz NOT NULL,
    undone_at timestamptz,
    undone_by varchar,
    CONSTRAINT pk_identity_decisions PRIMARY KEY (id),
    CONSTRAINT fk_identity_decisions_low FOREIGN KEY(low) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT fk_identity_decisions_high FOREIGN KEY(high) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_identity_decisions_high ON identity_decisions (high);
CREATE INDEX ix_identity_decisions_low ON identity_decisions (low);

CREATE TABLE identity_moves (
    id uuid DEFAULT uuidv7() NOT NULL,
    identity_id bigint NOT NULL,
    from_customer uuid NOT NULL,
    to_customer uuid NOT NULL,
    cause varchar NOT NULL,
    detail bytea NOT NULL,
    moved_at timestamptz NOT NULL,
    CONSTRAINT pk_identity_moves PRIMARY KEY (id),
    CONSTRAINT fk_identity_moves_identity_id FOREIGN KEY(identity_id) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_identity_moves_from_customer ON identity_moves (from_customer);
CREATE INDEX ix_identity_moves_identity_id ON identity_moves (identity_id);
CREATE INDEX ix_identity_moves_to_customer ON identity_moves (to_customer);

CREATE TABLE identity_suggestions (
    id uuid DEFAULT uuidv7() NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    why varchar NOT NULL,
    state varchar NOT NULL,
    made_at timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT pk_identity_suggestions PRIMARY KEY (id),
    CONSTRAINT uq_identity_suggestions_low_high UNIQUE (low, high),
    CONSTRAINT fk_identity_suggestions_low FOREIGN KEY(low) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT fk_identity_suggestions_high FOREIGN KEY(high) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_identity_suggestions_high ON identity_suggestions (high);
CREATE INDEX ix_identity_suggestions_open_made_at_id ON identity_suggestions (made_at, id) WHERE state = 'open';

CREATE TABLE orders (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id bigint GENERATED ALWAYS AS IDENTITY,
    order_id varchar NOT NULL,
    identity_id bigint,
    version bigint NOT NULL,
    detail_version bigint NOT NULL,
    status varchar NOT NULL,
    currency varchar NOT NULL,
    paid_minor bigint,
    postage_minor bigint,
    discount_minor bigint,
    refunded_minor bigint NOT NULL,
    created_at timestamptz,
    paid_at timestamptz,
    shipped_at timestamptz,
    completed_at timestamptz,
    told_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    parent_order_id varchar,
    group_id varchar,
    channel varchar,
    influencer_id varchar,
    video_id varchar,
    membership varchar,
    dining varchar,
    province varchar,
    city varchar,
    close_reason varchar,
    coupon_ids text[] NOT NULL,
    buyer bytea,
    receiver bytea,
    CONSTRAINT pk_orders PRIMARY KEY (id),
    CONSTRAINT uq_orders_account_id_order_id UNIQUE (account_id, order_id),
    CONSTRAINT fk_orders_identity_id FOREIGN KEY(identity_id) REFERENCES identities (id)
);
CREATE INDEX ix_orders_account_id_told_at ON orders (account_id, told_at);
CREATE INDEX ix_orders_identity_id_paid_at ON orders (identity_id, paid_at);
CREATE INDEX ix_orders_order_id ON orders (order_id);

CREATE TABLE order_lines (
    order_key bigint NOT NULL,
    line_id varchar NOT NULL,
    item_id varchar,
    sku_id varchar,
    title varchar NOT NULL,
    sku varchar,
    category varchar,
    quantity integer NOT NULL,
    price_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    CONSTRAINT pk_order_lines PRIMARY KEY (order_key, line_id),
    CONSTRAINT fk_order_lines_order_key FOREIGN KEY(order_key) REFERENCES orders (id) ON DELETE CASCADE
);

CREATE TABLE refunds (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id bigint GENERATED ALWAYS AS IDENTITY,
    refund_id varchar NOT NULL,
    order_id varchar NOT NULL,
    identity_id bigint,
    version bigint NOT NULL,
    detail_version bigint NOT NULL,
    status varchar NOT NULL,
    amount_minor bigint,
    currency varchar NOT NULL,
    reason varchar,
    returns_goods boolean,
    line_ids text[] NOT NULL,
    requested_at timestamptz,
    refunded_at timestamptz,
    told_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_refunds PRIMARY KEY (id),
    CONSTRAINT uq_refunds_account_id_refund_id UNIQUE (account_id, refund_id),
    CONSTRAINT fk_refunds_identity_id FOREIGN KEY(identity_id) REFERENCES identities (id)
);
CREATE INDEX ix_refunds_account_id_order_id ON refunds (account_id, order_id);
CREATE INDEX ix_refunds_identity_id_told_at ON refunds (identity_id, told_at);

CREATE TABLE shipments (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id bigint GENERATED ALWAYS AS IDENTITY,
    waybill varchar NOT NULL,
    order_id varchar NOT NULL,
    company varchar,
    state varchar NOT NULL,
    version bigint NOT NULL,
    told_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_shipments PRIMARY KEY (id),
    CONSTRAINT uq_shipments_account_id_waybill_order_id UNIQUE (account_id, waybill, order_id)
);
CREATE INDEX ix_shipments_account_id_order_id ON shipments (account_id, order_id);

CREATE TABLE interactions (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind varchar NOT NULL,
    key varchar NOT NULL,
    identity_id bigint,
    version bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    name varchar,
    state varchar,
    channel varchar,
    item_id varchar,
    category varchar,
    amount_minor bigint,
    details jsonb NOT NULL,
    personal bytea,
    CONSTRAINT pk_interactions PRIMARY KEY (id),
    CONSTRAINT uq_interactions_account_id_kind_key UNIQUE (account_id, kind, key),
    CONSTRAINT fk_interactions_identity_id FOREIGN KEY(identity_id) REFERENCES identities (id)
);
CREATE INDEX ix_interactions_identity_id_occurred_at ON interactions (identity_id, occurred_at);

CREATE TABLE goods (
    account_id varchar NOT NULL,
    item_id varchar NOT NULL,
    sku_id varchar NOT NULL,
    title varchar NOT NULL,
    category varchar,
    price_minor bigint,
    on_sale boolean NOT NULL,
    video_ids text[] NOT NULL,
    available bigint,
    version bigint NOT NULL,
    stock_version bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_goods PRIMARY KEY (account_id, item_id, sku_id)
);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
