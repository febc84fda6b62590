"""Payouts on a real server, by WeChat Pay as the simulator plays it: faults, dying workers, payees who refuse."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.payouts import PayoutActivities
from connectors.loading import load_connectors
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Payer
from services import paying
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.orchestrator import Orchestrator
from services.paying import Paying, Standing
from services.payout_confirmations import TYPE
from services.payout_rails import PayoutOrder
from services.payout_starts import PayoutStarts
from services.payouts import PayoutWish
from services.wechat_pay_rail import WechatPayRail
from simulator.platforms.wechat_pay.transfers import Transfer
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside
from tests.services.cashier import Cashier
from tests.services.house import eventually
from tests.services.merchants import connect_merchant
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU
from workflows import messages
from workflows.payouts import PayingWorkflow, PayoutChunkWorkflow, PayoutPlanWorkflow

__all__ = ["office"]
SECRETS = {"private_key", "apiv3_key"}


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        yield running


class Clumsy(Paying):
    """Dies after every third go, when the rail has answered and everything is written."""

    goes = 0

    async def pay_chunk(self, batch_id: UUID, first: int, last: int, day: date | None = None) -> Standing:
        found = await super().pay_chunk(batch_id, first, last, day)
        self.goes += 1
        if self.goes % 3 == 1:
            raise ApplicationError("the process died")
        return found


@asynccontextmanager
async def working(temporal: Client, cashier: Cashier, rails: Paying) -> AsyncIterator[None]:
    """A worker, and time that goes on."""

    clock = cashier.office.clock
    # What is paid is signed by the real clock.
    clock.now = max(clock.now, datetime.now(UTC))

    async def tick() -> None:
        ahead = clock.now - datetime.now(UTC)
        while True:
            clock.now = datetime.now(UTC) + ahead
            await asyncio.sleep(0.05)

    ticking = asyncio.create_task(tick())
    activities = PayoutActivities(cashier.planning, rails)
    settling = Worker(
        temporal,
        task_queue=messages.SETTLEMENT_QUEUE,
        workflows=[PayoutPlanWorkflow, PayingWorkflow, PayoutChunkWorkflow],
        activities=[each for each in activities.all if each != activities.pay_chunk],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=2,
    )
    queue, following = messages.PAYOUTS_QUEUE, activities.following
    followers = Worker(temporal, task_queue=queue, activities=following, max_concurrent_activities=4)
    async with settling, followers:
        yield
    ticking.cancel()


async def test_payouts_reach_their_ends_whatever_happens_on_the_way(
    office: Office, temporal: Client, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paying, "_PAUSES", dict.fromkeys(paying._PAUSES, (0.3, 1.0)))
    monkeypatch.setattr(paying, "LEASE_S", 10.0)
    account = await world.account("wechat_pay")
    settings = dict(account.settings)
    credentials = {name: str(settings.pop(name)) for name in SECRETS & settings.keys()}
    new = NewAccount(platform="wechat_pay", slug=account.slug, name="商户", settings=settings, credentials=credentials)
    await PlatformAccounts(office.database, load_connectors(Catalog())).connect(an_actor("root"), new)

    rail = WechatPayRail(Connections(office.database), world.link)
    rails = Clumsy(office.database, {"wechat-pay": rail})
    cashier = Cashier(office)
    people = [f"P{number}" for number in range(1, 7)]
    for code in (*people, "C1", "C2"):
        await cashier.payee(code, openid=f"o-{code}", real_name=f"名{code}")
    await office.told(*(an_order(f"E{code}", channel=code) for code in people))
    await cashier.settled()

    payer = Payer(account=f"wechat_pay/{account.slug}", mch_id=str(settings["mch_id"]))
    late = PayoutOrder(1, "L" * 32, 1, 100, "CNY", PayoutDetails(openid="o"), "晚", payer, None, datetime.now(UTC))
    assert (await rail.pay(late, resumed=False)).state == "unknown", "somebody else has it by now"

    await world.break_things(
        {"match": {"platform": "wechat_pay"}, "fault": "timeout_after", "probability": 0.3},
        {"match": {"platform": "wechat_pay"}, "fault": "5xx", "probability": 0.2},
        {"match": {"platform": "wechat_pay"}, "fault": "429", "probability": 0.1},
    )
    starts = PayoutStarts(office.database, Orchestrator(temporal), cashier.service)
    async with working(temporal, cashier, rails):
        batch = await starts.ask(QIAN, PayoutWish(scheme="promoters"))

        async def planned() -> bool:
            return (await cashier.service.show(QIAN, batch.id)).batch.state == "planned"

        await eventually(planned, seconds=60)
        await starts.decide(WU, batch.id, approve=True)

        async def waits_for_people() -> bool:
            states = await cashier.states(await cashier.service.show(QIAN, batch.id))
            return states == {"awaiting_user": 8}

        await eventually(waits_for_people, seconds=60)
        assert sum((await cashier.accounts())["paying"].values()) == 11_382
        transfers = world.sim.app.state.world.shelf("wechat_pay_transfer", Transfer).having(account=account.slug)
        assert len(transfers) == 8, "each once, whatever was answered"

        async def can_all_confirm() -> bool:
            async with UnitOfWork(office.database) as work:
                told = await work.session.execute(text("SELECT count(*), count(confirmation) FROM payouts"))
                events = await work.session.execute(
                    text("SELECT count(*) FROM events WHERE type = :type"), {"type": TYPE}
                )
                return (*told.one(), *events.one()) == (8, 8, 8)

        await eventually(can_all_confirm, seconds=60)
        ends = dict(
            zip(sorted(each.out_bill_no for each in transfers), ("FAIL", "CANCELLED", *["SUCCESS"] * 6), strict=True)
        )
        for number, end in ends.items():
            told = {
                "platform": "wechat_pay",
                "account": account.slug,
                "event": end,
                "subjects": {"out_bill_no": number},
            }
            await world.sim.admin("POST", "/push", json=told)

        async def over() -> bool:
            await starts.sweep()
            return (await cashier.service.show(QIAN, batch.id)).batch.state == "done"

        await eventually(over, seconds=60)
    view = await cashier.service.show(QIAN, batch.id)
    assert await cashier.states(view) == {"cancelled": 1, "failed": 1, "paid": 6}
    assert rails.goes > 3
    moved = sum(each.amount_minor for each in transfers if ends[each.out_bill_no] == "SUCCESS")
    accounts = await cashier.accounts()
    assert accounts["wechat-pay"] == {"": moved}, "what the journal says is what moved"
    assert sum(accounts["payable"].values()) == 11_382 - moved
    assert Counter(each.state for each in view.sums) == Counter(["cancelled", "failed", "paid"])


async def test_a_batch_that_temporal_was_not_told_of_begins_later(office: Office, temporal: Client) -> None:
    cashier = Cashier(office)
    await connect_merchant(office.database)
    await cashier.payee("P1", openid="o1")
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    starts = PayoutStarts(office.database, Orchestrator(temporal), cashier.service)
    batch = await cashier.service.ask(QIAN, PayoutWish(scheme="promoters"))
    assert await starts.sweep() == 0
    office.clock.now += timedelta(seconds=31)
    assert await starts.sweep() == 1
    async with working(temporal, cashier, cashier.paying):

        async def planned() -> bool:
            return (await cashier.service.show(QIAN, batch.id)).batch.state == "planned"

        await eventually(planned, seconds=60)
        await cashier.service.decide(WU, batch.id, approve=True)
        office.clock.now += timedelta(seconds=31)
        await starts.sweep()

        async def done() -> bool:
            await starts.sweep()
            return (await cashier.service.show(QIAN, batch.id)).batch.state == "done"

        await eventually(done, seconds=60)
    assert list(cashier.rail.paid.values()) == [1_537]
