"""Bring a database to the newest schema.

One linear chain of hand-written revisions in `versions/NNNN_name.py`; `revision` is the number, `down_revision` the one
before. A revision only goes forward: a wrong one is followed by a right one. Each is committed by itself, so that what
one locks is free again before the next begins, and a chain that broke off goes on from there. After the last revision
the grants of the application role are set anew, so that a new table needs no line for them.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import errors as pg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from domain.problems import ConfigurationProblem, ConflictProblem, Text, UnavailableProblem
from storage.engine import APPLICATION_ROLE, sqlalchemy_url

OLDEST_SERVER = 18
# Any number that no other program on this database uses; it stands for “a migration is under way”.
_LOCK = 0x54414E44
_LOCK_WAIT_S = 120
_CONNECT_TIMEOUT_S = 10

# Written out for `storage.engine.APPLICATION_ROLE`; roles belong to the whole server, so another database may have it.
_GRANTS = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tandem_app') THEN
        CREATE ROLE tandem_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, 'tandem_app', 'SET') THEN
        EXECUTE format('GRANT tandem_app TO %I', current_user);
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO tandem_app;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM tandem_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tandem_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO tandem_app;
REVOKE UPDATE, DELETE ON audit_entries, audit_seals, sales, transfers, ledger_accounts FROM tandem_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version, carried_balances FROM tandem_app;
"""


def upgrade(database_url: str) -> None:
    """Bring the database at a libpq address to the newest schema; does nothing when it is there already.

    Safe to call from several processes at once: the second one waits for the first. When a revision fails, those before
    it stay, and the next call begins with it.

    :raises UnavailableProblem: the server cannot be reached.
    :raises ConfigurationProblem: wrong address, a server older than 18, or a login that may not do this.
    :raises ConflictProblem: another migration took too long, or the database belongs to a newer Tandem.
    """
    with _connected(database_url) as engine, _only_one_at_a_time(engine):
        with engine.connect() as connection:
            _refuse_newer_schema(connection)
        # Alembic leaves it to whoever began a transaction to commit, so the connection comes to it without one.
        with engine.connect() as connection:
            configuration = _configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
        with engine.begin() as connection:
            connection.execute(text(_GRANTS))


def pending(database_url: str) -> tuple[str, ...]:
    """The names of the revisions that `upgrade` would run, oldest first; raises as `upgrade` does."""
    with _connected(database_url) as engine, engine.connect() as connection:
        _refuse_newer_schema(connection)
        current = MigrationContext.configure(connection).get_current_revision()
    revisions = _scripts().iterate_revisions("head", current or "base")
    return tuple(Path(revision.path).stem for revision in revisions)[::-1]


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())


def _refuse_newer_schema(connection: Connection) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {script.revision for script in _scripts().walk_revisions()}:
        raise ConflictProblem(
            Text(
                f"数据库结构版本 {current} 比本程序新。请升级 Tandem，或恢复旧版本的备份。",
                f"The database has schema {current}, which this Tandem does not know. Upgrade Tandem, or restore a "
                "backup of the older schema.",
            )
        )


@contextmanager
def _connected(database_url: str) -> Iterator[Engine]:
    engine = create_engine(
        sqlalchemy_url(database_url),
        poolclass=NullPool,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "tandem migrate"},
    )
    try:
        with engine.connect() as connection:
            _refuse_old_server(connection)
        yield engine
    except DBAPIError as error:
        raise _problem_of(error) from error
    finally:
        engine.dispose()


def _refuse_old_server(connection: Connection) -> None:
    version = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000
    if version < OLDEST_SERVER:
        raise ConfigurationProblem(
            Text(
                f"需要 PostgreSQL {OLDEST_SERVER} 或更高版本，该服务器是 {version}",
                f"PostgreSQL {OLDEST_SERVER} or newer is needed; this server is {version}",
            )
        )


@contextmanager
def _only_one_at_a_time(engine: Engine) -> Iterator[None]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = '{_LOCK_WAIT_S}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        yield


def _problem_of(error: DBAPIError) -> Exception:
    """What a person can do about an error of the server."""
    reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    if isinstance(error.orig, pg.LockNotAvailable):
        return ConflictProblem(
            Text(
                f"另一个迁移在 {_LOCK_WAIT_S} 秒内没有完成，请稍后重试",
                f"Another migration did not finish within {_LOCK_WAIT_S} s; try again later",
            )
        )
    if isinstance(error.orig, pg.InsufficientPrivilege):
        return ConfigurationProblem(
            Text(
                f"数据库登录用户权限不足（{reason}）。请用库的所有者迁移，并授予 CREATEROLE；"
                f"或由数据库管理员事先执行：CREATE ROLE {APPLICATION_ROLE}; GRANT {APPLICATION_ROLE} TO 该用户;",
                f"The database login may not do this ({reason}). Migrate as the owner of the database, with "
                "CREATEROLE; or let the database's administrator run first: "
                f"CREATE ROLE {APPLICATION_ROLE}; GRANT {APPLICATION_ROLE} TO the_login;",
            )
        )
    if isinstance(error.orig, (pg.InvalidCatalogName, pg.InvalidPassword, pg.InvalidAuthorizationSpecification)):
        return ConfigurationProblem(
            Text(
                f"无法登录数据库：{reason}（请检查 TANDEM_DATABASE_URL）",
                f"Cannot log in: {reason} (see TANDEM_DATABASE_URL)",
            )
        )
    if error.connection_invalidated or type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout"):
        return UnavailableProblem(
            Text(f"无法连接数据库：{reason}", f"The database cannot be reached: {reason}"),
        )
    logging.getLogger(__name__).error("migration failed: %s", reason)
    return error


__all__ = ["OLDEST_SERVER", "pending", "upgrade"]
