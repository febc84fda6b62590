"""Payees who were written down before their terms had days: nothing that is settled changes for them."""

from datetime import date
from importlib import import_module
from pkgutil import iter_modules

from sqlalchemy import text

import storage.migrations.versions as versions
from domain.settlement.payee_terms import PayeeTerms
from storage.engine import Database
from storage.payee_terms import PayeeTermBook
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.stores import DECEMBER, FEE, NOVEMBER, OCTOBER, Stores, days

_NOW = "'2026-12-10T04:00:00Z'::timestamptz"


async def test_payees_of_old_were_what_they_were_settled_as(database: Database, clock: SteppedClock) -> None:
    stores = Stores(database, clock)
    await stores.open()
    stores.on(OCTOBER)
    await stores.join("P1", "promoter")
    await stores.join("S1", "store")
    await stores.join("D1", "promoter", cycle="day")
    for number, day in enumerate(days(NOVEMBER, 3)):
        await stores.sell(f"D{number}", "D1", day)
        await stores.books.closed(day, "day")
    await stores.sell("E1", "P1", date(2026, 11, 10))
    stores.on(date(2026, 11, 20))
    await stores.sell("E2", "P3", date(2026, 11, 5))
    stores.on(DECEMBER)
    await stores.books.closed(NOVEMBER, "month")
    before = await stores.books.payable()
    # What happened since, as it stood in the rows alone.
    stores.on(date(2026, 12, 3))
    await stores.join("P3", "promoter")
    await stores.join("S2", "store")
    await stores.join("X1", "store", active=False)
    await stores.settle()
    async with UnitOfWork(database) as work:
        for change in (
            "DELETE FROM payee_terms",
            "UPDATE payees SET role = 'city' WHERE code = 'P1'",
            "UPDATE payees SET active = false WHERE code = 'S1'",
            "UPDATE payees SET cycle = 'month' WHERE code = 'D1'",
            _filling(),
        ):
            await work.session.execute(text(change))
        codes = await Payees(work).codes(range(1, 20))
        found = {codes[payee]: terms for payee, terms in (await PayeeTermBook(work).of(codes)).items()}
    third = date(2026, 12, 3)
    assert found == {
        "P1": [PayeeTerms(OCTOBER, "promoter"), PayeeTerms(DECEMBER, "city")],
        "S1": [PayeeTerms(OCTOBER, "store"), PayeeTerms(DECEMBER, "store", None, active=False)],
        "D1": [PayeeTerms(OCTOBER, "promoter", "day"), PayeeTerms(DECEMBER, "promoter", "month")],
        "P3": [PayeeTerms(date(2026, 11, 5), "promoter")],
        "S2": [PayeeTerms(third, "store")],
        "X1": [PayeeTerms(third, "store", None, active=False)],
    }
    assert before == {"P1": 1_500, "S1": FEE, "D1": 3 * 1_500}
    # Both closed months and days are computed again, and only the refunds and P3's late sale are booked.
    for order in ("E1", "D0"):
        await stores.refund(order, 100)
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 1_495, "S1": FEE, "D1": 3 * 1_500 - 5, "P3": 1_500, "S2": FEE}


def _filling() -> str:
    """The statement of the revision that fills the table, for a day of the test's."""
    (name,) = (each.name for each in iter_modules(versions.__path__) if each.name.endswith("_payee_terms"))
    statements = import_module(f"{versions.__name__}.{name}")._STATEMENTS.split(";\n\n")
    (found,) = (each for each in statements if "INSERT INTO payee_terms" in each)
    return str(found).replace("now()", _NOW)
