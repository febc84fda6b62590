"""The ends of payouts in the ledger: once, in the open period, never two ways."""

from datetime import date
from uuid import uuid4

import pytest

from domain.problems import ConflictProblem, NotFoundProblem
from services.payout_booking import booking_period, settle_paid, settle_returned
from storage.ledger import Ledger
from storage.payees import Payees
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.services.test_calculations import Office, office
from tests.services.test_selling import NOW

__all__ = ["office"]
TODAY = date(2026, 5, 3)


async def a_payout(office: Office, code: str = "P1", amount: int = 1_000) -> str:
    """One that is under way; the number."""
    async with UnitOfWork(office.database) as work:
        period = await booking_period(work, "promoters", TODAY)
        batch = PayoutBatchRow(
            id=uuid4(),
            scheme="promoters",
            currency="CNY",
            period=period.id,
            day=TODAY,
            state="paying",
            terms={},
            asked_by="qian",
            asked_at=work.now,
        )
        await PayoutBatches(work).add(batch)
        payee = (await Payees(work).rows([code]))[code].id
        row = PayoutRow(
            batch=batch.id,
            part=0,
            number="P" + uuid4().hex[:31],
            payee=payee,
            rail="bank",
            amount_minor=amount,
            offset_minor=0,
            currency="CNY",
            state="submitting",
            pay_on=TODAY,
            next_at=work.now,
            created_at=work.now,
            changed_at=work.now,
        )
        await Payouts(work).insert(row)
        return row.number


async def end(office: Office, number: str, *, paid: bool) -> None:
    async with UnitOfWork(office.database) as work:
        row = await Payouts(work).find(number, for_update=True)
        assert row is not None
        await (settle_paid(work, row, "bank") if paid else settle_returned(work, row))


async def balances(office: Office) -> dict[str, int]:
    async with UnitOfWork(office.database) as work:
        return {each.kind: each.balance_minor for each in await Ledger(work).balances()}


async def closed(office: Office, period: int) -> None:
    async with UnitOfWork(office.database) as work:
        await SettlementPeriods(work).close(period, "wu")


async def current(office: Office, scheme: str = "promoters") -> tuple[int, date]:
    async with UnitOfWork(office.database) as work:
        found = await booking_period(work, scheme, TODAY)
        return found.id, found.start


async def test_the_period_of_the_day_or_the_next_that_is_open(office: Office) -> None:
    may, start = await current(office)
    assert (start, (await current(office))[0]) == (date(2026, 5, 1), may)
    await closed(office, may)
    june, start = await current(office)
    assert start == date(2026, 6, 1)
    await closed(office, june)
    assert (await current(office))[1] == date(2026, 7, 1)


async def test_a_scheme_that_nobody_knows(office: Office) -> None:
    with pytest.raises(NotFoundProblem):
        await current(office, "others")


async def test_a_scheme_without_a_published_version_goes_on_as_it_was(office: Office) -> None:
    async with UnitOfWork(office.database) as work:
        await SettlementPeriods(work).open("old", "week", date(2026, 4, 6), date(2026, 4, 13), "CNY")
    assert (await current(office, "old"))[1] == date(2026, 4, 27)


@pytest.mark.parametrize(("paid", "account"), [(True, "bank"), (False, "payable")])
async def test_an_end_is_booked_once_and_stays_in_its_period(office: Office, paid: bool, account: str) -> None:
    office.clock.now = NOW
    number = await a_payout(office)
    await end(office, number, paid=paid)
    assert await balances(office) == {"paying": -1_000, account: 1_000}
    await end(office, number, paid=paid)
    await closed(office, (await current(office))[0])
    office.clock.advance(days=40)
    await end(office, number, paid=paid)
    assert await balances(office) == {"paying": -1_000, account: 1_000}


@pytest.mark.parametrize("paid", [True, False])
async def test_two_ends_that_contradict_are_refused_by_the_ledger(office: Office, paid: bool) -> None:
    number = await a_payout(office)
    await end(office, number, paid=paid)
    before = await balances(office)
    with pytest.raises(ConflictProblem):
        await end(office, number, paid=not paid)
    assert await balances(office) == before
