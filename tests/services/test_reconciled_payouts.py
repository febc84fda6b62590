"""Payouts against the bill of who paid them, and what it says of those that nobody knows the end of."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from domain.problems import ConflictProblem, ValidationProblem
from domain.settlement.bills import day_of
from domain.settlement.payees import NewPayee
from domain.settlement.payouts import Payer, Rail, Terms
from services.bank_answers import _HAS_LEFT, AnswerOutcome, BankAnswers
from services.bill_terms import BillTerms
from services.payees import PayeeRegister
from storage.ledger import Ledger
from storage.unit_of_work import UnitOfWork
from tests.connectors.harness import perform
from tests.services.reconciling import (
    DAY,
    MERCHANT,
    NOON,
    PAY,
    POS,
    QIAN,
    STORE,
    WU,
    Desk,
    desk,
    moved,
    seed,
    simulator,
)

__all__ = ["desk", "simulator"]


async def a_payout(
    desk: Desk,
    number: str,
    state: str,
    at: datetime,
    amount: int,
    rail: str | None = None,
    *,
    by: str = "wechat-pay",
    payer: str | None = PAY,
) -> None:
    """payer: whom it was written down to be asked of, if anybody was."""
    await PayeeRegister(desk.database).put(QIAN, [NewPayee(code=number, name="李小红", role="promoter")])
    payers: dict[Rail, Payer] = {"wechat-pay": Payer(account=payer, mch_id="1")} if payer is not None else {}
    values = {"batch": uuid4(), "number": number, "at": at, "amount": amount, "state": state, "rail": rail, "by": by}
    values["terms"] = Terms(payers=payers).model_dump_json()
    await desk.change(
        """
        WITH period AS (
            INSERT INTO settlement_periods (scheme, cycle, start, "end", currency, opened_at)
            VALUES (:number, 'month', '2026-01-01', '2026-02-01', 'CNY', :at) RETURNING id
        ), batch AS (
            INSERT INTO payout_batches (id, scheme, currency, period, day, state, terms, asked_by, asked_at)
            SELECT :batch, :number, 'CNY', id, current_date, 'paying', CAST(:terms AS jsonb), 'qian', :at
            FROM period RETURNING id
        )
        INSERT INTO payouts (
            batch, part, number, payee, rail, amount_minor, offset_minor, currency, state, pay_on, attempts, next_at,
            rail_number, first_sent_at, created_at, changed_at, ended_at
        )
        SELECT batch.id, 0, :number, payees.id, :by, :amount, 0, 'CNY', CAST(:state AS text), current_date, 1,
            :at, :rail, :at, :at, :at,
            CASE WHEN CAST(:state AS text) IN ('paid', 'failed') THEN CAST(:at AS timestamptz) END
        FROM batch, payees WHERE payees.code = :number
        """,
        **values,
    )


async def paid_transfer(desk: Desk, number: str, amount: int) -> str:
    """A transfer that its payee took; the platform's number of it."""
    client = await desk.world.open("wechat_pay")
    arguments = {"openid": "oPayee", "amount_minor": amount, "remark": "佣金", "out_bill_no": number}
    made = await perform(client, "wechat_pay.transfer", key=number, **arguments)
    body = {"platform": "wechat_pay", "account": MERCHANT, "event": "SUCCESS", "subjects": {"out_bill_no": number}}
    await desk.world.sim.admin("POST", "/push", json=body)
    return str(made.payout_id)


