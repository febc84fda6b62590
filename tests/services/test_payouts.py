"""Payouts from a booked settlement to their ends: nothing is lost, nothing is paid twice, every sum is somewhere."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Literal
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.problems import AuthorizationProblem, CommunicationProblem, ConflictProblem, NotFoundProblem, Text
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.payees import NewPayee, NewPayoutDetails, Payee
from domain.settlement.payouts import Rail, RailQuota
from services import paying
from services.payee_accounts import PayeeAccounts
from services.paying import Paying
from services.payout_planning import PARTS, PayoutPlanning
from services.payout_rails import PayoutOrder, PayoutRail, RailAnswer
from services.payouts import BatchView, PayoutService, PayoutWish
from storage.ledger import Ledger
from storage.paging import PageRequest
from storage.payees import Payees
from storage.payout_chunks import DayChunk
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.merchants import connect_merchant
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_settlement_runs import HAN, JUNE, QIAN, WU, Books

__all__ = ["office"]
PROMOTERS = PayoutWish(scheme="promoters")
TERMS = "  cap: '9000.00'\n"


class FakeRail:
    """A rail that remembers what it paid, and answers as it is told to. answers: by payee, the last one again."""

    certain_after_s: float | None = 480.0
    forgets = True

    def __init__(self, answers: Mapping[int, Sequence[RailAnswer | Exception]] | None = None) -> None:
        self.answers = {payee: list(some) for payee, some in (answers or {}).items()}
        self.paid: dict[str, int] = {}
        self.asked = Counter[str]()

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        return await self.ask(order)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        self.asked[order.number] += 1
        some = self.answers.get(order.payee, [RailAnswer("paid", rail_number=f"R{order.number}")])
        answer = some.pop(0) if len(some) > 1 else some[0]
        if isinstance(answer, Exception):
            raise answer
        if answer.state == "paid":
            assert self.paid.setdefault(order.number, order.amount_minor) == order.amount_minor
        return answer


class Cashier(Books):
    """A merchant's settlements and payouts, done by hand instead of by workflows."""

    def __init__(self, office: Office, rails: Mapping[Rail, PayoutRail] | None = None) -> None:
        super().__init__(office)
        self.service = PayoutService(office.database, office.steps)
        self.planning = PayoutPlanning(office.database)
        self.rail = FakeRail()
        self.paying = Paying(office.database, rails or {"wechat-pay": self.rail})

    async def planned(self, wish: PayoutWish = PROMOTERS) -> BatchView:
        batch = await self.service.ask(QIAN, wish)
        for part in range(PARTS):
            await self.planning.plan_part(batch.id, part)
        await self.planning.finish_plan(batch.id)
        return await self.service.show(QIAN, batch.id)

    async def reserved(self, batch: UUID) -> None:
        await self.service.decide(WU, batch, approve=True)
        for part in range(PARTS):
            await self.planning.reserve_part(batch, part)
        await self.planning.finish_reserving(batch)

    async def pay(self, batch: UUID) -> BatchView:
        """As far as it goes now."""
        for first, last in await self.paying.chunks(batch):
            await self.paying.pay_chunk(batch, first, last)
        await self.service.unfinished(self.office.database.clock(), 10)
        return await self.service.show(QIAN, batch)

    async def paid(self) -> BatchView:
        view = await self.planned()
        await self.reserved(view.batch.id)
        return await self.pay(view.batch.id)

    async def accounts(self) -> dict[str, dict[str, int]]:
        """Balances by kind of account and payee; all of them together are nothing."""
        async with UnitOfWork(self.office.database) as work:
            balances = await Ledger(work).balances()
            codes = await Payees(work).codes({each.payee for each in balances if each.payee is not None})
        assert sum(each.balance_minor for each in balances) == 0
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for each in balances:
            if each.balance_minor:
                found[each.kind][codes.get(each.payee or 0, "")] = each.balance_minor
        return dict(found)

    async def payee(self, code: str, **details: str) -> int:
        await self.office.register.put(
            QIAN,
            [
                NewPayee(
                    code=code,
                    name=code,
                    role="city" if code[0] == "C" else "promoter",
                    details=NewPayoutDetails(**details),
                )
            ],
        )
        async with UnitOfWork(self.office.database) as work:
            return (await Payees(work).rows([code]))[code].id

    async def states(self, view: BatchView) -> dict[str, int]:
        return {each.state: each.payouts for each in view.sums}


