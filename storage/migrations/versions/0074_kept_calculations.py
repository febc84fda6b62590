"""What a settlement was computed to be stays as it was computed, and whose an order was said to be stays said.

Both explain a journal that is never changed, and the next settlement of a period books the difference to them. Whoever
adds, changes or removes rows is asked once a statement of which calculations they are: a part is written by a few, and
before its calculation is computed. What was only tried, or came to nothing with its run, explains nothing and can go.
"""

from alembic import op

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE FUNCTION is_kept_settlement(wanted uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM settlement_calculations c
        JOIN settlement_run_calculations own ON own.calculation = c.id
        JOIN settlement_runs r ON r.id = own.run
        WHERE c.id = wanted AND c.state = 'computed' AND (
            r.state NOT IN ('refused', 'failed')
            OR EXISTS (SELECT FROM settlement_booked_parts b WHERE b.run = r.id AND b.calculation = c.id)
        )
    )
$$;

CREATE FUNCTION refuse_change_of_settlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: what a settlement was computed to be is never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION keep_computed_settlements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Materialized, or each row would be asked about.
    IF EXISTS (
        WITH own AS MATERIALIZED (SELECT DISTINCT calculation FROM altered)
        SELECT FROM own WHERE is_kept_settlement(own.calculation)
    ) THEN
        RAISE EXCEPTION '% on %: what a settlement was computed to be is never changed', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION keep_computed_settlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_kept_settlement(OLD.id) THEN
        RAISE EXCEPTION '% on %: what a settlement was computed to be is never changed', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION keep_calculations_of_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM settlement_runs r WHERE r.id = OLD.run AND r.state NOT IN ('refused', 'failed'))
        OR EXISTS (SELECT FROM settlement_booked_parts b WHERE b.run = OLD.run)
    THEN
        RAISE EXCEPTION '% on %: what a settlement was computed to be is never changed', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END $$;

CREATE FUNCTION keep_attributions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL
        OR (NEW.order_key, NEW.role, NEW.turn, NEW.payee, NEW.share, NEW.way, NEW.evidence, NEW.rules, NEW.decided_at)
            IS DISTINCT FROM
            (OLD.order_key, OLD.role, OLD.turn, OLD.payee, OLD.share, OLD.way, OLD.evidence, OLD.rules, OLD.decided_at)
    THEN
        RAISE EXCEPTION '% on %: whose an order is is ended once and changes in nothing else', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION refuse_removal_of_attributions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: whose an order is is never removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER kept_as_computed BEFORE UPDATE OR DELETE ON settlement_calculations FOR EACH ROW
    WHEN (OLD.state = 'computed') EXECUTE FUNCTION keep_computed_settlement();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON settlement_calculations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_settlement();

CREATE TRIGGER never_changed BEFORE UPDATE OR TRUNCATE ON settlement_run_calculations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_settlement();

CREATE TRIGGER kept_unless_it_came_to_nothing BEFORE DELETE ON settlement_run_calculations
    FOR EACH ROW EXECUTE FUNCTION keep_calculations_of_runs();

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_booked_parts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_settlement();

CREATE TRIGGER never_removed BEFORE TRUNCATE ON attributions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal_of_attributions();

CREATE TRIGGER only_ended BEFORE UPDATE OR DELETE ON attributions
    FOR EACH ROW EXECUTE FUNCTION keep_attributions()
"""
_ROWS_OF_CALCULATIONS = ("settlement_members", "settlement_earnings", "settlement_passed", "settlement_parts")


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
    for table in _ROWS_OF_CALCULATIONS:
        for change, rows in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            op.execute(
                f"CREATE TRIGGER kept_on_{change}_of_{rows} AFTER {change} ON {table} "
                f"REFERENCING {rows} TABLE AS altered FOR EACH STATEMENT EXECUTE FUNCTION keep_computed_settlements()"
            )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_settlement()"
        )
