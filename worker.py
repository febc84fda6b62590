"""A worker process: serves all task queues, or those that are named; drains gracefully on SIGTERM."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.binding import CallBinder
from activities.breaks import break_activities
from activities.channels import ChannelActivities
from activities.coupons import coupon_activities
from activities.customers import customer_activities
from activities.drains import Drains
from activities.goods import goods_activities
from activities.lookups import LookupActivities
from activities.messages import message_activities
from activities.orders import order_activities
from activities.payees import payee_activities
from activities.payouts import PayoutActivities
from activities.platforms import platform_activities
from activities.pulls import PullActivities
from activities.reconciliation import BillActivities, ReconciliationActivities
from activities.runs import RunActivities
from activities.settlement import SettlementActivities
from activities.web import web_activities
from connectors.http import Link, open_client
from connectors.lookups import can_be_asked
from connectors.templates import TemplateRenderer
from connectors.web.caller import WebCaller
from connectors.web.guard import WebSettings
from domain.catalog.messages import SEND
from domain.problems import ConfigurationProblem, Text
from runtime.application import Application
from runtime.collector import settle_collector
from runtime.logging import LogContextInterceptor
from runtime.settings import MOST_INBOX_LANES, Settings
from runtime.telemetry import configure_telemetry, serve_worker_metrics
from services.channels import listening
from services.direct_messages import DirectMessages
from services.pacing import AccountPacer
from workflows import messages
from workflows.flow import FlowWorkflow
from workflows.housekeeping import DrainWorkflow, PullWorkflow, StartScheduledRunWorkflow
from workflows.payouts import PayingWorkflow, PayoutChunkWorkflow, PayoutPlanWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.settlement import BookingWorkflow, CalculationWorkflow, SettlementRunWorkflow

log = structlog.get_logger(__name__)

GRACE = timedelta(seconds=25)
DRAINS = tuple(messages.Drain(step) for step in ("events", "runs", "tags", "streams", "sales"))
POLLERS = 20
PARTS_AT_ONCE = 2
"""Parts of settlements that a worker computes at once; each is the database's work first, then this process's."""
CHUNKS_AT_ONCE = 4
"""Chunks of payouts that a worker follows at once; each asks for sixteen payouts at a time, and waits for platforms."""
CACHED_RUNS = 400
"""Runs that a worker keeps in memory, some 95 kB each; one that is asked for again after that is replayed first."""


_WORKFLOWS: Mapping[str, Sequence[type]] = {
    messages.FLOWS_QUEUE: [FlowWorkflow, DrainWorkflow, PullWorkflow, StartScheduledRunWorkflow],
    messages.SETTLEMENT_QUEUE: [
        CalculationWorkflow,
        SettlementRunWorkflow,
        BookingWorkflow,
        PayoutPlanWorkflow,
        PayingWorkflow,
        PayoutChunkWorkflow,
        ReconciliationWorkflow,
    ],
}
_AT_ONCE: Mapping[str, int] = {
    messages.SETTLEMENT_QUEUE: PARTS_AT_ONCE,
    messages.PAYOUTS_QUEUE: CHUNKS_AT_ONCE,
}
"""Activities that a worker does at once, where a queue has a limit of its own."""


async def serve(settings: Settings, queues: Sequence[str] = ()) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in hand.

    Raises ConfigurationProblem for a queue that nobody knows, UnavailableProblem when Temporal cannot be reached.
    """
    serve_worker_metrics(settings.worker_metrics_port)
    application = await Application.connect(settings, configure_telemetry("worker", settings.otel_endpoint))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(application.close)
        makers = await _makers(application, stack)
        workers = [make() for make in _chosen(makers, queues)]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        asked = [connector.queue for connector in application.connectors.values() if can_be_asked(connector)]
        lanes = [messages.Drain("inbox", lane) for lane in range(MOST_INBOX_LANES)]
        own = [messages.Drain("lookups", queue=each) for each in asked]
        own += [messages.Drain("channels", queue=each) for each in listening(application.connectors)]
        await keep_drains_going(application.client, [*DRAINS, *lanes[: settings.inbox_lanes], *own])
        await end_drains(application.client, lanes[settings.inbox_lanes :])
        runs = [asyncio.create_task(worker.run()) for worker in workers]
        settle_collector()
        log.info("worker serves", queues=sorted(worker.task_queue for worker in workers))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, *runs], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        log.info("worker stops")
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*runs)