@pytest.fixture
async def cashier(office: Office) -> Cashier:
    found = Cashier(office)
    await connect_merchant(office.database)
    for code in ("P1", "P2", "C1", "C2"):
        await found.payee(code, openid=f"o-{code}", real_name=f"名{code}")
    return found


async def test_a_settlement_is_paid_to_the_cent(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    with pytest.raises(ConflictProblem):
        await cashier.planned()
    await cashier.settled()
    view = await cashier.planned()
    assert (view.batch.state, view.batch.payouts, view.batch.total_minor) == ("planned", 4, 3_794)
    assert (await cashier.accounts())["payable"] == {"P1": 1_537, "C1": 360, "P2": 1_537, "C2": 360}
    with pytest.raises(ConflictProblem):
        await cashier.planned()
    for who in (QIAN, an_actor("qian", Role.APPROVER)):
        with pytest.raises(AuthorizationProblem):
            await cashier.service.decide(who, view.batch.id, approve=True)
    with pytest.raises(ConflictProblem):
        await cashier.planning.reserve_part(view.batch.id, 0)
    await cashier.reserved(view.batch.id)
    assert sum((await cashier.accounts())["paying"].values()) == 3_794
    done = await cashier.pay(view.batch.id)
    assert (done.batch.state, await cashier.states(done)) == ("done", {"paid": 4})
    assert await cashier.accounts() == {"commission": {"": -3_794}, "wechat-pay": {"": 3_794}}
    assert sum(cashier.rail.paid.values()) == 3_794
    again = await cashier.planned()
    assert (again.batch.payouts, again.batch.total_minor) == (0, 0), "there is nothing more to pay"


async def test_who_cannot_be_paid_is_named_with_the_reason_and_keeps_the_balance(
    office: Office, cashier: Cashier
) -> None:
    orders = [an_order(f"E{number}", channel=f"P{number}") for number in range(1, 5)]
    await office.told(*orders, an_order("E9", channel="P5", paid_minor=9_000_000))
    await cashier.payee("P3")
    await cashier.payee("P5", openid="o5")
    await cashier.settled()
    await office.register.put(
        QIAN, [NewPayee(code="P4", name="P4", role="promoter", active=False, details=NewPayoutDetails(openid="o4"))]
    )
    view = await cashier.paid()
    reasons = {each.payee: each.reason for each in await cashier.service.omissions(QIAN, view.batch.id)}
    assert reasons == {"P3": "no-account", "P4": "inactive", "P5": "no-real-name"}
    assert set((await cashier.accounts())["payable"]) == set(reasons)
    await cashier.payee("P3", bank_account="6222000011112222", real_name="三")
    later = await cashier.planned()
    assert [(each.rail, each.payouts) for each in later.sums] == [("bank", 1)]


async def test_a_period_is_held_until_its_time_and_released_once(office: Office, cashier: Cashier) -> None:
    await office.scheme("2.0.0", text=SCHEME.replace(TERMS, TERMS + "  hold-days: 7\n"))
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    assert (await cashier.accounts())["held"] == {"P1": 1_537, "C1": 360}
    office.clock.now = office.clock.now.replace(year=2026, month=6, day=5)
    early = await cashier.planned()
    assert early.batch.payouts == 0
    await cashier.service.decide(WU, early.batch.id, approve=False)
    office.clock.now = office.clock.now.replace(day=9)
    first = await cashier.paid()
    assert await cashier.states(first) == {"paid": 2}
    await office.told(an_order("E2", channel="P2"))
    await cashier.settled()
    assert (await cashier.accounts())["payable"] == {"P2": 1_537, "C2": 360}, "its time is over: nothing is held"
    assert (await cashier.paid()).batch.total_minor == 1_897


async def test_what_a_failed_plan_had_to_release_the_next_one_releases(office: Office, cashier: Cashier) -> None:
    """Also when the part that was released before is of another month."""
    await office.scheme("2.0.0", text=SCHEME.replace(TERMS, TERMS + "  hold-days: 7\n"))
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"), an_order("E3", channel="P3"))
    await cashier.settled()
    office.clock.now = office.clock.now.replace(year=2026, month=6, day=9)
    batch = await cashier.service.ask(QIAN, PROMOTERS)
    held = await cashier.accounts()
    parts = iter(range(PARTS))
    while await cashier.accounts() == held:
        await cashier.planning.plan_part(batch.id, next(parts))
    await cashier.planning.fail(batch.id, {"title": "the database was away"})
    office.clock.now = office.clock.now.replace(month=7, day=9)
    view = await cashier.planned()
    assert "held" not in await cashier.accounts()
    assert sum((await cashier.accounts())["payable"].values()) == 3 * 1_897
    assert view.batch.total_minor == 3 * 1_897 - 1_537, "P3 has no account"


async def test_a_batch_beyond_an_approvers_limit_waits_for_a_director(office: Office, cashier: Cashier) -> None:
    policy = ApprovalPolicy(limits_minor={Role.APPROVER: 1_896})
    cashier.service = PayoutService(office.database, office.steps, policy=policy)
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    batch = (await cashier.planned()).batch
    with pytest.raises(AuthorizationProblem, match="limit"):
        await cashier.service.decide(WU, batch.id, approve=True)
    assert (await cashier.service.decide(HAN, batch.id, approve=True)).state == "reserving"


async def test_what_a_closed_period_takes_back_is_taken_off_by_instalments(office: Office, cashier: Cashier) -> None:
    clawback = "  clawback: {{ instalments: 3, keep: '50%' }}\n  minimum: '1.00'\n"
    await office.scheme("2.0.0", text=SCHEME.replace(TERMS, TERMS + clawback))
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    await cashier.paid()
    await cashier.runs.close(WU, "promoters", MAY)
    late = NOW + timedelta(days=35)
    await office.told(a_refund(30_000), at=late)
    for number, month in enumerate((JUNE, date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1))):
        office.clock.now = office.clock.now.replace(year=2026, month=month.month, day=28)
        at = NOW.replace(month=month.month, day=10)
        await office.told(an_order(f"N{number}", channel="P1", paid_minor=20_000, paid_at=at, created_at=at), at=at)
        await cashier.settled(month)
        await cashier.paid()
    accounts = await cashier.accounts()
    assert "receivable" not in accounts, "all of it is repaid"
    async with UnitOfWork(office.database) as work:
        rows = await work.session.execute(
            text(
                "SELECT amount_minor FROM transfers JOIN ledger_accounts a ON a.id = credit "
                "WHERE transfers.kind = 'offset' AND amount_minor > 200 ORDER BY transfers.id"
            )
        )
        taken = [amount for (amount,) in rows]
    # Of 15.37 owed a third is due in each month; of the month's 10.37 half is left.
    assert taken == [512, 512, 513]
    assert await cashier.accounts() | {"commission": {}, "wechat-pay": {}} == {"commission": {}, "wechat-pay": {}}


