"""Rewrite encrypted columns with the newest key, so that an old key can be taken out of the settings.

Digests by which encrypted identities and names are found move to the newest key as well. Audit entries are not
rewritten: they are never changed at all.
"""

from typing import Any

from sqlalchemy import Column, LargeBinary, Table, bindparam, func, select, type_coerce, update

from storage.encryption import Keyring, encrypted_type
from storage.engine import Database
from storage.identity_rotation import rotate_digests
from storage.nickname_digests import digest_anew
from storage.tables import load_tables
from storage.unit_of_work import UnitOfWork

_BATCH = 500


async def rekey(database: Database) -> dict[str, int]:
    """Rewrite every value under another key, in short transactions; how many values by `table.column`.

    Can be interrupted and run again; values written meanwhile carry the newest key already.

    :raises ConfigurationProblem: a value's key is not in the keyring.
    :raises RuntimeProblem: a value was altered; nothing of its batch is rewritten.
    """
    rewritten: dict[str, int] = {}
    if count := await rotate_digests(database):
        rewritten["identities.digest"] = count
    rewritten |= await digest_anew(database)
    for table in load_tables().sorted_tables:
        for column in table.columns:
            if kind := encrypted_type(column.type):
                while count := await _rewrite_batch(database, table, column, kind.context):
                    rewritten[kind.context] = rewritten.get(kind.context, 0) + count
    return rewritten


async def _rewrite_batch(database: Database, table: Table, column: Column[Any], context: str) -> int:
    keyring = database.keyring
    header = Keyring.header(keyring.current_id)
    stored = type_coerce(column, LargeBinary)
    keys = list(table.primary_key.columns)
    async with UnitOfWork(database) as work:
        found = await work.session.execute(
            select(stored.label("stored"), *keys)
            .where(column.is_not(None), func.substring(stored, 1, len(header)) != header)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = [
            {"value": keyring.encrypt(keyring.decrypt(bytes(row[0]), context), context)}
            | {f"key_{place}": key for place, key in enumerate(row[1:])}
            for row in found
        ]
        if rows:
            statement = update(table).values({column: bindparam("value", type_=LargeBinary)})
            for place, key in enumerate(keys):
                statement = statement.where(key == bindparam(f"key_{place}"))
            connection = await work.session.connection()
            await connection.execute(statement, rows)
    return len(rows)
