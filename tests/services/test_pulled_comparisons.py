"""Comparing what was pulled with a platform: what is missing, differs or was misread is counted, told and mended."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.worker import Worker

from activities.pulls import PullActivities
from connectors.accounts import Account
from connectors.webhooks import Verified
from connectors.youzan import pulling as youzan_pulling
from connectors.youzan import records as youzan_records
from connectors.youzan.records import REFUND_STATUSES
from domain.events import Event
from domain.privacy import Masking
from domain.problems import ProblemError, RateLimitProblem, Text
from services.inbox import InboxService
from services.pull_reports import PullReports
from services.pull_schedules import PullSchedules
from services.pulls import Pulled, PullService
from services.push_reading import PushReader
from services.quarantine import QuarantineService
from simulator import trade
from simulator.interactions import spend_coupon, take_coupon
from storage.comparisons import ComparisonRow
from storage.engine import Database
from storage.inbox import Inbox
from storage.paging import PageRequest
from storage.quarantine import QuarantineFilter
from storage.record_comparison import Difference
from storage.unit_of_work import UnitOfWork
from tests.connectors.harness import Outside
from tests.services.house import eventually
from tests.services.test_pulls import (
    ADMIN,
    CONNECTORS,
    SHOP,
    _is_idle,
    _lose,
    _newest_refunds,
    drained,
    live,
    one,
    pulls,
    read_all,
    read_with_people,
    world,
)
from workflows.housekeeping import PullWorkflow
from workflows.messages import FLOWS_QUEUE

__all__ = ["live", "pulls", "world"]


async def test_a_comparison_counts_what_is_missing_or_differs_and_the_inbox_mends_it(
    pulls: PullService, live: Database, world: Outside
) -> None:
    for _ in range(4):
        await world.sim.refund(stage="asked")
    await read_all(pulls, "refunds")
    await drained(live)
    assert (await pulls.compare(SHOP, "refunds")).missing == 0
    async with UnitOfWork(live) as work:
        await work.session.execute(
            text(
                "UPDATE refunds SET amount_minor = 1, version = 0, detail_version = 0 "
                "WHERE id = (SELECT id FROM refunds ORDER BY told_at DESC, id LIMIT 1)"
            )
        )
        await work.session.execute(
            text(
                "DELETE FROM refunds WHERE id = "
                "(SELECT id FROM refunds WHERE version > 0 ORDER BY told_at DESC, id LIMIT 1)"
            )
        )
    found = await pulls.compare(SHOP, "refunds")
    assert (found.missing, found.differing) == (1, 1)
    await drained(live)
    again = await pulls.compare(SHOP, "refunds")
    assert (again.records, again.missing, again.differing) == (found.records, 0, 0)


async def test_a_row_that_a_connector_chokes_on_stops_neither_pull_nor_comparison(
    pulls: PullService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await world.sim.refund(stage="asked")
    youzan = CONNECTORS["youzan"]
    real, choked = youzan.to_events, list[str]()

    def chokes(record: Verified, account: Account) -> list[Event]:
        if not choked:
            choked.append(record.dedupe_key)
        if record.dedupe_key in choked:
            raise TypeError("'int' object is not iterable")
        return real(record, account)

    monkeypatch.setattr(type(youzan), "to_events", lambda _, record, account: chokes(record, account))
    found = await pulls.compare(SHOP, "refunds")
    assert (found.records - 1, found.unread) == (found.missing, 1)
    assert found.missing >= 2
    assert (await InboxService(live, CONNECTORS).drain()).quarantined == 1
    async with UnitOfWork(live) as work:
        reasons = list(await work.session.scalars(text("SELECT reason FROM inbox WHERE state = 'quarantined'")))
    assert [reason.partition(":")[0] for reason in reasons] == ["TypeError"]
    assert (await pulls.compare(SHOP, "refunds")).missing == 0


async def test_a_refund_in_a_new_state_is_put_aside_counted_and_taken_in_after_the_release_that_knows_it(
    pulls: PullService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, *others = [(await world.sim.refund(stage="asked"))["id"] for _ in range(3)]
    inbox, shop = InboxService(live, CONNECTORS), world.sim.app.state.world
    trade.agree_return(shop, shop.refunds.get(moved), shop.refunds.get(moved).version)
    with monkeypatch.context() as earlier:
        known = {word: state for word, state in REFUND_STATUSES.items() if word != "WAIT_BUYER_RETURN_GOODS"}
        earlier.setattr(youzan_records, "REFUND_STATUSES", known)
        await read_all(pulls, "refunds")
        assert (await inbox.drain()).quarantined == 1
        found = await pulls.compare(SHOP, "refunds")
        assert (found.missing, found.differing, found.unread) == (0, 0, 1)
    async with UnitOfWork(live) as work:
        known_here = set(await work.session.scalars(text("SELECT refund_id FROM refunds")))
    assert (moved in known_here, known_here.issuperset(others)) == (False, True)
    desk = QuarantineService(live, PushReader(CONNECTORS), Masking())
    (aside,) = (await desk.list(ADMIN, QuarantineFilter(), PageRequest())).items
    assert "WAIT_BUYER_RETURN_GOODS" in str(aside.reason)
    assert (await desk.redrive(ADMIN, QuarantineFilter())).found == 1
    await drained(live)
    assert await one(live, f"SELECT status FROM refunds WHERE refund_id = '{moved}'") == ("awaiting_return",)
    found = await pulls.compare(SHOP, "refunds")
    assert (found.missing, found.differing, found.unread) == (0, 0, 0)


async def test_a_comparison_mends_what_was_misread_at_the_same_version(
    pulls: PullService, live: Database, world: Outside
) -> None:
    misread = await _newest_refunds(live, world, pulls, 3)
    for push_id in misread:
        # As a parser reads it that has a bug, whose word would always win the tie.
        change = (
            "UPDATE refunds SET amount_minor = amount_minor + 1, version_tie = {0}, detail_version_tie = {0} WHERE {1}"
        )
        await _lose(live, push_id, change.format(2**31 - 1, "{}"))
    truth = await one(live, "SELECT sum(amount_minor) - 3 FROM refunds")
    assert (await pulls.compare(SHOP, "refunds")).differing == 3
    await drained(live)
    again = await pulls.compare(SHOP, "refunds")
    assert (again.missing, again.differing) == (0, 0)
    assert await one(live, "SELECT sum(amount_minor) FROM refunds") == truth
    assert await one(live, "SELECT count(*) FROM inbox WHERE state <> 'done'") == (0,)


async def test_a_comparison_reads_again_what_was_put_aside_but_overrules_no_correction(
    pulls: PullService, live: Database, world: Outside
) -> None:
    aside, away, corrected = await _newest_refunds(live, world, pulls, 3)
    for push_id in (aside, away, corrected):
        await _lose(live, push_id)
    async with UnitOfWork(live) as work:
        for push_id in (aside, away, corrected):
            await Inbox(work).quarantine({push_id: "a field that nobody knew yet"})
    quarantine = QuarantineService(live, PushReader(CONNECTORS), Masking())
    await quarantine.put_away(ADMIN, QuarantineFilter(ids=[away]), "tests of the shop")
    new = await quarantine.correct(ADMIN, corrected, {"reason": "corrected"}, "as agreed", whole=False)
    await drained(live)
    await _lose(live, new)
    assert (await pulls.compare(SHOP, "refunds")).missing == 3
    assert await one(live, "SELECT count(*) FROM inbox WHERE state = 'waiting'") == (2,)
    await drained(live)
    assert await one(live, "SELECT count(*) FROM inbox WHERE state = 'quarantined'") == (0,)
    assert (await pulls.compare(SHOP, "refunds")).missing == 1
    assert await one(live, "SELECT count(*) FROM inbox WHERE state = 'waiting'") == (0,), "a person's word holds"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("UPDATE orders SET status = 'closed' WHERE id = {}", "status"),
        ("UPDATE orders SET paid_minor = paid_minor + 1 WHERE id = {}", "paid_minor"),
        ("UPDATE orders SET identity_id = NULL WHERE id = {}", "buyer"),
        (
            "UPDATE orders SET identity_id = (SELECT min(id) FROM identities WHERE id <> identity_id) WHERE id = {}",
            "buyer",
        ),
        ("UPDATE order_lines SET quantity = quantity + 1 WHERE order_key = {}", "lines"),
        ("UPDATE order_lines SET total_minor = 0 WHERE order_key = {}", "lines"),
        ("DELETE FROM order_lines WHERE order_key = {}", "lines"),
    ],
)
async def test_a_comparison_sees_and_mends_whatever_is_wrong_about_an_order(
    pulls: PullService, live: Database, world: Outside, change: str, part: str
) -> None:
    simulated = world.sim.app.state.world
    for _ in range(3):
        trade.pay(simulated, trade.place_order(simulated, "demo-apparel"))
    await read_all(pulls, "orders")
    await read_with_people(live)
    right = (await pulls.compare(SHOP, "orders")).found
    assert right == Difference(right.records)
    assert right.records >= 3
    async with UnitOfWork(live) as work:
        newest = await work.session.scalar(text("SELECT id FROM orders ORDER BY told_at DESC, id DESC LIMIT 1"))
        await work.session.execute(text(change.format(newest)))
    found = await pulls.compare(SHOP, "orders")
    assert (found.missing, found.differing, found.parts) == (0, 1, {part: 1})
    await read_with_people(live)
    again = await pulls.compare(SHOP, "orders")
    assert (again.records, again.missing, again.differing, again.parts) == (found.records, 0, 0, {})


async def test_a_comparison_finds_that_a_coupon_was_used_however_long_ago_it_was_taken(
    pulls: PullService, live: Database, world: Outside
) -> None:
    sim = world.sim.app.state.world
    coupon = take_coupon(sim, next(iter(sim.customers)).id, "demo-apparel", days=60)
    sim.coupons.change(coupon, taken_at=coupon.taken_at - timedelta(days=30))
    await read_all(pulls, "coupons")
    await read_with_people(live)
    assert (await pulls.compare(SHOP, "coupons")).parts == {}
    spend_coupon(sim, coupon.id, "E1")  # and its push is lost
    assert await read_all(pulls, "coupons") == (0, 0), "the list goes by when a coupon was taken"
    assert (await pulls.compare(SHOP, "coupons")).parts == {"state": 1}
    await read_with_people(live)
    assert await one(live, f"SELECT state FROM interactions WHERE key = '{coupon.id}'") == ("used",)


async def test_a_comparison_that_fails_is_told_with_its_reason_and_goes_on_where_it_stopped(
    pulls: PullService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(youzan_pulling, "_REFUNDS", replace(youzan_pulling._REFUNDS, page_size=2))
    for _ in range(6):
        await world.sim.refund(stage="asked")
    await world.break_things({"match": {"api": "youzan.trade.refund.search"}, "fault": "forbidden", "after": 3})
    with pytest.raises(ProblemError):
        await pulls.compare_on(SHOP, "refunds")
    reports = PullReports(live)
    (stopped,) = (await reports.comparisons(ADMIN, PageRequest())).items
    assert (stopped.state, "4301" in (stopped.problem or "")) == ("stopped", True)
    assert stopped.records > 0, "what was compared before counts"
    await world.break_things()
    gone_on = await pulls.compare_on(SHOP, "refunds", pages=1)
    assert gone_on == Pulled(2, 2, more=True), "not from its beginning"
    await pulls.compare(SHOP, "refunds")
    (done,) = (await reports.comparisons(ADMIN, PageRequest())).items
    recent = {refund.id for refund in world.sim.app.state.world.refunds if refund.shop == "demo-apparel"}
    assert (done.id, done.state, done.problem) == (stopped.id, "done", None)
    assert 6 <= done.records == done.missing <= len(recent)


async def test_a_comparison_that_is_throttled_keeps_what_it_compared_and_goes_on(
    pulls: PullService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(youzan_pulling, "_REFUNDS", replace(youzan_pulling._REFUNDS, page_size=2))
    for _ in range(6):
        await world.sim.refund(stage="asked")
    real, turns = PullService._compare_page, list[int]()

    async def throttled(self: PullService, *asked: Any) -> ComparisonRow:
        turns.append(1)
        if len(turns) % 2 == 0:
            raise RateLimitProblem(Text("太快", "too often"), retryable=True, retry_after_s=len(turns))
        return await real(self, *asked)

    monkeypatch.setattr(PullService, "_compare_page", throttled)
    assert await pulls.compare_on(SHOP, "refunds") == Pulled(2, 2, more=True, wait_s=5.0), "after some seconds"
    turns += [1] * 6
    assert await pulls.compare_on(SHOP, "refunds") == Pulled(2, 2, more=True, wait_s=10.0), "where it stopped"
    turns.append(1)
    with pytest.raises(RateLimitProblem):
        await pulls.compare_on(SHOP, "refunds")


async def test_a_comparison_that_never_ends_is_given_up_by_the_next_nights(
    pulls: PullService, live: Database, world: Outside
) -> None:
    await world.break_things({"match": {"api": "youzan.trade.refund.search"}, "fault": "forbidden"})
    with pytest.raises(ProblemError):
        await pulls.compare_on(SHOP, "refunds")
    async with UnitOfWork(live) as work:
        await work.session.execute(text("UPDATE comparisons SET begun_at = begun_at - interval '21 hours'"))
    await world.break_things()
    assert (await pulls.compare(SHOP, "refunds")).state == "done"
    states = [each.state for each in (await PullReports(live).comparisons(ADMIN, PageRequest())).items]
    assert states == ["done", "failed"]


async def test_each_night_a_stream_is_compared_and_what_it_lacked_is_told(
    pulls: PullService, live: Database, world: Outside, temporal: Client
) -> None:
    await world.sim.refund(stage="asked")
    await PullSchedules(live, temporal, CONNECTORS).sync()
    night = temporal.get_schedule_handle(f"stream/compare/{SHOP}/refunds")

    async def found(nights: int) -> ComparisonRow | None:
        told = (await PullReports(live).comparisons(ADMIN, PageRequest(), account_id=SHOP)).items
        return told[0] if len(told) >= nights and told[0].state == "done" else None

    flows = Worker(temporal, task_queue=FLOWS_QUEUE, workflows=[PullWorkflow])
    platform = Worker(temporal, task_queue="platform.youzan", activities=[PullActivities(pulls).pull])
    async with flows, platform:
        await night.trigger()
        first = await eventually(partial(found, 1))
        assert (first.stream, first.differing) == ("refunds", 0)
        assert first.missing == first.records > 0, "nothing was read before"
        await drained(live)
        # A stroke while the one before is still at work is left out.
        await eventually(partial(_is_idle, night))
        await night.trigger()
        second = await eventually(partial(found, 2))
        assert (second.records, second.accuracy) == (first.records, 1)