async def test_a_payees_account_explains_what_was_taken_back_by_the_refund_behind_it(
    office: Office, cashier: Cashier
) -> None:
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    await cashier.paid()
    await cashier.runs.close(WU, "promoters", MAY)
    await office.told(a_refund(10_000, 1, "2"), at=NOW + timedelta(days=35))
    at = NOW.replace(month=6, day=10)
    await office.told(an_order("N1", channel="P1", paid_at=at, created_at=at), at=at)
    await cashier.settled(JUNE)
    accounts = PayeeAccounts(office.database)
    may = await accounts.explain(QIAN, "promoters", MAY, "P1")
    assert (may.opening_minor, [each.entry.kind for each in may.entries]) == (0, ["commission"])
    assert may.closed_at is not None
    june = await accounts.explain(QIAN, "promoters", JUNE, "P1")
    back = next(each for each in june.entries if each.entry.kind == "clawback")
    assert (back.entry.net_minor, back.start, back.end) == (-500, MAY, JUNE)
    (change,) = back.changes
    assert (change.earning.title, change.before_minor, change.change_minor) == ("推广", 1_500, -500)
    lines = [(each.order_id, each.line_id, each.counted) for each in change.earning.lines]
    assert lines == [("E1", "2", "-100.00")], "the refund alone came in between"
    assert june.opening_minor == may.closing_minor
    assert june.closing_minor == june.opening_minor + 1_537 - 500
    with pytest.raises(NotFoundProblem):
        await accounts.explain(QIAN, "promoters", MAY, "nobody")
    with pytest.raises(NotFoundProblem):
        await accounts.explain(QIAN, "promoters", date(2020, 1, 1), "P1")


