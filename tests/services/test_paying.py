"""Payouts on their way: whatever a rail says, whenever it says it, each is paid once or back in the balance."""

import asyncio
from datetime import datetime, timedelta
from random import Random
from typing import Literal

import pytest

from domain.canonical.payouts import PayoutData
from domain.problems import CommunicationProblem, Text
from domain.settlement.payouts import RailQuota
from services import paying
from services.paying import Paying
from services.payout_rails import RailAnswer
from services.payouts import PayoutWish
from storage.paging import PageRequest
from storage.payout_chunks import DayChunk
from tests.services.cashier import Cashier, cashier
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN
from tests.services.test_suppressions import take_in

__all__ = ["cashier", "office"]


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


async def test_what_a_throttled_merchant_does_not_take_is_tried_for_more_than_a_day(
    office: Office, cashier: Cashier
) -> None:
    await office.told(an_order(channel="P1"))
    throttled = RailAnswer("reserved", reason="调用过于频繁", retry_after_s=1.0)
    cashier.rail.answers = {await cashier.payee("P1", openid="o-P1"): [throttled]}
    await cashier.settled()
    view = await cashier.planned()
    await cashier.reserved(view.batch.id)
    ((first, last),) = await cashier.paying.chunks(view.batch.id)
    began, waits = office.clock.now, []
    while (standing := await cashier.paying.pay_chunk(view.batch.id, first, last)).open:
        waits.append(standing.wait_s)
        office.clock.now += timedelta(seconds=standing.wait_s + 0.001)
        assert len(waits) < 2 * paying.MOST_TRIES, "every wait has an end"
    assert waits[0] < 5, "a moment's limit costs a moment"
    assert office.clock.now - began > timedelta(days=1)
    states = await cashier.states(await cashier.service.show(QIAN, view.batch.id))
    assert states == {"failed": 1, "paid": 1}, "the other payee waited for nothing"


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


async def test_what_the_platform_told_the_end_of_is_asked_about_at_once(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    ids = [await cashier.payee(code, openid=f"o-{code}", real_name=f"名{code}") for code in ("P1", "P2")]
    cashier.rail.answers = {payee: [RailAnswer("awaiting_user", rail_number=f"R{payee}")] for payee in ids}
    await cashier.settled()
    view = await cashier.paid()
    for _ in range(8):
        office.clock.advance(minutes=30)
        await cashier.pay(view.batch.id)
    cashier.rail.answers = {payee: [RailAnswer("paid", rail_number=f"R{payee}")] for payee in ids}
    ((first, last),) = await cashier.paying.chunks(view.batch.id)
    standing = await cashier.paying.pay_chunk(view.batch.id, first, last)
    assert (standing.open, standing.wait_s) == (2, 300.0), "not due for half an hour, but a notice may come"
    payouts = [each.payout for each in (await cashier.service.payouts(QIAN, view.batch.id, PageRequest())).items]
    told = next(each.number for each in payouts if each.rail_number == f"R{ids[0]}")
    ended = PayoutData(platform="wechat_pay", account="main", version=1, out_bill_no=told, state="succeeded")
    await take_in(office.database, payout__succeeded=ended)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"awaiting_user": 1, "paid": 3}
    await take_in(office.database, payout__succeeded=ended.model_copy(update={"version": 2}))
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"awaiting_user": 1, "paid": 3}