async def _makers(application: Application, stack: contextlib.AsyncExitStack) -> Mapping[str, Callable[[], Worker]]:
    """How to make the worker of each queue."""
    settings, client = application.settings, application.client
    binder = CallBinder(application.database, application.secret_reader)
    pacer = AccountPacer(application.database)

    async def own_link() -> Link:
        """With connections of its own: a platform that hangs takes none from another."""
        return Link(await stack.enter_async_context(open_client()), application.platform_tokens, pacer=pacer)

    renderer = await stack.enter_async_context(TemplateRenderer())
    web = WebCaller(WebSettings(settings.http_allowed_hosts, settings.http_allow_private))
    stack.push_async_callback(web.aclose)
    runs = RunActivities(application.run_reports, application.human_task_steps, application.events, application.runs)
    drains = Drains(
        application.database,
        application.inbox,
        application.dispatcher,
        application.starter,
        application.run_reports,
        application.schedules,
        application.pull_schedules,
        application.bill_schedules,
        application.unreconciled,
        application.due_settlements,
        application.retention,
        application.tagging,
        application.erasure_worker,
        await stack.enter_async_context(application.streams()),
        application.selling,
        application.settlements,
        application.payout_starts,
    )
    payouts = PayoutActivities(application.payout_planning(await own_link()), application.paying(await own_link()))
    by_queue: dict[str, list[Callable[..., Any]]] = {
        messages.FLOWS_QUEUE: [
            *runs.all,
            *web_activities(binder, web),
            *goods_activities(binder, application.goods),
            *order_activities(binder, application.orders),
            *break_activities(binder, application.breaks),
            *payee_activities(binder, application.flow_facts),
            *coupon_activities(binder, application.coupons),
            *customer_activities(binder, application.customer_facts, application.customer_tags),
        ],
        messages.INBOX_QUEUE: [drains.drain],
        messages.SETTLEMENT_QUEUE: [
            *SettlementActivities(application.calculation_steps, application.settlement_runs).all,
            *payouts.all,
            *ReconciliationActivities(application.reconciliation, application.unreconciled).all,
        ],
        messages.PAYOUTS_QUEUE: [*payouts.following],
    }
    for name, connector in application.connectors.items():
        queue, link = connector.queue, await own_link()
        direct = DirectMessages(application.database)
        by_queue[queue] = platform_activities(connector, binder, application.connections, direct, link)
        if getattr(connector.client, "streams", ()):
            by_queue[queue].append(PullActivities(application.pulls(link)).pull)
        if getattr(connector.client, "bill_kinds", None):
            by_queue[queue].append(BillActivities(application.bill_reader(link)).take)
        if can_be_asked(connector):
            by_queue[queue].append(LookupActivities(application.lookups(link), {queue: name}).drain)
        if queue == SEND.queue:
            by_queue[queue] += message_activities(binder, application.connections, application.reach, renderer, link)
    listened = dict(listening(application.connectors))
    channels = ChannelActivities(application.channels, listened)
    for queue in listened:
        by_queue[queue].append(channels.listen)
    rates = {connector.queue: connector.requests_per_second for connector in application.connectors.values()}
    # A platform that only pushes has nothing to serve.
    return {
        queue: _maker(client, queue, activities, rates.get(queue))
        for queue, activities in by_queue.items()
        if activities
    }


def _maker(
    client: Client, queue: str, activities: Sequence[Callable[..., Any]], rate: float | None
) -> Callable[[], Worker]:
    def make() -> Worker:
        flows = queue == messages.FLOWS_QUEUE
        return Worker(
            client,
            task_queue=queue,
            workflows=_WORKFLOWS.get(queue, []),
            activities=activities,
            # The sandbox belongs in the tests: see docs/adr/0003.
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[LogContextInterceptor()],
            max_cached_workflows=CACHED_RUNS,
            max_concurrent_workflow_task_polls=POLLERS if flows else 5,
            max_task_queue_activities_per_second=rate,
            max_concurrent_activities=_AT_ONCE.get(queue),
            graceful_shutdown_timeout=GRACE,
        )

    return make


def _chosen(makers: Mapping[str, Callable[[], Worker]], queues: Sequence[str]) -> list[Callable[[], Worker]]:
    unknown = [queue for queue in queues if queue not in makers]
    if unknown:
        known = ", ".join(makers)
        raise ConfigurationProblem(
            Text(
                f"没有任务队列 {', '.join(unknown)}，可用：{known}",
                f"There is no task queue {', '.join(unknown)}; there are {known}",
            )
        )
    return [makers[queue] for queue in queues or makers]


async def keep_drains_going(client: Client, drains: Sequence[messages.Drain]) -> None:
    """The drains run for ever, once each; starting one that runs is no error. Raises RPCError."""
    for drain in drains:
        await client.start_workflow(
            messages.DRAIN_WORKFLOW,
            drain,
            id=_id_of(drain),
            task_queue=messages.FLOWS_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )


async def end_drains(client: Client, drains: Sequence[messages.Drain]) -> None:
    """End the lanes that an earlier setting asked for; ending one that does not run is no error. Raises RPCError.

    What they have in hand is committed, or comes to the others.
    """
    for drain in drains:
        try:
            await client.get_workflow_handle(_id_of(drain)).terminate("fewer lanes are wanted now")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


def _id_of(drain: messages.Drain) -> str:
    return f"tandem/drain/{drain.name}/{drain.queue or drain.lane}"
