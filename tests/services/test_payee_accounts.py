"""A payee's accounts follow each other to the cent, however their days are cut, and end where the ledger does."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Literal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.problems import NotFoundProblem
from domain.settlement.payees import NewPayee, NewPayoutDetails, UplineChange
from domain.settlement.periods import period_of
from domain.settlement.scheme import CYCLES, Cycle
from services.payee_accounts import ExplainedEntry, PayeeAccount, PayeeAccounts
from services.payees import PayeeRegister
from storage.encryption import Keyring
from storage.engine import Database
from storage.ledger import AccountKind, Ledger, LedgerAccount, Transfer
from storage.paging import PageRequest
from storage.payee_entries import AccountDays, PayeeEntries
from storage.payees import Payees
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.cashier import Cashier
from tests.services.merchants import connect_merchant
from tests.services.test_calculations import MAY, Office, office
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_settlement_runs import JUNE, QIAN, WU

__all__ = ["office"]
THIRD = date(2026, 5, 3)


@pytest.fixture
async def cashier(office: Office) -> Cashier:
    """P1 is settled daily and has nobody above, the others monthly."""
    await connect_merchant(office.database)
    details = NewPayoutDetails(openid="o-1", real_name="名")
    daily = NewPayee(code="P1", name="P1", role="promoter", cycle="day", since=MAY, details=details)
    await office.register.put(QIAN, [daily, NewPayee(code="P2", name="P2", role="promoter", details=details)])
    await office.register.set_uplines(QIAN, [UplineChange(code="P1", since=MAY)])
    return Cashier(office)


async def settled(cashier: Cashier, day: date, cycle: Cycle) -> None:
    view = await cashier.runs.ask(QIAN, "promoters", day, cycle)
    for each in view.calculations:
        await cashier.office.steps.run(each.id)
    await cashier.runs.computed(view.run.id)
    await cashier.runs.decide(WU, view.run.id, approve=True)
    await cashier.book(view.run.id)


async def test_a_daily_payee_s_days_know_nothing_of_what_is_paid_at_the_end_of_the_month(
    office: Office, cashier: Cashier
) -> None:
    at = NOW + timedelta(days=2)
    await office.told(an_order(channel="P1"), an_order("E2", channel="P1", paid_at=at, created_at=at), at=at)
    for day in (THIRD, THIRD + timedelta(days=2)):
        await settled(cashier, day, "day")
    await settled(cashier, MAY, "month")
    office.clock.now = datetime(2026, 5, 28, 2, tzinfo=UTC)
    await cashier.paid()
    accounts = PayeeAccounts(office.database)

    async def of(day: int, cycle: Cycle | None = None) -> PayeeAccount:
        return await accounts.explain(QIAN, "promoters", date(2026, 5, day), "P1", cycle)

    fifth = await of(5)
    assert (fifth.cycle, fifth.start, fifth.end) == ("day", date(2026, 5, 5), date(2026, 5, 6))
    assert (fifth.opening_minor, fifth.closing_minor) == (1_537, 3_074)
    assert [each.entry.kind for each in fifth.entries] == ["commission"]
    paid = await of(28)
    assert (paid.opening_minor, paid.closing_minor) == (3_074, 0)
    assert [each.entry.kind for each in paid.entries] == ["payout-reserved", "payout-paid"]
    between = await of(20)
    assert (between.opening_minor, between.entries, between.closing_minor) == (3_074, [], 3_074), "nothing was settled"
    month = await of(5, "month")
    assert (month.start, month.opening_minor, month.closing_minor, month.count) == (MAY, 0, 0, 4)
    (found,) = await accounts.of_day(QIAN, date(2026, 5, 5), "P1")
    assert found == fifth
    other = await accounts.explain(QIAN, "promoters", MAY, "P2")
    assert other.cycle == "month", "the scheme's own"


async def test_the_sums_are_of_all_entries_whichever_page_is_shown(office: Office, cashier: Cashier) -> None:
    for number in range(1, 8):
        await office.told(an_order(f"E{number}", channel="P2"))
        await settled(cashier, MAY, "month")
    accounts = PayeeAccounts(office.database)
    whole = await accounts.explain(QIAN, "promoters", MAY, "P2")
    assert whole.count == len(whole.entries) == 7
    read: list[ExplainedEntry] = []
    cursor: str | None = None
    while True:
        page = await accounts.explain(QIAN, "promoters", MAY, "P2", None, PageRequest(3, cursor))
        assert (page.opening_minor, page.closing_minor, page.count) == (0, whole.closing_minor, 7)
        read += page.entries
        cursor = page.next_cursor
        if cursor is None:
            break
    assert read == whole.entries
    assert sum(each.entry.net_minor for each in read) == whole.closing_minor


async def test_a_component_that_the_next_version_has_no_more_is_still_told_by_its_name(
    office: Office, cashier: Cashier
) -> None:
    await office.told(an_order(channel="P2"))
    await settled(cashier, MAY, "month")
    await office.scheme(text=WITHOUT_DEALS)
    await settled(cashier, MAY, "month")
    account = await PayeeAccounts(office.database).explain(QIAN, "promoters", MAY, "P2")
    (change,) = account.entries[-1].changes
    assert (change.earning.title, change.before_minor, change.change_minor) == ("单", 37, -37)
    assert "2.0.0" in change.earning.rule.zh
    assert "0.37" in change.earning.rule.zh
    assert [each.counted for each in change.earning.lines] == ["1"]


WITHOUT_DEALS = """
scheme:
  name: promoters
  version: 2.0.0
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns:
    - name: sales
      title: 推广
      of: kept
      roles: [promoter]
      tiers: {{ graduated: [{{ from: '0.00', rate: '5%' }}, {{ from: '1000.00', rate: '8.25%' }}] }}
