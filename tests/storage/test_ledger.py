"""The ledger balances whatever is booked, never changes, and leaves closed periods alone."""

import asyncio
from collections import defaultdict
from datetime import date
from random import Random
from uuid import UUID, uuid5

import psycopg
import pytest
from sqlalchemy.exc import SQLAlchemyError

from domain.problems import ConflictProblem, ProblemError
from storage.engine import Database
from storage.ledger import KindSum, Ledger, LedgerAccount, Transfer
from storage.payout_balances import Owed, PayoutBalances
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork

HERE = UUID(int=7)
COST = LedgerAccount("commission")


def payable(payee: int) -> LedgerAccount:
    return LedgerAccount("payable", payee)


def earned(period: int, payee: int, amount: int, *, of: str = "sales", currency: str = "CNY") -> Transfer:
    key = uuid5(HERE, f"{period}/{payee}/{of}")
    return Transfer(key, period, COST, payable(payee), amount, currency, "earned", f"run/1/{of}")


async def a_period(database: Database, start: date = date(2026, 5, 1), end: date = date(2026, 6, 1)) -> int:
    async with UnitOfWork(database) as work:
        return (await SettlementPeriods(work).open("agents", "month", start, end, "CNY")).id


async def test_whatever_is_booked_balances_by_currency_and_by_payee(database: Database) -> None:
    period, pick = await a_period(database), Random(3)
    wanted: dict[tuple[int, str], int] = defaultdict(int)
    transfers = []
    for number in range(500):
        payee, currency, amount = pick.randrange(1, 9), pick.choice(("CNY", "USD")), pick.randrange(1, 10**9)
        transfers.append(earned(period, payee, amount, of=str(number), currency=currency))
        wanted[payee, currency] += amount
    async with UnitOfWork(database) as work:
        assert await Ledger(work).book(transfers) == 500
        assert await Ledger(work).book(pick.sample(transfers, 200)) == 0
        balances = await Ledger(work).balances(periods=[period])
        of_one = await Ledger(work).balances(payees=[3])
        sums = await Ledger(work).sums()
    by_kind = defaultdict(list)
    for each in balances:
        by_kind[each.kind, each.currency].append(each)
    assert sums == [
        KindSum(*name, len(some), sum(each.debit_minor for each in some), sum(each.credit_minor for each in some))
        for name, some in sorted(by_kind.items())
    ]
    for currency in ("CNY", "USD"):
        of_it = [each for each in balances if each.currency == currency]
        assert sum(each.debit_minor for each in of_it) == sum(each.credit_minor for each in of_it) > 0
    found = {(each.payee, each.currency): each.balance_minor for each in balances if each.kind == "payable"}
    assert found == wanted
    assert {each.payee for each in of_one} == {3}


async def test_something_else_under_a_key_is_refused_and_nothing_is_booked(database: Database) -> None:
    period = await a_period(database)
    async with UnitOfWork(database) as work:
        await Ledger(work).book([earned(period, 1, 100)])
    with pytest.raises(ConflictProblem, match="stays"):
        async with UnitOfWork(database) as work:
            await Ledger(work).book([earned(period, 1, 101), earned(period, 2, 5)])
    async with UnitOfWork(database) as work:
        assert [each.balance_minor for each in await Ledger(work).balances()] == [-100, 100]


async def test_the_same_booked_at_once_by_many_is_booked_once(database: Database) -> None:
    period = await a_period(database)
    transfers = [earned(period, payee, payee) for payee in range(1, 60)]

    async def book(seed: int) -> int:
        mixed = Random(seed).sample(transfers, len(transfers))
        async with UnitOfWork(database) as work:
            return await Ledger(work).book(mixed)

    booked = await asyncio.gather(*(book(seed) for seed in range(6)), return_exceptions=True)
    for each in booked:
        assert isinstance(each, int | ProblemError), each
    async with UnitOfWork(database) as work:
        await Ledger(work).book(transfers)
        held = {each.payee: each.balance_minor for each in await Ledger(work).balances() if each.payee}
    assert held == {payee: payee for payee in range(1, 60)}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("amount_minor = 0", "ck_transfers_amount"),
        ("amount_minor = -5", "ck_transfers_amount"),
        ("debit = 1, credit = 1", "ck_transfers_two_accounts"),
        ("currency = 'USD'", "fk_transfers_"),
    ],
)
async def test_what_does_not_balance_cannot_be_written(
    database: Database, database_url: str, change: str, why: str
) -> None:
    period = await a_period(database)
    async with UnitOfWork(database) as work:
        await Ledger(work).book([earned(period, 1, 100)])
    columns = {"amount_minor": "5", "debit": "1", "credit": "2", "currency": "'CNY'"}
    columns |= dict(part.split(" = ") for part in change.split(", "))
    statement = (
        f"INSERT INTO transfers (key, booked_at, period, kind, source, {', '.join(columns)}) "
        f"VALUES (uuidv7(), now(), {period}, 'x', 'x', {', '.join(columns.values())})"
    )
    with pytest.raises(psycopg.errors.IntegrityError, match=why):
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute(statement.encode())


async def test_a_closed_period_is_closed_for_everybody(database: Database, database_url: str) -> None:
    period = await a_period(database)
    async with UnitOfWork(database) as work:
        await Ledger(work).book([earned(period, 1, 100)])
        await SettlementPeriods(work).close(period, "qian")
    with pytest.raises(ConflictProblem):
        async with UnitOfWork(database) as work:
            await SettlementPeriods(work).close(period, "qian")
    with pytest.raises(SQLAlchemyError, match="is closed"):
        async with UnitOfWork(database) as work:
            await Ledger(work).book([earned(period, 2, 100)])
    for statement in (
        "UPDATE settlement_periods SET closed_at = NULL",
        "DELETE FROM settlement_periods",
        "UPDATE transfers SET amount_minor = 1",
        "DELETE FROM transfers",
        "TRUNCATE transfers",
        "UPDATE ledger_accounts SET currency = 'USD'",
    ):
        with pytest.raises(psycopg.Error, match=r"only ever added to|closed once|foreign key"):
            async with await psycopg.AsyncConnection.connect(database_url) as connection:
                await connection.execute(statement.encode())
    async with UnitOfWork(database) as work:
        assert [each.start for each in await SettlementPeriods(work).closed_of("agents")] == [date(2026, 5, 1)]


async def test_closing_waits_for_what_is_being_booked(database: Database) -> None:
    period, booked, may_end = await a_period(database), asyncio.Event(), asyncio.Event()

    async def book() -> None:
        async with UnitOfWork(database) as work:
            await Ledger(work).book([earned(period, 1, 100)])
            booked.set()
            await may_end.wait()

    async def close() -> None:
        async with UnitOfWork(database) as work:
            await SettlementPeriods(work).close(period, "qian")

    booking = asyncio.create_task(book())
    await booked.wait()
    closing = asyncio.create_task(close())
    await asyncio.sleep(0.2)
    assert not closing.done(), "the sum that finance closes on would change after it was seen"
    may_end.set()
    await asyncio.gather(booking, closing)
    async with UnitOfWork(database) as work:
        owed = await PayoutBalances(work).owed("agents", "CNY", 0, 1)
    assert owed == [Owed(1, 100, [], 0)], "what was booked meanwhile is carried with it"


async def test_a_period_has_one_end(database: Database) -> None:
    assert await a_period(database) == await a_period(database)
    with pytest.raises(ConflictProblem, match="another end"):
        await a_period(database, end=date(2026, 5, 16))
