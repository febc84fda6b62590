"""The shipped rules' tags in WeCom and WeCom's here, with the workers that really do it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.drains import Drains
from activities.lookups import LookupActivities
from connectors.lookups import looked_up
from connectors.subscribers import Subscribers
from connectors.web.guard import WebSettings
from connectors.webhooks import Verified
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.erasure import ErasureWorker
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.lookups import LookupDesk
from services.retention import RetentionService
from services.selling import Selling
from services.streams import StreamDelivery
from services.tagging import Tagging
from tests.connectors.harness import CONNECTORS
from tests.services.house import House, eventually
from tests.services.test_shared_tags import ADMIN, CORP, Scene, running, scene
from tests.settlements import due_of, payouts_of, settlements_of
from worker import GRACE
from workflows import messages
from workflows.housekeeping import DrainWorkflow

__all__ = ("running", "scene")

QUEUE = CONNECTORS["wecom"].queue
PATIENCE_S = 60.0
QUIET_S = 3.0


async def test_shipped_tags_go_both_ways_and_come_to_rest(scene: Scene, temporal: Client) -> None:
    calls: list[str] = []
    async with working(scene, temporal), counting(scene, calls):
        await publish_shipped(scene)
        for number in (1, 2, 3):
            await buy(scene, number, "paid")
        both = {scene.first: ["高价值"], scene.second: ["高价值"]}
        await until(scene, shown=both, carried={"高价值": "rule"})
        await scene.do("tag", tag="孕妈", group="人群")
        await until(scene, carried={"高价值": "rule", "孕妈": f"platform:{CORP}"})
        await scene.do("untag", tag="孕妈", group="人群")
        await until(scene, shown=both, carried={"高价值": "rule"})
        assert await at_rest(scene, calls) == 2, "each member's contact was marked once"
        await buy(scene, 1, "closed")
        await until(scene, shown={scene.first: [], scene.second: []}, carried={})
        assert await at_rest(scene, calls) == 4
    assert await scene.told() == [
        ("gained", "高价值"), ("gained", "孕妈"), ("lost", "孕妈"), ("lost", "高价值"),
    ]  # fmt: skip


async def publish_shipped(scene: Scene) -> None:
    definitions = DefinitionService(scene.live)
    path = Path("definitions/tags/value.yaml")
    for uploaded in await definitions.upload(ADMIN, [SourceText(path.name, path.read_text("utf-8"))]):
        stored = uploaded.version
        await definitions.publish(ADMIN, (stored.kind, stored.namespace, stored.name, stored.version))


async def buy(scene: Scene, number: int, status: str) -> None:
    """The customer's order is paid, or is closed after all."""
    buyer = {"unionid": scene.world.sim.app.state.world.customers.get(scene.person).unionid}
    version = 1 if status == "paid" else 2
    order = {"order_id": f"E{number}", "status": status, "paid_minor": 9900, "version": version, "buyer": buyer}
    body = json.dumps({"type": "order", "data": order}).encode()
    push = Verified("tandem.records", body, f"order-{number}-{status}", scene.world.link.now())
    await InboxService(scene.live, CONNECTORS).accept("wecom", "demo-corp", push)


async def until(scene: Scene, *, carried: dict[str, str], shown: dict[str, list[str]] | None = None) -> None:
    """Fails when the two sides have not come to this after a minute; says where they stand."""
    last: list[object] = []

    async def agree() -> bool:
        last[:] = await scene.carried(), await scene.shown()
        return last[0] == carried and shown in (None, last[1])

    try:
        await eventually(agree, seconds=PATIENCE_S)
    except TimeoutError:
        raise AssertionError(f"they stand at {last}") from None


async def at_rest(scene: Scene, calls: list[str]) -> int:
    """How many tags were written at WeCom, once it is quiet; fails when it is asked for anything after that."""
    await asyncio.sleep(QUIET_S)
    writes, before = await scene.writes(), len(calls)
    await asyncio.sleep(QUIET_S)
    assert calls[before:] == [], "nothing goes round in circles"
    return writes


@asynccontextmanager
async def counting(scene: Scene, calls: list[str]) -> AsyncIterator[None]:
    """Note every call to a platform."""

    async def note(request: httpx.Request) -> None:
        calls.append(request.url.path)

    hooks = scene.world.link.http.event_hooks
    hooks["request"].append(note)
    try:
        yield
    finally:
        hooks["request"].remove(note)


@asynccontextmanager
async def working(scene: Scene, temporal: Client) -> AsyncIterator[None]:
    """The workers of the drains and of WeCom's queue, as `worker.py` makes them."""
    house, subscribers = House(scene.live, temporal), Subscribers(WebSettings((), False))
    tagging = Tagging(scene.live, scene.book)
    intake = Intake(IdentityService(), tagging, LookupDesk(looked_up(CONNECTORS)))
    drains = Drains(
        scene.live,
        InboxService(scene.live, CONNECTORS, intake),
        house.dispatcher,
        house.starter,
        house.reports,
        house.schedules,
        house.pull_schedules,
        house.bill_schedules,
        house.unreconciled,
        due_of(scene.live, house.orchestrator),
        RetentionService(scene.live),
        tagging,
        ErasureWorker(scene.live, house.orchestrator),
        StreamDelivery(scene.live, subscribers, house.masking),
        Selling(scene.live),
        settlements_of(scene.live, house.orchestrator),
        payouts_of(scene.live, house.orchestrator),
    )
    lookups = LookupActivities(scene.lookups(), {QUEUE: "wecom"})
    drained = [messages.Drain("inbox"), messages.Drain("tags"), messages.Drain("lookups", queue=QUEUE)]
    handles = [
        await house.client.start_workflow(
            messages.DRAIN_WORKFLOW, drain, id=f"tandem/drain/{drain.name}/{uuid4()}", task_queue=messages.FLOWS_QUEUE
        )
        for drain in drained
    ]
    flows = Worker(
        house.client,
        task_queue=messages.FLOWS_QUEUE,
        workflows=[DrainWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    # With time to end: one that is cancelled in the moment in which it ends by itself is not found any more.
    inbox = Worker(
        house.client, task_queue=messages.INBOX_QUEUE, activities=[drains.drain], graceful_shutdown_timeout=GRACE
    )
    platform = Worker(house.client, task_queue=QUEUE, activities=[lookups.drain], graceful_shutdown_timeout=GRACE)
    try:
        async with flows, inbox, platform:
            yield
    finally:
        for handle in handles:
            await handle.terminate("the test is over")
        await subscribers.aclose()
        await house.close()
