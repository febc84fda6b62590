"""A payout from the transfer to the payee's own word, by the flow that comes along: what real WeChat Pay asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.binding import CallBinder
from activities.customers import customer_activities
from activities.messages import message_activities
from activities.runs import RunActivities
from connectors.accounts import secret_fields
from connectors.loading import load_connectors
from connectors.templates import TemplateRenderer
from domain.access import Role
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.canonical.keys import IdentityKey
from domain.canonical.people import ContactData
from domain.catalog.messages import SEND
from domain.journeys.reach import ReachPolicy
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.customer_facts import CustomerFactsService
from services.customer_tags import CustomerTagService
from services.payout_confirmations import PayoutConfirmations
from services.reach import ReachService
from services.wechat_pay_rail import WechatPayRail
from storage.accounts import Accounts
from storage.human_tasks import HumanTaskSummary
from storage.identities import Customers, Identities, NewKey
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside, perform
from tests.services.cashier import Cashier
from tests.services.house import House, eventually
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN
from tests.services.test_suppressions import take_in
from workflows.flow import FlowWorkflow
from workflows.housekeeping import StartScheduledRunWorkflow
from workflows.messages import FLOWS_QUEUE

__all__ = ["office"]
FINANCE = an_actor("qian", Role.FINANCE, queues=frozenset({"finance"}))


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        yield running


@pytest.fixture
async def house(office: Office, temporal: Client) -> AsyncIterator[House]:
    house = House(office.database, temporal)
    await house.publish("queue: { name: finance, title: 财务 }")
    for file in ("forms", "messages", "payout-confirmation"):
        await house.publish(Path(f"definitions/settlement/{file}.yaml").read_text(encoding="utf-8"))
    yield house
    await house.close()


@asynccontextmanager
async def working(house: House, world: Outside) -> AsyncIterator[None]:
    """Workers for flows and for messages."""
    binder, database = CallBinder(house.database, NoSecrets()), house.database
    runs = RunActivities(house.reports, house.steps, house.events, house.runs)
    facts = customer_activities(binder, CustomerFactsService(database), CustomerTagService(database))
    async with TemplateRenderer() as renderer:
        reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))
        sends = message_activities(binder, Connections(database), reach, renderer, world.link)
        async with (
            Worker(
                house.client,
                task_queue=FLOWS_QUEUE,
                workflows=[FlowWorkflow, StartScheduledRunWorkflow],
                activities=[*runs.all, *facts],
                workflow_runner=UnsandboxedWorkflowRunner(),
            ),
            Worker(house.client, task_queue=SEND.queue, activities=sends),
        ):
            yield


async def connect(office: Office, world: Outside, platform: str, slug: str) -> dict[str, str]:
    """An account of the simulator's; its settings."""
    account = await world.account(platform)
    connectors = load_connectors(Catalog())
    secret = secret_fields(connectors[platform].settings)
    fields = connectors[platform].settings.model_fields
    told = {name: value for name, value in account.settings.items() if name in fields}
    credentials = {name: str(told.pop(name)) for name in secret & told.keys()}
    new = NewAccount(platform=platform, slug=slug, name=slug, settings=told, credentials=credentials)
    await PlatformAccounts(office.database, connectors).connect(an_actor("root"), new)
    return {name: str(value) for name, value in account.settings.items()}


async def test_the_payee_is_told_and_confirms_and_who_cannot_be_told_is_finances(
    office: Office, house: House, world: Outside
) -> None:
    merchant = await connect(office, world, "wechat_pay", "main")
    await connect(office, world, "wecom", "corp")
    friends = (await world.sim.admin("GET", "/customers"))["customers"]
    friend = next(each["external_userid"] for each in friends if each["external_userid"])
    async with UnitOfWork(office.database) as work:
        app = {"app_id": merchant["app_id"]}
        await Accounts(work).add(
            NewAccount(platform="official_account", slug="news", name="News", settings=app, credentials={})
        )
        (customer,) = await Customers(work).add(1)
        known = (
            IdentityKey("openid", "official_account/news", "o-P1"),
            IdentityKey("external_userid", "wecom/corp", friend),
        )
        await Identities(work).add([NewKey(key, customer, None, work.now) for key in known])
    seen = await perform(await world.open("wecom"), "wecom.get_customer", external_userid=friend)
    contact = ContactData(
        platform="wecom", account="corp", version=1, external_userid=friend, userid=seen.followers[0].userid
    )
    await take_in(office.database, contact__added=contact)

    office.clock.now = max(office.clock.now, datetime.now(UTC))
    cashier = Cashier(office, {"wechat-pay": WechatPayRail(Connections(office.database), world.link)})
    for code in ("P1", "C1"):
        await cashier.payee(code, openid=f"o-{code}", real_name=f"名{code}")
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    view = await cashier.paid()
    assert await cashier.states(view) == {"awaiting_user": 2}

    while (await house.dispatcher.drain()).dispatched:
        pass

    async def told() -> bool:
        return await world.effects(kind="message") == 1

    async def tasks() -> list[HumanTaskSummary]:
        return list((await house.human_tasks.waiting(FINANCE, PageRequest())).items)

    async with working(house, world):
        await eventually(told, seconds=30)
        (task,) = await eventually(tasks, seconds=30)
    (message,) = [each for each in (await world.sim.ledger(kind="message"))["entries"] if each["effect"]]
    assert "15.37 元的佣金待确认收款" in str(message["request"])
    assert "C1" in task.title

    # The mini-program asks for what it needs, and the payee takes the money.
    payouts = (await cashier.service.payouts(QIAN, view.batch.id, PageRequest())).items
    number = next(each.payout.number for each in payouts if each.payee == "P1")
    found = (await PayoutConfirmations(office.database).show(QIAN, number, "小程序")).confirmation
    page = {"mchId": found.mch_id, "appId": found.app_id, "package": found.package_info, "openId": "o-P1"}
    await world.sim.admin("POST", "/transfers/confirm", json=page)
    office.clock.now += timedelta(minutes=2)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"awaiting_user": 1, "paid": 1}
