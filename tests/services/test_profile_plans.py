"""However full the tables, a profile reads what is its customer's and nothing else."""

import asyncio
from datetime import UTC, datetime

import psycopg
from sqlalchemy import select, text
from sqlmodel import col

from domain.access import Scope
from domain.canonical.keys import IdentityKey
from domain.customers.traces import Traces
from storage.customer_scope import customer_visible
from storage.engine import Database
from storage.identities import VALUE_CONTEXT, Identities, IdentityRow
from storage.key_scope import KeyScopes
from storage.orders import ShipmentRow
from storage.personal import POINTING, Person
from storage.profile import Place, Profiles, Subject
from storage.unit_of_work import UnitOfWork
from tests.services.test_profiles import _FILL, PHONE, SCOPES, SMALL, SOME_KINDS, _read_through, profiles

__all__ = ["profiles"]


async def test_a_full_table_is_never_read_through(database: Database, database_url: str) -> None:
    async with UnitOfWork(database) as work:
        for statement in filter(None, map(str.strip, _FILL.split(";"))):
            await work.session.execute(text(statement))
        value = database.keyring.encrypt(b"a-buyer", VALUE_CONTEXT)
        await work.session.execute(text("UPDATE identities SET value = :value"), {"value": value})
    # As their owner: for the application's role the statement does nothing but warn.
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("ANALYZE")
    async with UnitOfWork(database) as work:
        number, customer = (
            await work.session.execute(text("SELECT id, customer_id FROM identities OFFSET 700 LIMIT 1"))
        ).one()
    for scope, _ in SCOPES.values():
        subject = Subject([number, number + 1], [str(customer)], [f"r{number}"], scope)
        before = Place(datetime.now(UTC), "run", "x")
        async with UnitOfWork(database) as work:
            profiles, already = Profiles(work), await _read_through(work)
            await profiles.lines([row.id for row in await profiles.newest("order", subject, 20)])
            assert len(await profiles.timeline(subject, before, 50)) <= 50
            for kind in SOME_KINDS:
                await profiles.newest(kind, subject, 20)
            await profiles.newest_interactions(subject, 20)
            await profiles.totals(subject)
            await work.session.execute(select(customer_visible(customer, scope)))
            await KeyScopes(work).of_customer(customer, scope, 50)
            await profiles.customers_of_order(f"F{number}-1", scope, 50)
            await profiles.customers_named("张三", scope, 50)
            await Identities(work).find([IdentityKey("phone", "", PHONE)])
            # What a copy of their data and an erasure find parcels by.
            keys = [await work.session.get_one(IdentityRow, number)]
            mine = POINTING[ShipmentRow](Person(keys, [customer], Traces((), (), ())))
            assert len((await work.session.scalars(select(col(ShipmentRow.id)).where(mine))).all()) == 4
            assert {name for name, _ in await _read_through(work) - already} <= SMALL
    everything = Subject([number], [str(customer)], [f"r{number}"], Scope.everything())
    async with UnitOfWork(database) as work:
        began = asyncio.get_running_loop().time()
        for _ in range(20):
            assert await Profiles(work).timeline(everything, None, 50)
        assert (asyncio.get_running_loop().time() - began) / 20 < 0.1
