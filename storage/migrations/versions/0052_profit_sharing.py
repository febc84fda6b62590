"""Payments that can be shared, and the shares of them that payouts are paid by."""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE shareable_payments (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_shareable_payments PRIMARY KEY,
    merchant varchar NOT NULL,
    transaction_id varchar(32) NOT NULL,
    out_trade_no varchar(64) NOT NULL,
    account_id varchar,
    order_id varchar,
    paid_minor bigint NOT NULL CONSTRAINT ck_shareable_payments_paid CHECK (paid_minor > 0),
    refunded_minor bigint NOT NULL CONSTRAINT ck_shareable_payments_refunded CHECK (refunded_minor >= 0),
    paid_at timestamptz NOT NULL,
    shared_minor bigint NOT NULL CONSTRAINT ck_shareable_payments_shared CHECK (shared_minor BETWEEN 0 AND paid_minor),
    requests smallint NOT NULL CONSTRAINT ck_shareable_payments_requests CHECK (requests BETWEEN 0 AND 50),
    barred varchar,
    CONSTRAINT uq_shareable_payments_merchant_transaction_id UNIQUE (merchant, transaction_id)
);

CREATE INDEX ix_shareable_payments_account_id_order_id ON shareable_payments (account_id, order_id);

CREATE INDEX ix_shareable_payments_merchant_paid_at ON shareable_payments (merchant, paid_at);

CREATE TABLE trade_bills (
    merchant varchar NOT NULL,
    day date NOT NULL,
    digest varchar,
    payments integer NOT NULL,
    read_at timestamptz NOT NULL,
    CONSTRAINT pk_trade_bills PRIMARY KEY (merchant, day)
);

CREATE TABLE share_plans (
    payout bigint NOT NULL CONSTRAINT pk_share_plans PRIMARY KEY,
    merchant varchar NOT NULL,
    hand integer NOT NULL,
    turns smallint NOT NULL,
    reason varchar,
    given_up_at timestamptz,
    CONSTRAINT fk_share_plans_payout_payouts FOREIGN KEY (payout) REFERENCES payouts (id)
);

CREATE TABLE payout_shares (
    out_order_no varchar(64) NOT NULL CONSTRAINT pk_payout_shares PRIMARY KEY,
    payout bigint NOT NULL,
    payment bigint NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT ck_payout_shares_amount CHECK (amount_minor > 0),
    state varchar NOT NULL,
    sharing_id varchar,
    reason varchar,
    planned_at timestamptz NOT NULL,
    sent_at timestamptz,
    changed_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT fk_payout_shares_payout_share_plans FOREIGN KEY (payout) REFERENCES share_plans (payout),
    CONSTRAINT fk_payout_shares_payment_shareable_payments FOREIGN KEY (payment) REFERENCES shareable_payments (id)
);

CREATE INDEX ix_payout_shares_payout ON payout_shares (payout);

CREATE INDEX ix_payout_shares_payment ON payout_shares (payment);

CREATE FUNCTION keep_share() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('shared', 'failed')
        OR (NEW.out_order_no, NEW.payout, NEW.payment, NEW.amount_minor)
            IS DISTINCT FROM (OLD.out_order_no, OLD.payout, OLD.payment, OLD.amount_minor)
    THEN
        RAISE EXCEPTION 'a share keeps its number, payment and amount, and ends once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER what_it_is BEFORE UPDATE ON payout_shares FOR EACH ROW EXECUTE FUNCTION keep_share();

CREATE FUNCTION bound_shares() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(amount_minor) FROM payout_shares WHERE payout = NEW.payout AND state <> 'failed')
        > (SELECT amount_minor FROM payouts WHERE id = NEW.payout)
    THEN
        RAISE EXCEPTION 'a payout is not shared twice' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER no_more_than_the_payout AFTER INSERT ON payout_shares FOR EACH ROW EXECUTE FUNCTION bound_shares();

CREATE FUNCTION keep_shared_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM payout_shares WHERE payout = NEW.id AND state NOT IN ('planned', 'failed')
            AND (state <> 'shared' OR NEW.state = 'cancelled')
    ) OR (NEW.state = 'paid' AND NEW.amount_minor IS DISTINCT FROM
        (SELECT sum(amount_minor) FROM payout_shares WHERE payout = NEW.id AND state = 'shared'))
    THEN
        RAISE EXCEPTION 'a payout ends when its shares have' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER ends_with_its_shares BEFORE UPDATE OF state ON payouts FOR EACH ROW
    WHEN (NEW.rail = 'profit-sharing' AND NEW.state IN ('paid', 'failed', 'cancelled'))
    EXECUTE FUNCTION keep_shared_payout()
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