async def test_a_plan_that_is_not_covered_any_more_pays_nothing_of_it(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    view = await cashier.planned()
    await office.told(a_refund(30_000))
    await cashier.settled()
    await cashier.reserved(view.batch.id)
    done = await cashier.pay(view.batch.id)
    assert await cashier.states(done) == {"cancelled": 2, "paid": 2}
    assert sum(cashier.rail.paid.values()) == 1_897
    assert set(await cashier.accounts()) == {"commission", "wechat-pay"}


async def test_whatever_a_rail_says_every_sum_is_somewhere_and_nothing_is_paid_twice(
    office: Office, cashier: Cashier
) -> None:
    await office.told(*(an_order(f"E{number}", channel=f"P{number}") for number in range(1, 7)))
    ids = {code: await cashier.payee(code, openid=f"o-{code}") for code in ("P1", "P2", "P3", "P4", "P5", "P6")}
    away = CommunicationProblem(Text("连接断开", "The connection broke"))
    unknown, waiting = RailAnswer("unknown", retry_after_s=1), RailAnswer("awaiting_user", retry_after_s=1)
    paid = RailAnswer("paid")
    cashier.rail.answers = {
        ids["P1"]: [away, unknown, paid],
        ids["P2"]: [RailAnswer("reserved", retry_after_s=1), waiting, unknown, paid],
        ids["P3"]: [RailAnswer("failed", reason="账户已注销")],
        ids["P4"]: [waiting, RailAnswer("cancelled", reason="撤销")],
        ids["P5"]: [RailAnswer("failed", paid_minor=500)],
        ids["P6"]: [unknown],
    }
    await cashier.settled()
    view = await cashier.planned()
    await cashier.reserved(view.batch.id)
    pick = Random("crowd")
    for _ in range(12):
        await asyncio.gather(*(cashier.pay(view.batch.id) for _ in range(pick.randrange(1, 4))))
        office.clock.now += timedelta(seconds=200)
    done = await cashier.pay(view.batch.id)
    assert (done.batch.state, await cashier.states(done)) == (
        "paying",
        {"cancelled": 1, "failed": 2, "paid": 4, "unknown": 1},
    )
    accounts = await cashier.accounts()
    assert accounts["paying"] == {"P6": 1_537}, "nobody knows, so it stays"
    assert accounts["payable"] == {"P3": 1_537, "P4": 1_537, "P5": 1_037}
    assert accounts["wechat-pay"] == {"": 2 * 1_537 + 2 * 1_080 + 500}
    # What failed is paid by the next batch under another number; what is unknown is not touched.
    cashier.rail.answers = {ids["P6"]: [unknown]}
    second = await cashier.paid()
    assert await cashier.states(second) == {"paid": 3}
    cashier.rail.answers = {}
    office.clock.now += timedelta(hours=1)
    assert (await cashier.pay(view.batch.id)).batch.state == "done"
    assert set(await cashier.accounts()) == {"commission", "wechat-pay"}


async def test_a_refusal_is_believed_when_nothing_that_was_sent_before_can_be_taken_any_more(
    office: Office, cashier: Cashier
) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    ids = {code: await cashier.payee(code, openid=f"o-{code}", real_name=code) for code in ("P1", "P2", "C1", "C2")}
    refused, taken = RailAnswer("failed", reason="参数错误", refused=True), RailAnswer("accepted", rail_number="R1")
    cashier.rail.answers = {
        # Refused, and not known later either.
        ids["P1"]: [refused],
        # Refused by one worker; another, who was held up, had it taken after all.
        ids["P2"]: [refused, taken, RailAnswer("paid", rail_number="R1")],
        # Taken once, and forgotten by the rail: that is no refusal.
        ids["C1"]: [taken, refused],
        # Ended by the rail itself.
        ids["C2"]: [taken, RailAnswer("failed", rail_number="R2", reason="账户异常")],
    }
    await cashier.settled()
    view = await cashier.paid()
    assert await cashier.states(view) == {"accepted": 2, "unknown": 2}
    office.clock.now += timedelta(seconds=400)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"accepted": 1, "failed": 1, "unknown": 2}
    for _ in range(3):
        office.clock.now += timedelta(seconds=481)
        view = await cashier.pay(view.batch.id)
    assert await cashier.states(view) == {"accepted": 1, "failed": 2, "paid": 1}
    accounts = await cashier.accounts()
    assert accounts["payable"] == {"P1": 1_537, "C2": 360}
    assert accounts["paying"] == {"C1": 360}