async def test_payouts_against_the_bill_and_what_it_says_of_those_that_nobody_knows_of(desk: Desk) -> None:
    await seed(desk)
    now = desk.clock()
    known = await paid_transfer(desk, "PKNOWN", 1_200)
    transfers = (("PUNKNOWN", 1_300), ("PFAILED", 1_400), ("PSTRANGE", 1_500), ("PLESS", 1_600), ("PNOBODYS", 1_350))
    for number, amount in transfers:
        await paid_transfer(desk, number, amount)
    await a_payout(desk, "PKNOWN", "paid", now, 1_200, known)
    await a_payout(desk, "PUNKNOWN", "unknown", now, 1_300)
    await a_payout(desk, "PFAILED", "failed", now, 1_400)
    await a_payout(desk, "PLESS", "unknown", now, 1_601)
    await a_payout(desk, "PNEVER", "unknown", now, 1_700)
    await a_payout(desk, "PNOBODYS", "unknown", now, 1_350, payer=None)
    await a_payout(desk, "PNOWHERE", "unknown", now, 1_360, payer=None)
    await a_payout(desk, "PANOTHERS", "paid", now, 1_370, payer=STORE)
    await a_payout(desk, "PGONE", "paid", now, 1_800)
    for number in ("PUNKNOWN", "PNEVER"):
        assert await desk.bills.payout_word(number) is None, "no bill has told yet"
    desk.clock.advance(days=5)
    day = day_of(now)
    # The simulator's clock goes on with real time: its days after today are not over.
    await desk.world.sim.admin("POST", "/advance", json={"seconds": 5 * 86_400})
    for later in range(4):
        await desk.day(day + timedelta(days=later))
    assert [each for each in await desk.kinds() if each[0] == "transfer"] == sorted(
        [
            ("transfer", "state", "PFAILED", -1_400),
            ("transfer", "missing-ours", "PSTRANGE", -1_500),
            ("transfer", "amount", "PLESS", 1),
            ("transfer", "missing-theirs", "PGONE", 1_800),
        ]
    )
    wanted = ("PUNKNOWN", "PKNOWN", "PLESS", "NONE", "PNOBODYS", "PNEVER", "PNOWHERE")
    assert {each: await desk.bills.payout_word(each) for each in wanted} == {
        **{"PUNKNOWN": "paid", "PKNOWN": "paid", "PLESS": None, "NONE": None, "PNOBODYS": "paid"},
        # They have not PGONE either: nothing follows from what is not in them.
        **{"PNEVER": None, "PNOWHERE": None},
    }


async def test_only_bills_that_tell_of_the_others_say_that_a_transfer_was_not_made(desk: Desk) -> None:
    days = [DAY + timedelta(days=number) for number in range(3)]
    await a_payout(desk, "PNEVER", "unknown", NOON, 1_700)
    await a_payout(desk, "PTAKEN", "unknown", NOON, 1_800, "W1")
    await a_payout(desk, "PNOWHERE", "unknown", NOON, 1_900, payer=None)
    words = ("PNEVER", "PTAKEN", "PNOWHERE")
    for day in days:
        assert [await desk.bills.payout_word(each) for each in words] == [None] * 3, "no bill has told yet"
        await desk.billed(day, "funds", *([moved(2, "PKNOWN", 1_200)] if day == DAY else []))
    assert [await desk.bills.payout_word(each) for each in words] == [None] * 3, "they may name ours otherwise"
    await a_payout(desk, "PKNOWN", "paid", NOON, 1_200, "WPKNOWN")
    assert [await desk.bills.payout_word(each) for each in words] == ["absent", None, "absent"]
    await desk.connect("wechat_pay/second")
    assert await desk.bills.payout_word("PNEVER") == "absent", "its own merchant's bills are all there"
    assert await desk.bills.payout_word("PNOWHERE") is None, "it may have been the other one"
    await a_payout(desk, "PGONE", "paid", NOON, 1_210, "WPGONE")
    assert await desk.bills.payout_word("PNEVER") is None, "another one that was paid is missing as well"


async def test_nothing_follows_from_the_bill_of_one_account_alone(desk: Desk) -> None:
    await a_payout(desk, "PNEVER", "unknown", NOON, 1_700)
    await a_payout(desk, "PKNOWN", "paid", NOON, 1_200, "WPKNOWN")
    await desk.billed(DAY, "funds", moved(2, "PKNOWN", 1_200))
    for number, whole in ((1, False), (2, True)):
        await desk.billed(DAY + timedelta(days=number), "funds", whole=whole)
    assert await desk.bills.payout_word("PNEVER") is None


