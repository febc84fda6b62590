"""What was taken back falls due period by period, of the cycle that it had been earned by."""

from datetime import UTC, date, datetime

from domain.settlement.payees import NewPayee, NewPayoutDetails, UplineChange
from domain.settlement.scheme import Cycle
from tests.services.cashier import TERMS, Cashier, cashier
from tests.services.test_calculations import MAY, NEW_YEAR, SCHEME, Office, office
from tests.services.test_selling import a_refund, an_order
from tests.services.test_settlement_runs import JUNE, QIAN

__all__ = ["cashier", "office"]
JULY, AUGUST = date(2026, 7, 1), date(2026, 8, 1)


async def taken_back(office: Office, cashier: Cashier, cycle: Cycle, booked_by: Cycle) -> None:
    """P1 is settled by one cycle and has two orders of the third of May, one of which is refunded once that is closed;
    what is taken back is booked by another cycle's settlement of the second of June. It is the fourth."""
    clawback = "  clawback: {{ instalments: 3, keep: '50%' }}\n"
    await office.scheme("2.0.0", text=SCHEME.replace(TERMS, TERMS + clawback))
    other = "P2" if cycle == "month" else "P1"
    account = NewPayoutDetails(openid="o", real_name="某人")
    daily = NewPayee(code=other, name=other, role="promoter", cycle="day", since=NEW_YEAR, details=account)
    await office.register.put(QIAN, [daily])
    await office.register.set_uplines(QIAN, [UplineChange(code=other, since=MAY)])
    await office.told(an_order(channel="P1"), an_order("E2", channel="P1"))
    office.clock.now = datetime(2026, 6, 2, 4, tzinfo=UTC)
    await cashier.closed(date(2026, 5, 3), cycle)
    await office.told(a_refund(30_000), at=office.clock.now)
    view = await cashier.settled(date(2026, 6, 2), booked_by)
    assert [(each.cycle, each.purpose) for each in view.calculations] == [
        (cycle, "adjustment"),
        (booked_by, "settlement"),
    ]
    for day in (3, 4):
        office.clock.now = office.clock.now.replace(day=day)
        await cashier.settled(date(2026, 6, day), "day")


async def test_a_monthly_payees_debt_is_due_by_the_month_also_when_a_day_booked_it(
    office: Office, cashier: Cashier
) -> None:
    await taken_back(office, cashier, "month", "day")
    # A third of 15.37 and of 3.60 each month, whatever days were settled since.
    later = {("receivable", JULY): -512 - 120, ("receivable", AUGUST): -513 - 120}
    due, today = 512 + 120, date(2026, 6, 4)
    payable = {("offset", today): due, ("payable", today): 2 * 1_897 - due}
    assert await cashier.foretold("2.0.0") == {**payable, ("receivable", today): -due, **later}
    paid = await cashier.paid()
    assert paid.batch.total_minor == 2 * 1_897 - due
    assert await cashier.foretold("2.0.0") == later
    office.clock.now = datetime(2026, 7, 1, 4, tzinfo=UTC)
    at = office.clock.now.replace(month=6, day=10)
    await office.told(an_order("E3", channel="P1", paid_at=at, created_at=at), at=office.clock.now)
    await cashier.settled(JUNE)
    assert (await cashier.paid()).batch.total_minor == 1_897 - due, "the second of three"


async def test_a_daily_payees_debt_is_due_by_the_day_also_when_a_month_booked_it(
    office: Office, cashier: Cashier
) -> None:
    """The month of June ends with its last day, so that is the first of three."""
    await taken_back(office, cashier, "day", "month")
    today = date(2026, 6, 4)
    assert {key: amount for key, amount in (await cashier.foretold("2.0.0")).items() if key[0] == "receivable"} == {
        ("receivable", today): -512,
        ("receivable", JULY): -512,
        ("receivable", date(2026, 7, 2)): -513,
    }
    assert (await cashier.paid()).batch.total_minor == 2 * 1_537 - 512