async def test_what_a_rail_cannot_be_asked_about_any_more_ends_by_its_bills(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    ids = {code: await cashier.payee(code, openid=f"o-{code}", real_name=code) for code in ("P1", "P2", "C1")}
    words: dict[str, Literal["paid", "absent"]] = {}

    async def bills(number: str) -> Literal["paid", "absent"] | None:
        return words.get(number)

    cashier.rail.answers = {payee: [RailAnswer("unknown")] for payee in ids.values()}
    cashier.paying = Paying(office.database, {"wechat-pay": cashier.rail}, bills)
    await cashier.settled()
    view = await cashier.paid()
    asked = cashier.rail.asked.total()
    for _ in range(3):
        office.clock.now += timedelta(days=26)
        await cashier.pay(view.batch.id)
    assert cashier.rail.asked.total() == asked, "it might be paid a second time"
    payouts = (await cashier.service.payouts(QIAN, view.batch.id, PageRequest(), state="unknown")).items
    numbers = {each.payee: each.payout.number for each in payouts}
    words |= {numbers["P1"]: "paid", numbers["P2"]: "absent"}
    office.clock.now += timedelta(days=2)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"failed": 1, "paid": 2, "unknown": 1}
    accounts = await cashier.accounts()
    assert accounts["payable"] == {"P2": 1_537}
    assert accounts["paying"] == {"C1": 360}


async def test_quotas_put_payouts_off_and_the_calendar_tells_the_last_day(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    view = await cashier.planned(PayoutWish(scheme="promoters", quotas={"wechat-pay": RailQuota(payouts=3)}))
    assert [each.payouts for each in view.calendar] == [3, 1]
    assert view.calendar[1].day == view.batch.day + timedelta(days=1)
    await cashier.reserved(view.batch.id)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"paid": 3, "reserved": 1}
    office.clock.now += timedelta(days=1)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"paid": 4}


