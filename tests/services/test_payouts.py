"""Payouts from a booked settlement to their ends: nothing is lost, nothing is paid twice, every sum is somewhere."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.settlement.payouts import RailQuota
from services.payee_accounts import PayeeAccounts
from services.payout_planning import PARTS
from services.payouts import PayoutService, PayoutWish
from storage.payees import Payees, Receiving
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.cashier import PROMOTERS, TERMS, Cashier, cashier
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_settlement_runs import HAN, HE, JUNE, QIAN, WU, had_a_hand

__all__ = ["cashier", "office"]


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


@pytest.mark.parametrize("hand", ["author", "published_by"])
@pytest.mark.parametrize("kind", ["scheme", "attribution"])
async def test_who_wrote_or_published_what_it_comes_from_approves_no_payout(
    office: Office, cashier: Cashier, kind: str, hand: str
) -> None:
    await had_a_hand(office, kind, "1.0.0", hand, HE.login)
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    batch = (await cashier.planned()).batch
    with pytest.raises(AuthorizationProblem) as refused:
        await cashier.service.decide(HE, batch.id, approve=True)
    assert "自己方案或归属规则的付款" in refused.value.text.zh
    assert "own scheme or attribution" in refused.value.text.en
    assert (await cashier.service.decide(WU, batch.id, approve=True)).state == "reserving"


async def test_a_balance_is_of_every_version_that_was_booked_lately(office: Office, cashier: Cashier) -> None:
    await had_a_hand(office, "scheme", "1.0.0", "author", HE.login)
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    await office.scheme("2.0.0")
    await office.told(an_order("E2", channel="P2"))
    await cashier.settled()
    early = (await cashier.planned()).batch
    with pytest.raises(AuthorizationProblem):
        await cashier.service.decide(HE, early.id, approve=True)
    await cashier.service.decide(HE, early.id, approve=False)
    async with UnitOfWork(office.database) as work:
        await work.session.execute(text("UPDATE settlement_runs SET booked_at = booked_at - interval '401 days'"))
    assert (await cashier.service.decide(HE, (await cashier.planned()).batch.id, approve=True)).state == "reserving"


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


async def test_what_is_being_paid_is_not_taken_out_of_the_balances_again(office: Office, cashier: Cashier) -> None:
    """As when the workflow that follows it is begun anew, weeks later."""
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    view = await cashier.planned()
    await cashier.reserved(view.batch.id)
    before = await cashier.accounts()
    async with UnitOfWork(office.database) as work:
        await work.session.execute(text("UPDATE payouts SET state = 'created'"))
    assert [await cashier.planning.reserve_part(view.batch.id, part) for part in range(PARTS)] == [0] * PARTS
    assert await cashier.accounts() == before
    assert await cashier.states(await cashier.service.show(QIAN, view.batch.id)) == {"created": 2}


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
    reading, over, read = asyncio.Event(), asyncio.Event(), Payees.receiving

    async def slowly(self: Payees, ids: Collection[int]) -> Mapping[int, Receiving]:
        monkeypatch.setattr(Payees, "receiving", read)
        reading.set()
        await over.wait()
        return await read(self, ids)

    monkeypatch.setattr(Payees, "receiving", slowly)
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