async def test_transfers_that_are_paid_from_the_operation_account_are_found(desk: Desk) -> None:
    await desk.world.sim.admin("POST", "/transfers/paid-from", json={"account": MERCHANT, "pays_from": "OPERATION"})
    # Other tests let it be later there.
    now = desk.clock.now = desk.world.sim.app.state.world.clock.now()
    number = await paid_transfer(desk, "POPERATION", 1_250)
    await desk.world.sim.admin("POST", "/transfers/paid-from", json={"account": MERCHANT, "pays_from": "BASIC"})
    await a_payout(desk, "POPERATION", "paid", now, 1_250, number)
    desk.clock.advance(days=2)
    await desk.world.sim.admin("POST", "/advance", json={"seconds": 2 * 86_400})
    await desk.day(day_of(now))
    assert [each for each in await desk.kinds() if each[2] == "POPERATION"] == []
    assert await desk.bills.payout_word("POPERATION") == "paid"


async def test_a_transfer_that_lapsed_is_not_paid_although_the_bill_has_it(desk: Desk) -> None:
    for number in ("PLAPSED", "PTWICE", "PELSEWHERE"):
        await a_payout(desk, number, "unknown", NOON, 1_000)
    await desk.billed(DAY, "funds", moved(2, "PLAPSED", 1_000), moved(3, "PTWICE", 1_000), moved(4, "PTWICE", 1_000))
    assert await desk.bills.payout_word("PLAPSED") == "paid"
    assert await desk.bills.payout_word("PTWICE") is None, "somebody has to look at that"
    next_day = DAY + timedelta(days=1)
    await desk.billed(next_day, "funds", moved(2, "PLAPSED", 1_000, "in", next_day))
    assert await desk.bills.payout_word("PLAPSED") == "absent"
    await desk.billed(DAY, "funds", moved(2, "PELSEWHERE", 1_000), account=POS)
    assert await desk.bills.payout_word("PELSEWHERE") is None, "whose bill this is pays nobody"


async def a_share(desk: Desk, payout: str, number: str, state: str, at: datetime, amount: int) -> None:
    """A share of a payment that a payout is paid by; the payment is made up."""
    await desk.change(
        """
        WITH plan AS (
            INSERT INTO share_plans (payout, merchant, hand, turns)
            SELECT id, :merchant, 1, 1 FROM payouts WHERE number = :payout
            ON CONFLICT (payout) DO UPDATE SET hand = 1 RETURNING payout
        ), payment AS (
            INSERT INTO shareable_payments (
                merchant, transaction_id, out_trade_no, paid_minor, refunded_minor, shared_minor, requests, paid_at
            ) VALUES (:merchant, '42' || :number, :number, 10000, 0, :amount, 1, :at) RETURNING id
        )
        INSERT INTO payout_shares (
            out_order_no, payout, payment, amount_minor, state, sharing_id, planned_at, sent_at, changed_at, ended_at
        )
        SELECT :number, plan.payout, payment.id, :amount, CAST(:state AS text), '30' || :number, :at, :at, :at,
            CASE WHEN CAST(:state AS text) IN ('shared', 'failed') THEN CAST(:at AS timestamptz) END
        FROM plan, payment
        """,
        **{"merchant": PAY, "payout": payout, "number": number, "state": state, "at": at, "amount": amount},
    )


async def test_shares_of_payments_against_the_fund_bill(desk: Desk) -> None:
    await a_payout(desk, "PSHARED", "accepted", NOON, 15_000, by="profit-sharing")
    for number, state, amount in (
        ("PSHAREDS0001", "shared", 1_000),
        ("PSHAREDS0002", "shared", 2_000),
        ("PSHAREDS0003", "failed", 3_000),
        ("PSHAREDS0004", "unknown", 4_000),
        ("PSHAREDS0005", "shared", 5_000),
    ):
        await a_share(desk, "PSHARED", number, state, NOON, amount)
    shares = [
        moved(2, "PSHAREDS0001", 1_000, kind="share"),
        moved(3, "PSHAREDS0002", 2_001, kind="share"),
        moved(4, "PSHAREDS0003", 3_000, kind="share"),
        moved(5, "PSHAREDS0004", 4_000, kind="share"),
        moved(6, "PSTRANGES0001", 600, kind="share"),
    ]
    await desk.billed(DAY, "trade")
    await desk.billed(DAY, "funds", *shares)
    assert (await desk.reconciliation.reconcile(QIAN, PAY, DAY)).matched == 2
    assert await desk.kinds() == [
        ("share", "amount", "PSHAREDS0002", -1),
        ("share", "missing-ours", "PSTRANGES0001", -600),
        ("share", "state", "PSHAREDS0003", -3_000),
        ("share", "timing", "PSHAREDS0005", 5_000),
    ]
    await desk.change("UPDATE payout_shares SET state = 'failed' WHERE out_order_no = 'PSHAREDS0004'")
    assert (await desk.unreconciled.due(PAY))[0] == DAY