"""


async def test_a_version_that_is_another_one_tells_all_lines_and_not_those_since(
    office: Office, cashier: Cashier
) -> None:
    await office.told(an_order(channel="P2"))
    await settled(cashier, MAY, "month")
    await office.told(a_refund(10_000, 1, "2"))
    await settled(cashier, MAY, "month")
    await office.scheme("3.0.0", "6%")
    await settled(cashier, MAY, "month")
    entries = (await PayeeAccounts(office.database).explain(QIAN, "promoters", MAY, "P2")).entries
    told = [
        (each.changes[0].earning.is_difference, [line.counted for line in each.changes[0].earning.lines])
        for each in entries
    ]
    assert told == [(False, ["200.00", "100.00"]), (True, ["-100.00"]), (False, ["200.00"])]


Move = tuple[
    Literal["earned", "held", "taken", "release", "offset", "reserved", "paid", "returned"], int, Cycle, int, int
]
_FROM, _DAYS = date(2026, 4, 27), 12
_NUMBERS = count(1)
_MOVES: st.SearchStrategy[list[Move]] = st.lists(
    st.tuples(
        st.sampled_from(["earned", "held", "taken", "release", "offset", "reserved", "paid", "returned"]),
        st.integers(0, _DAYS),
        st.sampled_from(CYCLES),
        st.integers(1, 100_000),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)
_ACCOUNTS: dict[str, tuple[str, AccountKind, AccountKind]] = {
    "earned": ("commission", "commission", "payable"),
    "held": ("adjustment", "commission", "held"),
    "taken": ("clawback", "receivable", "commission"),
    "release": ("release", "held", "payable"),
    "offset": ("offset", "payable", "receivable"),
    "reserved": ("payout-reserved", "payable", "paying"),
    "paid": ("payout-paid", "paying", "bank"),
    "returned": ("payout-returned", "paying", "payable"),
}
_NOBODY_S = ("commission", "bank")


@pytest.fixture(scope="module")
async def shared(module_database_url: str) -> AsyncIterator[Database]:
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}), pool_size=2, clock=SteppedClock())
    yield database
    await database.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=_MOVES, cycle=st.sampled_from(CYCLES))
async def test_every_closing_is_the_next_opening_and_the_last_is_what_the_ledger_holds(
    shared: Database, moves: list[Move], cycle: Cycle
) -> None:
    """Whatever is earned in periods of whatever cycle, and paid on whatever day, also in a later period's books."""
    number = next(_NUMBERS)
    scheme, code = f"scheme-{number}", f"X{number}"
    await PayeeRegister(shared).put(QIAN, [NewPayee(code=code, name="甲", role="promoter")])
    async with UnitOfWork(shared) as work:
        payee = (await Payees(work).rows([code]))[code].id
        await SettlementPeriods(work).open(scheme, "month", *period_of("month", _FROM), "CNY")
        for move in moves:
            await _booked(work, scheme, payee, move)
        first = period_of("month", _FROM)[0]
        last, seen, day = 0, [], period_of(cycle, first)[0]
        while day < _FROM + timedelta(days=_DAYS + 40):
            start, day = period_of(cycle, day)
            found = await PayeeEntries(work).page(AccountDays(payee, scheme, "CNY", start, day), PageRequest(200))
            entries = found.entries.items
            assert found.opening_minor == last
            assert found.closing_minor == last + sum(each.net_minor for each in entries)
            assert all(start <= each.day < day for each in entries)
            seen += [each.number for each in entries]
            last = found.closing_minor
        assert last == sum(each.balance_minor for each in await Ledger(work).balances(payees=[payee]))
        assert len(seen) == len(set(seen)) == len(moves), "each transfer is in one of them"
    told = await PayeeAccounts(shared).explain(QIAN, scheme, day, code, cycle)
    assert (told.opening_minor, told.closing_minor, told.count) == (last, last, 0)
    with pytest.raises(NotFoundProblem):
        await PayeeAccounts(shared).explain(QIAN, scheme, first - timedelta(days=62), code, cycle)


