"""Locks by name that end with the unit of work."""

from collections.abc import Collection

from sqlalchemy import text

from storage.unit_of_work import UnitOfWork


async def lock(work: UnitOfWork, name: str) -> None:
    """Wait until no other unit of work holds this name, then hold it until this one ends.

    Names are hashed to 64 bits; two that collide only wait for each other.
    """
    await work.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


async def lock_all(work: UnitOfWork, names: Collection[str]) -> None:
    """As `lock`, for many names in one order, so that nobody waits in a circle."""
    statement = text(
        "SELECT pg_advisory_xact_lock(number) FROM ("
        "SELECT DISTINCT hashtextextended(name, 0) AS number "
        "FROM unnest(CAST(:names AS text[])) AS t(name) ORDER BY 1) n"
    )
    if names:
        await work.session.execute(statement, {"names": list(names)})


async def lock_shared(work: UnitOfWork, name: str) -> None:
    """As `lock`, but together with others that share it; only who holds the name alone is kept out."""
    await work.session.execute(text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:name, 0))"), {"name": name})
