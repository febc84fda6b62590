"""Days reconciled with files: deposits and balances, late bills, bills that cannot be believed, large ones."""

import io
from datetime import timedelta
from time import process_time

import pytest
from sqlalchemy.exc import SQLAlchemyError

from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    ProblemError,
    ValidationProblem,
)
from domain.settlement.bills import Told
from services.bill_terms import BillTerms
from storage.paging import PageRequest
from tests.services.reconciling import (
    COLUMNS,
    DAY,
    NOON,
    POS,
    QIAN,
    WU,
    Desk,
    a_refund,
    an_order,
    desk,
    simulator,
    told,
)

__all__ = ["desk", "simulator"]


async def test_a_file_with_coupons_points_and_fees_agrees_to_the_fen(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (POS,), fee_bps=60))
    await desk.write(
        an_order("E1", 10_000, NOON, discount_minor=500), an_order("E2", 5_000, NOON), a_refund("R1", "E2", 2_000, NOON)
    )
    rows = [
        told("E1", "100.00", fee="0.60"),
        told("E1", "3.00", "优惠券"),
        told("E1", "2.00", "积分"),
        told("E2", "50.00"),
        told("E2", "-0.30", "服务费"),
        told("R1", "-20.00", "退款"),
    ]
    found = await desk.file(DAY, *rows)
    assert (found.rows, found.matched, found.breaks) == (6, 6, 0)
    await desk.change("UPDATE orders SET discount_minor = 499 WHERE order_id = 'E1'")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert await desk.kinds() == [("discount", "amount", "E1", 1)]


async def test_coupons_of_no_order_are_breaks_and_those_that_nobody_told_of_are_not_compared(desk: Desk) -> None:
    await desk.write(an_order("E1", 10_000, NOON), an_order("E2", 5_000, NOON, discount_minor=0))
    payments = [told("E1", "100.00"), told("E2", "50.00")]
    found = await desk.file(DAY, *payments, told("E1", "3.00", "优惠券"), told("", "2.00", "积分"))
    assert (found.matched, found.breaks, found.not_compared) == (2, 1, ["transfer", "share", "discount"])
    assert await desk.kinds() == [("discount", "missing-ours", None, 200)]
    await desk.change("UPDATE orders SET discount_minor = 300 WHERE order_id = 'E1'")
    again = await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (again.matched, again.not_compared) == (3, ["transfer", "share"])


async def test_fees_that_do_not_come_back_and_fees_of_nothing_that_we_know(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (POS,), fee_bps=60, fees_back=True))
    await desk.write(an_order("E1", 10_000, NOON), a_refund("R1", "E1", 2_000, NOON), a_refund("R2", "E1", 1_000, NOON))
    rows = [
        told("E1", "100.00", fee="0.60"),
        told("R1", "-20.00", "退款", fee="-0.12"),
        told("R2", "-10.00", "退款"),
        told("E9", "-0.30", "服务费"),
        told("", "-0.20", "服务费"),
    ]
    await desk.file(DAY, *rows)
    nameless = ("fee", "missing-ours", None, -20)
    kept = ("refund-fee", "amount", "R2", -6)
    assert set(await desk.kinds()) == {nameless, ("fee", "missing-ours", "E9", -30), kept}
    await desk.write(an_order("E9", 5_000, NOON))
    next_day = DAY + timedelta(days=1)
    await desk.file(next_day, told("E9", "50.00", day=next_day))
    assert set(await desk.kinds()) == {nameless, kept}, "the order is known by now"


