"""Balances say the same however many periods are closed, and cost no more after many of them."""

from collections import defaultdict
from datetime import date, timedelta
from importlib import import_module
from random import Random
from uuid import uuid5

import psycopg
import pytest

from storage.engine import Database
from storage.ledger import Ledger, LedgerAccount, Transfer
from storage.payout_balances import Owed, PayoutBalances, TakenBack
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.storage.test_ledger import COST, HERE, a_period, earned, payable

FIRST = date(2026, 1, 5)
PAYEES = range(1, 25)
PARTS = 3
_CARRIED = b"SELECT * FROM carried_balances ORDER BY scheme, account"


class Books:
    """Transfers of several weeks at random, and what they come to by payee, added up here."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.pick = Random(seed)
        self.transfers: list[tuple[str, date, Transfer]] = []
        self.periods: list[int] = []

    async def week(self, scheme: str, number: int) -> None:
        """Book some of everything that moves what payees may have or owe."""
        start = FIRST + timedelta(weeks=number)
        async with UnitOfWork(self.database) as work:
            end = start + timedelta(weeks=1)
            period = (await SettlementPeriods(work).open(scheme, "week", start, end, "CNY")).id
            some = [self._one(period, self.pick.choice(PAYEES)) for _ in range(60)]
            await Ledger(work).book(some)
        self.periods.append(period)
        self.transfers += [(scheme, end - timedelta(days=1), each) for each in some]

    def _one(self, period: int, payee: int) -> Transfer:
        mine, owing = payable(payee), LedgerAccount("receivable", payee)
        kind, debit, credit = self.pick.choice(
            [
                ("commission", COST, mine),
                ("commission", mine, COST),
                ("clawback", owing, COST),
                ("offset", mine, owing),
                ("payout-reserved", mine, LedgerAccount("paying", payee)),
                ("release", LedgerAccount("held", payee), mine),
            ]
        )
        key = uuid5(HERE, str(self.pick.random()))
        return Transfer(key, period, debit, credit, self.pick.randrange(1, 5_000), "CNY", kind, f"run/{period}")

    def owed(self, scheme: str) -> dict[int, Owed]:
        """What each payee has and owes, without debts that are repaid."""
        have, repaid = defaultdict[int, int](int), defaultdict[int, int](int)
        debts = defaultdict[int, dict[date, int]](dict)
        for of, day, each in self.transfers:
            if of != scheme:
                continue
            for account, sign in ((each.credit, 1), (each.debit, -1)):
                match account.kind, sign:
                    case "payable", _:
                        have[account.payee or 0] += sign * each.amount_minor
                    case "receivable", 1:
                        repaid[account.payee or 0] += each.amount_minor
                    case "receivable", _:
                        of_day = debts[account.payee or 0]
                        of_day[day] = of_day.get(day, 0) + each.amount_minor
        found = {}
        for payee in PAYEES:
            owing = debts[payee] if sum(debts[payee].values()) > repaid[payee] else {}
            if have[payee] or owing:
                taken = [TakenBack(amount, "week", day) for day, amount in sorted(owing.items())]
                found[payee] = Owed(payee, have[payee], taken, repaid[payee])
        return found

    async def told(self, scheme: str, payees: list[int] | None = None) -> dict[int, Owed]:
        """What the database says of all parts."""
        found = {}
        async with UnitOfWork(self.database) as work:
            for part in range(PARTS):
                for each in await PayoutBalances(work).owed(scheme, "CNY", part, PARTS, payees):
                    assert each.payee % PARTS == part
                    found[each.payee] = each
        return found

    async def close(self, period: int) -> None:
        """Close it."""
        async with UnitOfWork(self.database) as work:
            await SettlementPeriods(work).close(period, "qian")


@pytest.mark.parametrize("seed", range(4))
async def test_closing_changes_no_balance(database: Database, seed: int) -> None:
    books = Books(database, seed)
    for number in range(4):
        for scheme in ("agents", "stores"):
            await books.week(scheme, number)
    async with UnitOfWork(database) as work:
        sums = await Ledger(work).sums()
    for period in [None, *books.pick.sample(books.periods, len(books.periods))]:
        if period is not None:
            await books.close(period)
        for scheme in ("agents", "stores"):
            assert await books.told(scheme) == books.owed(scheme) != {}
        async with UnitOfWork(database) as work:
            assert await Ledger(work).sums() == sums, "the trial balance is of all periods"
    some = {payee: each for payee, each in books.owed("agents").items() if payee in (3, 4)}
    assert await books.told("agents", [3, 4]) == some


async def test_periods_that_were_closed_before_the_upgrade_are_carried_by_it(
    database: Database, database_url: str
) -> None:
    books = Books(database, 9)
    for number in range(3):
        await books.week("agents", number)
    for period in books.periods[:2]:
        await books.close(period)
    revision = import_module("storage.migrations.versions.0076_carried_balances")
    (fill,) = (
        each for each in revision._STATEMENTS.split(";\n\n") if each.startswith("INSERT INTO carried_balances (")
    )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        before = await (await connection.execute(_CARRIED)).fetchall()
        await connection.execute(b"DELETE FROM carried_balances")
        await connection.execute(fill.encode())
        assert await (await connection.execute(_CARRIED)).fetchall() == before != []


async def test_nobody_but_the_database_carries_balances(database: Database, database_url: str) -> None:
    period = await a_period(database)
    async with UnitOfWork(database) as work:
        await Ledger(work).book([earned(period, 1, 100)])
        await SettlementPeriods(work).close(period, "qian")
    for statement in (
        "UPDATE carried_balances SET credit_minor = 0",
        "DELETE FROM carried_balances",
        "INSERT INTO carried_balances SELECT 'other', account, debit_minor, credit_minor FROM carried_balances",
    ):
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute(b"SET ROLE tandem_app")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())