async def test_a_refusal_ends_the_batch_and_leaves_the_balances(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    view = await cashier.planned()
    with pytest.raises(ConflictProblem):
        await cashier.runs.close(WU, "promoters", view.batch.day)
    assert (await cashier.service.decide(WU, view.batch.id, approve=False)).state == "refused"
    assert await cashier.states(await cashier.service.show(QIAN, view.batch.id)) == {"cancelled": 2}
    assert (await cashier.paid()).batch.total_minor == 1_897


async def test_the_database_itself_keeps_numbers_amounts_and_ends(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    await cashier.paid()
    for statement in (
        "UPDATE payouts SET state = 'reserved'",
        "UPDATE payouts SET amount_minor = amount_minor + 1",
        "INSERT INTO payout_approvals SELECT id, asked_by, true, NULL, now() FROM payout_batches",
    ):
        with pytest.raises(Exception, match=r"privilege|once|approves"):
            async with UnitOfWork(office.database) as work:
                await work.session.execute(text(statement))


async def test_a_stale_attempt_to_plan_leaves_a_plan_that_was_approved_alone(
    office: Office, cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    batch = await cashier.service.ask(QIAN, PROMOTERS)
    part = await cashier.payee("P1", openid="o-P1", real_name="名P1") % PARTS
    reading, over, read = asyncio.Event(), asyncio.Event(), Payees.by_ids

    async def slowly(self: Payees, ids: Collection[int]) -> Mapping[int, Payee]:
        monkeypatch.setattr(Payees, "by_ids", read)
        reading.set()
        await over.wait()
        return await read(self, ids)

    monkeypatch.setattr(Payees, "by_ids", slowly)
    stale = asyncio.create_task(cashier.planning.plan_part(batch.id, part))
    await reading.wait()
    for number in range(PARTS):
        await cashier.planning.plan_part(batch.id, number)
    await cashier.planning.finish_plan(batch.id)
    await cashier.reserved(batch.id)
    over.set()
    assert await stale == 0
    assert await cashier.states(await cashier.service.show(QIAN, batch.id)) == {"reserved": 2}
    assert await cashier.states(await cashier.pay(batch.id)) == {"paid": 2}


async def test_a_rail_is_asked_again_as_late_as_is_wished_and_no_later(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    waiting = RailAnswer("awaiting_user")
    cashier.rail.answers = {await cashier.payee("P1", openid="o-P1"): [waiting, waiting, RailAnswer("paid")]}
    cashier.paying = Paying(office.database, {"wechat-pay": cashier.rail}, longest_pause_s=6)
    view = await cashier.paid()
    assert await cashier.states(view) == {"awaiting_user": 1, "paid": 1}
    for seconds, states in (
        (5, {"awaiting_user": 1, "paid": 1}),
        (1, {"awaiting_user": 1, "paid": 1}),
        (6, {"paid": 2}),
    ):
        office.clock.now += timedelta(seconds=seconds)
        assert await cashier.states(await cashier.pay(view.batch.id)) == states
    assert max(cashier.rail.asked.values()) == 3


async def test_chunks_are_of_one_day_always_cut_alike_and_told_while_nobody_follows_them(
    office: Office, cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paying, "CHUNK", 2)
    monkeypatch.setattr(paying, "CHUNKS_TOLD", 1)
    await office.told(*(an_order(f"E{number}", channel=f"P{number}") for number in range(1, 6)))
    for number in range(3, 6):
        await cashier.payee(f"P{number}", openid=f"o-P{number}", real_name=f"名{number}")
    waiting = RailAnswer("awaiting_user")
    cashier.rail.answers = {await cashier.payee("P1", openid="o-P1"): [waiting]}
    await cashier.settled()
    view = await cashier.planned(PayoutWish(scheme="promoters", quotas={"wechat-pay": RailQuota(payouts=3)}))
    await cashier.reserved(view.batch.id)

    async def told() -> list[DayChunk]:
        """What is to be begun by now, part by part."""
        found: list[DayChunk] = []
        after = None
        while True:
            part = await cashier.paying.to_follow(view.batch.id, after)
            found += part.chunks
            if not part.more:
                return found
            after = (found[-1].day, found[-1].first)

    today, tomorrow, last = (view.batch.day + timedelta(days=days) for days in range(3))
    first = await told()
    assert [each.day for each in first] == [today, today], "three of today, cut by two; nothing of other days"
    assert (await cashier.paying.to_follow(view.batch.id)).open == 7
    for day, begin, end in first:
        left = await cashier.paying.pay_chunk(view.batch.id, begin, end, day)
        assert left.open <= 1, "those of other days are not its"
    assert await told() == [], "somebody follows them"
    office.clock.now += timedelta(hours=2)
    (again,) = await told()
    assert again in first, "P1's: nobody asked about P1 for an hour longer than they should have"
    office.clock.now += timedelta(days=1)
    chunks = await told()
    assert [each.day for each in chunks] == [today, tomorrow, tomorrow]
    for day, begin, end in chunks:
        await cashier.paying.pay_chunk(view.batch.id, begin, end, day)
    office.clock.now += timedelta(days=1)
    chunks = await told()
    assert [each.day for each in chunks] == [today, last]
    cashier.rail.answers = {}
    for day, begin, end in chunks:
        await cashier.paying.pay_chunk(view.batch.id, begin, end, day)
    found = await cashier.paying.to_follow(view.batch.id)
    assert (found.open, found.chunks) == (0, [])
    assert await cashier.states(await cashier.service.show(QIAN, view.batch.id)) == {"paid": 7}


async def test_a_chunk_takes_each_of_its_payouts_once_in_a_go(
    office: Office, cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.told(an_order(channel="P1"))
    unwilling = RailAnswer("reserved", retry_after_s=0.001)
    cashier.rail.answers = {await cashier.payee("P1", openid="o-P1"): [unwilling]}
    await cashier.settled()
    view = await cashier.planned()
    await cashier.reserved(view.batch.id)

    def ticking() -> datetime:
        office.clock.now += timedelta(seconds=1)
        return office.clock.now

    monkeypatch.setattr(office.database, "clock", ticking)
    await cashier.pay(view.batch.id)
    assert max(cashier.rail.asked.values()) == 1, "others want their turn, too"