async def _booked(work: UnitOfWork, scheme: str, payee: int, move: Move) -> None:
    what, offset, cycle, amount, late = move
    kind, taken, given = _ACCOUNTS[what]
    day, earned = _FROM + timedelta(days=offset), what in ("earned", "held", "taken")
    # Payouts stand in the books of the scheme's own cycle, in a later period where that of their day is closed.
    start, end = period_of(cycle, day) if earned else period_of("month", day + timedelta(days=late))
    period = await SettlementPeriods(work).open(scheme, cycle if earned else "month", start, end, "CNY")
    ledger = Ledger(work)
    # Half past midnight in Shanghai is yesterday in UTC.
    ledger.now = datetime(day.year, day.month, day.day, 0, 30, tzinfo=UTC) - timedelta(hours=8)
    transfer = Transfer(
        key=uuid4(),
        period=period.id,
        debit=LedgerAccount(taken, None if taken in _NOBODY_S else payee),
        credit=LedgerAccount(given, None if given in _NOBODY_S else payee),
        amount_minor=amount,
        currency="CNY",
        kind=kind,
        source=f"run/{uuid4()}/{uuid4()}" if earned else f"payout/{uuid4()}",
    )
    assert await ledger.book([transfer]) == 1


async def test_a_payment_after_a_close_is_of_its_day_and_not_of_the_books_it_stands_in(
    office: Office, cashier: Cashier
) -> None:
    await office.told(an_order(channel="P2"))
    await settled(cashier, MAY, "month")
    await cashier.runs.close(WU, "promoters", MAY)
    office.clock.now = datetime(2026, 5, 31, 15, 59, tzinfo=UTC)
    await cashier.paid()
    accounts = PayeeAccounts(office.database)
    may = await accounts.explain(QIAN, "promoters", MAY, "P2")
    june = await accounts.explain(QIAN, "promoters", JUNE, "P2")
    assert (may.closing_minor, june.opening_minor, june.entries) == (0, 0, [])