async def test_a_later_bill_solves_what_was_late_and_the_window_ends_it(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON), an_order("E2", 200, NOON), an_order("E3", 300, NOON))
    await desk.file(DAY, told("E1", "1.00"))
    late = [("payment", "timing", "E2", -200), ("payment", "timing", "E3", -300)]
    assert await desk.kinds() == late
    await desk.file(DAY + timedelta(days=1), told("E2", "2.00", day=DAY + timedelta(days=1)))
    assert await desk.kinds() == [late[1]]
    for number in (2, 3):
        day = DAY + timedelta(days=number)
        await desk.file(day, told(f"X{number}", "0.00", day=day))
    assert await desk.kinds() == [("payment", "missing-theirs", "E3", -300)]
    last = DAY + timedelta(days=9)
    await desk.file(last, told("E3", "3.00", day=last))
    assert await desk.kinds() == [], "found after all"
    for number in (0, 1, 2, 3, 9):
        found = await desk.reconciliation.reconcile(QIAN, POS, DAY + timedelta(days=number))
        assert found.breaks == 0


async def test_a_deposit_and_its_balance_on_two_days_are_one_order(desk: Desk) -> None:
    await desk.write(an_order("E1", 300, NOON))
    await desk.file(DAY, told("E1", "1.00"))
    assert await desk.kinds() == [("payment", "amount", "E1", -200)]
    next_day = DAY + timedelta(days=1)
    await desk.file(next_day, told("E1", "2.00", day=next_day))
    assert await desk.kinds() == []
    third = DAY + timedelta(days=2)
    await desk.file(third, told("E1", "2.00", day=third))
    assert await desk.kinds() == [("payment", "duplicate", "E1", 200)]


async def test_a_bill_is_taken_once_and_never_revised(desk: Desk) -> None:
    await desk.take(DAY, told("E1", "1.00"))
    await desk.take(DAY, told("E1", "1.00"))
    with pytest.raises(ConflictProblem, match="never revised"):
        await desk.take(DAY, told("E1", "1.01"))
    for statement in ("UPDATE bills SET rows = 2", "DELETE FROM bill_lines", "UPDATE bill_lines SET amount_minor = 1"):
        with pytest.raises((SQLAlchemyError, ProblemError)):
            await desk.change(statement)


async def test_a_bill_that_cannot_be_believed_leaves_nothing(desk: Desk) -> None:
    row = told("E1", "1.00")
    for rows, more in (
        ([row], {"digest": "0" * 40}),
        ([row], {"digest": "short"}),
        ([row], {"told": None}),
        ([row], {"told": Told(rows=1, fee_minor=0)}),
        ([row], {"told": Told(in_minor=100)}),
        ([row], {"told": Told(in_minor=101, out_minor=0)}),
        ([row.rpartition(",")[0]], {}),
        ([f"E1,{row}"], {}),
        ([told("E1", "1.00", day=DAY + timedelta(days=1))], {}),
    ):
        with pytest.raises(ValidationProblem):
            await desk.take(DAY, *rows, **more)
    with pytest.raises(AuthorizationProblem):
        await desk.bills.take_file(WU, POS, DAY, COLUMNS, io.BytesIO(b""), told=Told(rows=0))
    assert (await desk.bills.list(QIAN, PageRequest())).items == []


async def test_twenty_thousand_rows_are_taken_and_reconciled_in_seconds(desk: Desk) -> None:
    await desk.change(
        "INSERT INTO orders (account_id, order_id, version, version_tie, detail_version, detail_version_tie, status, "
        "currency, paid_minor, paid_at, refunded_minor, told_at, recorded_at, coupon_ids) SELECT 'generic/pos', "
        "'E' || n, 1, 0, 1, 0, 'paid', 'CNY', n, :at, 0, :at, :at, '{}' FROM generate_series(1, 20000) n",
        at=NOON,
    )
    rows = [told(f"E{number}", f"{number // 100}.{number % 100:02d}") for number in range(1, 20_001)]
    began = process_time()
    found = await desk.file(DAY, *rows)
    took_s = process_time() - began
    print(f"20,000 rows: {took_s:.1f} s of this process to take and reconcile them")
    assert (found.matched, found.breaks) == (20_000, 0)
    again = await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (again.changed, again.digest) == (False, found.digest)
    assert took_s < 10
