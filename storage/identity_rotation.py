"""Digest every identity under the newest key, while identities are found and stored as ever."""

from sqlalchemy import bindparam, select, update
from sqlmodel import col

from storage.engine import Database
from storage.identities import IdentityRow
from storage.identity_digests import IdentityDigests, digest_of
from storage.unit_of_work import UnitOfWork

_BATCH = 500


async def rotate_digests(database: Database) -> int:
    """Bring all digests under the keyring's first key, in short transactions; how many changed.

    Can be interrupted and run again. Once it has ended, no digest needs an old key.

    :raises ConfigurationProblem: a value's or a digest's key is not in the keyring.
    """
    async with UnitOfWork(database) as work:
        await IdentityDigests(work).rotate()
    async with UnitOfWork(database) as work:
        if not await IdentityDigests(work).is_rotating():
            return 0
    changed, last = 0, 0
    while batch := await _digest_anew(database, last):
        last, count = batch
        changed += count
    async with UnitOfWork(database) as work:
        await IdentityDigests(work).finish()
    return changed


async def _digest_anew(database: Database, after: int) -> tuple[int, int] | None:
    """The next identities after an id: the last id and how many changed; None at the end."""
    row, keyring = IdentityRow, database.keyring
    columns = (col(row.id), col(row.kind), col(row.scope), col(row.value), col(row.digest))
    async with UnitOfWork(database) as work:
        statement = select(*columns).where(col(row.id) > after).order_by(col(row.id)).limit(_BATCH).with_for_update()
        found = (await work.session.execute(statement)).all()
        wanted = {each.id: digest_of(keyring, keyring.current_id, each.kind, each.scope, each.value) for each in found}
        changes = [
            {"number": each.id, "wanted": wanted[each.id]} for each in found if wanted[each.id] != bytes(each.digest)
        ]
        if changes:
            connection = await work.session.connection()
            anew = update(IdentityRow).where(col(row.id) == bindparam("number")).values(digest=bindparam("wanted"))
            await connection.execute(anew, changes)
    return (found[-1].id, len(changes)) if found else None
