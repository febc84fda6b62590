"""Who may do what: organisation, accounts, users, tokens, secrets, audit, idempotency."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ORGANISATION = """
CREATE TABLE units (
    path varchar COLLATE "C" CONSTRAINT pk_units PRIMARY KEY,
    parent_path varchar COLLATE "C" CONSTRAINT fk_units_parent_path_units REFERENCES units (path),
    name varchar NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ix_units_parent_path ON units (parent_path);
INSERT INTO units (path, name, created_at) VALUES ('/', '总部 Headquarters', now());

CREATE TABLE accounts (
    id varchar CONSTRAINT pk_accounts PRIMARY KEY,
    platform varchar NOT NULL,
    slug varchar NOT NULL,
    name varchar NOT NULL,
    credentials bytea NOT NULL,
    credential_names text[] NOT NULL,
    settings jsonb NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    unit_path varchar COLLATE "C" NOT NULL DEFAULT '/',
    account_id varchar,
    customer_owner varchar,
    CONSTRAINT ck_accounts_names_itself CHECK (account_id = id AND id = platform || '/' || slug)
);
"""

_PEOPLE = """
CREATE TABLE users (
    id uuid DEFAULT uuidv7() CONSTRAINT pk_users PRIMARY KEY,
    login varchar NOT NULL CONSTRAINT uq_users_login UNIQUE,
    name bytea NOT NULL,
    password_hash varchar,
    roles text[] NOT NULL,
    scope jsonb NOT NULL,
    queues text[] NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    unit_path varchar COLLATE "C" NOT NULL DEFAULT '/',
    account_id varchar,
    customer_owner varchar
);

CREATE TABLE tokens (
    id uuid DEFAULT uuidv7() CONSTRAINT pk_tokens PRIMARY KEY,
    login varchar NOT NULL CONSTRAINT fk_tokens_login_users REFERENCES users (login),
    kind varchar NOT NULL,
    name varchar NOT NULL,
    prefix varchar NOT NULL CONSTRAINT uq_tokens_prefix UNIQUE,
    secret_hash bytea NOT NULL,
    scopes text[],
    created_at timestamptz NOT NULL,
    created_by varchar NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT ck_tokens_kind CHECK (kind IN ('api', 'session'))
);
CREATE INDEX ix_tokens_login ON tokens (login);
CREATE INDEX ix_tokens_expires_at ON tokens (expires_at);
CREATE INDEX ix_tokens_created_at_id ON tokens (created_at, id);

CREATE TABLE login_attempts (
    key varchar CONSTRAINT pk_login_attempts PRIMARY KEY,
    window_started_at timestamptz NOT NULL,
    attempts integer NOT NULL
);
CREATE INDEX ix_login_attempts_window_started_at ON login_attempts (window_started_at);

CREATE TABLE secrets (
    name varchar CONSTRAINT pk_secrets PRIMARY KEY,
    members text[],
    value bytea NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by varchar NOT NULL
);

CREATE TABLE idempotency_keys (
    login varchar,
    key varchar,
    request_digest varchar NOT NULL,
    leased_until timestamptz NOT NULL,
    status integer,
    body bytea,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (login, key)
);
CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at);
"""

_AUDIT = """
CREATE TABLE audit_entries (
    id uuid CONSTRAINT pk_audit_entries PRIMARY KEY,
    at timestamptz NOT NULL,
    actor varchar NOT NULL,
    token_id uuid,
    action varchar NOT NULL,
    target varchar NOT NULL,
    detail bytea NOT NULL,
    key_id varchar NOT NULL,
    mac bytea NOT NULL,
    unit_path varchar COLLATE "C" NOT NULL DEFAULT '/',
    account_id varchar,
    customer_owner varchar
);
CREATE INDEX ix_audit_entries_at_id ON audit_entries (at, id);
CREATE INDEX ix_audit_entries_target_at ON audit_entries (target, at);
CREATE INDEX ix_audit_entries_actor_at ON audit_entries (actor, at);

CREATE TABLE audit_seals (
    position bigint CONSTRAINT pk_audit_seals PRIMARY KEY,
    entry_id uuid NOT NULL CONSTRAINT uq_audit_seals_entry_id UNIQUE,
    previous bytea NOT NULL,
    seal bytea NOT NULL,
    key_id varchar NOT NULL,
    sealed_at timestamptz NOT NULL
);

CREATE TABLE audit_pending (
    entry_id uuid CONSTRAINT pk_audit_pending PRIMARY KEY
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: the audit log is only ever added to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION await_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION require_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM audit_seals WHERE entry_id = OLD.entry_id) THEN
        RAISE EXCEPTION 'audit entry % has no seal yet', OLD.entry_id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_insert BEFORE UPDATE OR TRUNCATE ON audit_pending
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER await_seal AFTER INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION await_seal();
CREATE TRIGGER require_seal BEFORE DELETE ON audit_pending
    FOR EACH ROW EXECUTE FUNCTION require_seal();
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER only_insert;
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER await_seal;
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER only_insert;
ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER only_insert;
ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER require_seal;
"""


def upgrade() -> None:
    for statements in (_ORGANISATION, _PEOPLE, _AUDIT):
        op.execute(statements)
