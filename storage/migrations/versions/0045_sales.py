"""Payees, what they sold in differences, and the numbered words that sales are filtered by."""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE sale_words (
    number integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sale_words PRIMARY KEY,
    field varchar NOT NULL,
    word varchar NOT NULL,
    CONSTRAINT uq_sale_words_field_word UNIQUE (field, word)
);

CREATE TABLE sales (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    order_key bigint NOT NULL,
    order_minor bigint NOT NULL,
    paid_minor bigint NOT NULL,
    kept_minor bigint NOT NULL,
    payee integer NOT NULL,
    day date NOT NULL,
    platform integer NOT NULL,
    shop integer NOT NULL,
    channel integer NOT NULL,
    influencer integer NOT NULL,
    category integer NOT NULL,
    article integer NOT NULL,
    quantity integer NOT NULL,
    orders smallint NOT NULL,
    basis smallint NOT NULL,
    part smallint NOT NULL,
    is_first boolean NOT NULL,
    is_bonded boolean NOT NULL,
    line_id varchar NOT NULL
) PARTITION BY RANGE (day);

CREATE FUNCTION refuse_change_of_sales() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: sales are only ever added to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION open_sales_month(month date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    name text := 'sales_' || to_char(month, 'YYYY_MM');
    piece text;
BEGIN
    IF month <> date_trunc('month', month) THEN
        RAISE EXCEPTION '% is not the first of a month', month;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('sales/' || name, 0));
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.sales FOR VALUES FROM (%L) TO (%L) PARTITION BY LIST (part)',
        name, month, (month + interval '1 month')::date
    );
    FOR part IN 0..15 LOOP
        piece := name || '_' || to_char(part, 'FM00');
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES IN (%s)', piece, name, part);
        EXECUTE format(
            'CREATE TRIGGER only_insert_all BEFORE TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change_of_sales()', piece
        );
    END LOOP;
END $$;

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE ON sales
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sales();

CREATE TRIGGER only_insert_all BEFORE TRUNCATE ON sales
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_sales()
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