async def test_payouts_by_bank_against_the_statement_of_the_bank(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (), bank=True))
    for number, amount in (("PBANK1", 1_000), ("PBANK2", 2_000), ("PBANK3", 3_000)):
        await a_payout(desk, number, "paid", NOON, amount, f"S{number}", by="bank")
    await a_payout(desk, "PWECHAT", "paid", NOON, 9_000)
    await desk.billed(DAY, "funds", moved(2, "PBANK1", 1_000), moved(3, "PBANK2", 2_001), account=POS)
    found = await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (found.matched, found.not_compared) == (1, ["payment", "refund", "share"])
    assert await desk.kinds() == [("transfer", "amount", "PBANK2", -1), ("transfer", "timing", "PBANK3", 3_000)]
    with pytest.raises(ConflictProblem, match=POS):
        await desk.terms.propose(QIAN, BillTerms(STORE, (), bank=True))
    with pytest.raises(ValidationProblem):
        await desk.terms.propose(QIAN, BillTerms(PAY, (), bank=True))


async def test_what_the_bank_s_statement_has_leaving_did_not_fail(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (), bank=True))
    left, stayed = (f"P{digit * 31}" for digit in "12")
    for number in (left, stayed):
        await a_payout(desk, number, "submitting", NOON, 1_000, by="bank")
    await desk.change(
        """
        WITH files AS (
            INSERT INTO bank_files (number, batch, day, currency, payouts, total_minor, digest, made_at, made_by)
            SELECT 'F' || left(number, 9), batch, pay_on, 'CNY', 1, amount_minor, '-', created_at, 'qian' FROM payouts
        )
        UPDATE payouts SET file = 'F' || left(number, 9)
        """
    )
    await desk.billed(DAY, "funds", moved(2, left, 1_000), account=POS)
    answer = "付款编号,结果,金额(元),银行流水号,失败原因\n{},失败,10.00,,户名不符"

    async def answered(number: str) -> AnswerOutcome:
        return await BankAnswers(desk.database).import_answer(QIAN, f"F{number[:9]}", answer.format(number).encode())

    assert (await answered(stayed)).failed == 1
    refused = await answered(left)
    assert (refused.failed, [each.reason.en for each in refused.errors]) == (0, [_HAS_LEFT.en])
    next_day = DAY + timedelta(days=1)
    await desk.billed(next_day, "funds", moved(2, left, 1_000, "in", next_day), account=POS)
    assert (await answered(left)).failed == 1, "it came back"


async def test_a_payout_that_the_bank_s_statement_has_coming_back_is_booked_back(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (), bank=True))
    next_day = DAY + timedelta(days=1)
    await a_payout(desk, "PBACK", "paid", NOON, 1_000, "S1", by="bank")
    await desk.billed(DAY, "funds", moved(2, "PBACK", 1_000), account=POS)
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    await desk.billed(next_day, "funds", moved(2, "PBACK", 1_000, "in", next_day), account=POS)
    await desk.reconciliation.reconcile(QIAN, POS, next_day)
    assert await desk.kinds() == [("transfer", "duplicate", "PBACK", 1_000)]
    (found,) = await desk.open_breaks()
    await desk.breaks.explain(QIAN, found.id, "returned", "银行退票")
    await desk.breaks.solve(WU, found.id)
    async with UnitOfWork(desk.database) as work:
        sums = {each.kind: each.balance_minor for each in await Ledger(work).balances()}
    assert sums == {"payable": 1_000, "bank": -1_000}, "what was paid is booked elsewhere in this test"
    days = [each.day for each in await desk.unreconciled.days(QIAN, POS) if each.why == "ended-otherwise"]
    assert days == [DAY, next_day]
    for day in days:
        await desk.reconciliation.reconcile(QIAN, POS, day)
    assert [each.day for each in await desk.unreconciled.days(QIAN, POS) if each.why == "ended-otherwise"] == []
    assert not (await desk.breaks.show(QIAN, found.id)).stands
    assert await desk.kinds() == []
