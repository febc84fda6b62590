import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client

from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.events import Event
from domain.organisation import Placement, Unit
from domain.problems import ConflictProblem, NotFoundProblem, UnavailableProblem, ValidationProblem
from domain.runs import Run
from services.run_reports import RunReports
from services.secrets import SecretStore
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.organisation import Units
from storage.paging import PageRequest
from storage.runs import RunFilter, Runs
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.house import ADMIN, House, a_flow, eventually
from workflows.messages import FlowStart, RunReport

HELLO = a_flow("hello", "- greet:\n    set: {greeting: '${ \"hello \" + .name }'}")
WAITING = a_flow(
    "waiting",
    """
- hear:
    listen: {to: {one: {with: {type: shop.bell}}}}
    timeout: {after: P1D}
- finish:
    set: {rung: true}
""",
)
FRAGILE = a_flow(
    "fragile",
    """
- first:
    set: {n: '${ .n + 1 }'}
- check:
    listen: {to: {one: {with: {type: shop.repaired}}}}
    timeout: {after: PT0.2S}
- last:
    set: {done: true}
""",
)


async def test_a_run_starts_ends_and_shows_what_it_did(house: House) -> None:
    await house.publish(HELLO)
    async with house.worker():
        started = await house.runs.start(ADMIN, "shop", "hello", {"name": "Li"}, subject="customer:42")
        run = await house.until(started.id, "completed")
    assert (run.output, run.input, run.customer, run.version) == (
        {"greeting": "hello Li"},
        {"name": "Li"},
        "42",
        "1.0.0",
    )
    assert [(task["name"], task["status"]) for task in run.tasks] == [("greet", "completed")]
    assert run.ended_at is not None


async def test_the_same_request_id_is_the_same_run(house: House) -> None:
    await house.publish(HELLO)
    starts = [house.runs.start(ADMIN, "shop", "hello", {"name": "Li"}, request_id="order-7") for _ in range(5)]
    ids = {run.id for run in await asyncio.gather(*starts)}
    assert ids == {"flow/shop/hello/order-7"}
    with pytest.raises(ConflictProblem, match="other content"):
        await house.runs.start(ADMIN, "shop", "hello", {"name": "Wang"}, request_id="order-7")
    async with house.worker():
        await house.until(ids.pop(), "completed")


async def test_a_flow_that_is_not_released_does_not_start(house: House) -> None:
    await house.publish(HELLO, release=False)
    with pytest.raises(NotFoundProblem, match="not released"):
        await house.runs.start(ADMIN, "shop", "hello")
    run = await house.runs.start(ADMIN, "shop", "hello", {"name": "x"}, version="1.0.0")
    assert run.version == "1.0.0"


async def test_a_started_run_is_found_in_temporal_by_what_it_is_about(house: House) -> None:
    await house.publish(WAITING)
    about = ("order:E1", "customer:42", "ticket:T-7")
    run = await house.runs.start(ADMIN, "shop", "waiting", subject="refund:R1", subjects=about)
    described = await house.client.get_workflow_handle(run.id).describe()
    found = described.typed_search_attributes
    assert {pair.key.name: pair.value for pair in found} == {
        "TandemFlow": "shop/waiting",
        "TandemVersion": "1.0.0",
        "TandemSubject": ["refund:R1", *about],
        "TandemCustomer": "42",
        "TandemTicket": "T-7",
        "TandemPhase": "running",
    }
    assert described.workflow_type == "shop/waiting"
    assert await described.memo() == {"version": "1.0.0", "digest": run.digest, "attempt": 1}
    async with house.worker():
        # A run that is over before it ever waited is not shown again.
        await house.until(run.id, "waiting")
        await house.runs.cancel(ADMIN, run.id)
        await house.until(run.id, "cancelled")
    described = await house.client.get_workflow_handle(run.id).describe()
    assert {pair.key.name: pair.value for pair in described.typed_search_attributes}["TandemPhase"] == "cancelled"


async def test_a_subject_may_be_as_long_as_it_is_allowed_to_be(house: House) -> None:
    """Temporal takes summaries of 400 bytes only, and each of these letters has three."""
    await house.publish(HELLO)
    subject = "customer:" + "客" * 247
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "hello", {"name": "Li"}, subject=subject)
        assert (await house.until(run.id, "completed")).subject == subject


async def test_a_child_gets_the_secrets_that_it_may_use_and_no_others(house: House) -> None:
    for name in ("shop", "other"):
        await SecretStore(house.database).set(ADMIN, name, f"secret of {name}")
    child = a_flow("keyed", "- done:\n    set: {ok: true}", head="use: {secrets: [shop]}")
    parent = a_flow("parent", "- child:\n    run: {workflow: {namespace: shop, name: keyed, version: latest}}")
    await house.publish(child, parent)
    async with house.worker():
        run = await house.until((await house.runs.start(ADMIN, "shop", "parent")).id, "completed", "faulted")
        assert (run.phase, run.output) == ("completed", {"ok": True}), run.error
        page = await house.runs.search(ADMIN, RunFilter(name="keyed"), PageRequest())
        history = await house.client.get_workflow_handle(page.items[0].id).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        (start,) = await house.client.data_converter.decode(started.input.payloads, [FlowStart])
        assert start.secrets == {"shop": None}


async def test_a_run_keeps_its_version_when_another_is_released(house: House) -> None:
    await house.publish(WAITING)
    old = await house.runs.start(ADMIN, "shop", "waiting", request_id="old")
    await house.publish(a_flow("waiting", "- a:\n    set: {b: 2}", version="2.0.0"))
    again = await house.runs.start(ADMIN, "shop", "waiting", request_id="old")
    new = await house.runs.start(ADMIN, "shop", "waiting", request_id="new")
    assert (old.version, again.version, new.version) == ("1.0.0", "1.0.0", "2.0.0")


async def test_what_temporal_did_not_take_is_started_by_the_sweeper(house: House, database_url: str) -> None:
    await house.publish(HELLO)
    unreachable = House(house.database, await Client.connect("127.0.0.1:9", lazy=True), deadline_s=0.3)
    run = await unreachable.runs.start(ADMIN, "shop", "hello", {"name": "Li"}, request_id="later")
    assert run.phase == "pending"
    assert "does not answer" in ((await house.runs.show(ADMIN, run.id)).start_problem or "")
    async with house.worker():
        assert await eventually(lambda: house.starter.sweep()) == 1
        assert (await house.until(run.id, "completed")).output == {"greeting": "hello Li"}


async def test_a_start_that_temporal_took_before_the_process_died_is_not_doubled(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting", request_id="once")
    async with UnitOfWork(house.database) as work:
        row = await Runs(work).row(run.id, for_update=True)
        assert row is not None
        row.start_due_at, row.phase = work.now - timedelta(seconds=1), "pending"
    assert await house.starter.sweep() == 1
    assert (await house.runs.show(ADMIN, run.id, live=False)).phase == "running"
    found = await house.orchestrator.situation(run.id)
    assert found is not None
    assert found.situation == "running"


async def test_a_live_run_tells_its_own_progress(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting")
    async with house.worker():
        await house.until(run.id, "waiting")
        shown = await house.runs.show(ADMIN, run.id)
        assert (shown.live, shown.phase) == (True, "waiting")
        assert [(task["name"], task["status"]) for task in shown.tasks] == [("hear", "waiting")]
    without_worker = await house.runs.show(ADMIN, run.id)
    assert (without_worker.live, without_worker.phase) == (False, "waiting")


async def test_cancel_ends_a_run_once(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting")
    async with house.worker():
        await house.until(run.id, "waiting")
        await house.runs.cancel(ADMIN, run.id, "not needed")
        await house.until(run.id, "cancelled")
        assert (await house.runs.cancel(ADMIN, run.id)).phase == "cancelled"
        with pytest.raises(ConflictProblem, match="has ended"):
            await house.runs.suspend(ADMIN, run.id)
    async with UnitOfWork(house.database) as work:
        entries = (await AuditLog(work).list(ADMIN.scope, PageRequest(), action="run.cancel")).items
    assert [entry.detail["reason"] for entry in entries] == ["not needed"]


async def test_a_run_cancelled_before_temporal_had_it_never_runs(house: House) -> None:
    await house.publish(HELLO)
    unreachable = House(house.database, await Client.connect("127.0.0.1:9", lazy=True), deadline_s=0.3)
    run = await unreachable.runs.start(ADMIN, "shop", "hello", {"name": "Li"})
    with pytest.raises(UnavailableProblem):
        await unreachable.runs.cancel(ADMIN, run.id)
    assert await house.starter.sweep() == 0
    assert (await house.runs.show(ADMIN, run.id)).phase == "cancelled"


async def test_suspend_and_resume_are_idempotent(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting")
    async with house.worker():
        await house.until(run.id, "waiting")
        assert (await house.runs.suspend(ADMIN, run.id)).phase == "suspended"
        assert (await house.runs.suspend(ADMIN, run.id)).phase == "suspended"
        assert (await house.runs.resume(ADMIN, run.id)).phase in ("running", "waiting")
        assert (await house.runs.resume(ADMIN, run.id)).phase in ("running", "waiting")


async def test_an_order_without_a_worker_is_refused_in_time(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting")
    with pytest.raises(UnavailableProblem, match="no worker"):
        await house.runs.suspend(ADMIN, run.id)


async def test_a_failed_run_is_taken_up_again_from_the_step_that_failed(house: House) -> None:
    await house.publish(FRAGILE)
    run = await house.runs.start(ADMIN, "shop", "fragile", {"n": 1})
    async with house.worker():
        failed = await house.until(run.id, "faulted")
        assert failed.error is not None
        assert failed.error["status"] == 408
        retried = await house.runs.retry(ADMIN, run.id)
        assert (retried.id, retried.attempt) == (run.id, 2)
        again = await house.until(run.id, "faulted")
        assert again.attempt == 2
        # The first step was done in the first attempt and is not done again.
        assert [task["name"] for task in again.tasks].count("first") == 1
        await house.runs.retry(ADMIN, run.id)
        await house.until(run.id, "faulted")
        found = await house.orchestrator.situation(run.id)
        assert found is not None
        assert found.attempt == 3


async def test_a_run_is_taken_up_again_though_its_last_attempt_has_not_quite_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run tells its end before Temporal closes it; whoever looks is sometimes faster."""
    record = RunReports.record

    async def slowly(reports: RunReports, report: RunReport) -> bool:
        is_new = await record(reports, report)
        await asyncio.sleep(0.3 if report.phase == "faulted" else 0)
        return is_new

    monkeypatch.setattr(RunReports, "record", slowly)
    await house.publish(FRAGILE)
    run = await house.runs.start(ADMIN, "shop", "fragile", {"n": 1})
    async with house.worker():
        await house.until(run.id, "faulted")
        assert (await house.runs.retry(ADMIN, run.id)).phase == "pending"
        assert (await house.until(run.id, "faulted")).attempt == 2


async def test_a_run_taken_up_again_gets_the_events_that_came_while_it_stood_still(house: House) -> None:
    await house.publish(FRAGILE)
    run = await house.runs.start(ADMIN, "shop", "fragile", {"n": 1}, subject="order:1")
    async with house.worker():
        await house.until(run.id, "faulted")
        await house.emit(Event(id="e1", source="/test", type="shop.repaired", subject="order:1"))
        await house.runs.retry(ADMIN, run.id)
        assert (await house.until(run.id, "completed")).output == {"done": True}


async def test_only_a_failed_run_can_be_taken_up_again(house: House) -> None:
    await house.publish(HELLO)
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "hello", {"name": "Li"})
        await house.until(run.id, "completed")
    with pytest.raises(ConflictProblem, match="it is completed"):
        await house.runs.retry(ADMIN, run.id)


async def test_an_older_report_never_overwrites_a_newer_one(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting")
    newer = RunReport(run.id, "suspended", "2026-11-11T00:00:02.000Z")
    older = RunReport(run.id, "waiting", "2026-11-11T00:00:01.000Z")
    assert await house.reports.record(newer)
    assert not await house.reports.record(older)
    assert not await house.reports.record(newer)
    assert (await house.runs.show(ADMIN, run.id, live=False)).phase == "suspended"


async def test_lists_are_filtered_and_bounded_by_scope(house: House) -> None:
    await house.publish(HELLO)
    async with UnitOfWork(house.database) as work:
        await Units(work).add(Unit(path="/east/", name="East"))
        await Accounts(work).add(
            NewAccount(platform="youzan", slug="east", name="East", unit_path="/east/", credentials={})
        )
    east = Placement(account_id="youzan/east")
    await house.runs.start(ADMIN, "shop", "hello", {"name": "a"}, subject="customer:1", placement=east)
    await house.runs.start(ADMIN, "shop", "hello", {"name": "b"}, subject="order:2", subjects=["ticket:9"])

    async def found(wanted: RunFilter, scope: Scope = ADMIN.scope) -> list[str]:
        actor = an_actor("somebody", Role.OPS, scope=scope)
        page = await house.runs.search(actor, wanted, PageRequest())
        return [run.subject for run in page.items]

    assert await found(RunFilter()) == ["order:2", "customer:1"]
    assert await found(RunFilter(subject="ticket:9")) == ["order:2"]
    assert await found(RunFilter(customer="1")) == ["customer:1"]
    assert await found(RunFilter(ticket="9")) == ["order:2"]
    assert await found(RunFilter(phases=("completed",))) == []
    assert await found(RunFilter(), Scope.of_branch("/east/")) == ["customer:1"]
    assert await found(RunFilter(), Scope.of_accounts("youzan/west")) == []
    hidden = await house.runs.search(ADMIN, RunFilter(customer="1"), PageRequest())
    west = an_actor("west", Role.OPS, scope=Scope.of_branch("/west/"))
    with pytest.raises(NotFoundProblem):
        await house.runs.show(west, hidden.items[0].id)
    with pytest.raises(NotFoundProblem):
        await house.runs.cancel(west, hidden.items[0].id)


async def test_subjects_have_a_kind(house: House) -> None:
    await house.publish(HELLO)
    with pytest.raises(ValidationProblem, match="kind:id"):
        await house.runs.start(ADMIN, "shop", "hello", subject="42")


async def test_a_run_that_was_terminated_behind_our_back_ends_in_the_read_model(house: House) -> None:
    await house.publish(WAITING)
    run = await house.runs.start(ADMIN, "shop", "waiting")
    await house.client.get_workflow_handle(run.id).terminate("by hand")
    async with UnitOfWork(house.database) as work:
        row = await Runs(work).row(run.id, for_update=True)
        assert row is not None
        row.checked_at = work.now - timedelta(hours=1)
    assert await house.reports.reconcile() == 1
    ended = await house.runs.show(ADMIN, run.id)
    assert ended.phase == "cancelled"
    assert "terminated" in str(ended.error)


async def test_after_a_run_the_next_one_is_planned(house: House) -> None:
    await house.publish(a_flow("again", "- a:\n    set: {b: 1}", head="schedule:\n  after: PT1H\n"))
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "again")
        await house.until(run.id, "completed")
    runs = (await house.runs.search(ADMIN, RunFilter(), PageRequest())).items
    assert [each.phase for each in runs] == ["running", "completed"]
    planned = await house.client.get_workflow_handle(runs[0].id).describe()
    assert planned.execution_time is not None
    assert planned.execution_time - planned.start_time > timedelta(minutes=59)


async def test_personal_data_of_a_run_is_unreadable_in_the_database(house: House, database_url: str) -> None:
    import psycopg

    await house.publish(HELLO)
    run = await house.runs.start(ADMIN, "shop", "hello", {"name": "李雷"})
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT input FROM runs WHERE id = %s", [run.id])).fetchone()
    assert row is not None
    assert "李雷".encode() not in bytes(row[0])


async def test_a_database_without_the_run_is_told_by_temporal(house: House, database: Database) -> None:
    """A run started by hand in Temporal is adopted when it reports."""
    await house.publish(HELLO)
    known = await house.runs.start(ADMIN, "shop", "hello", {"name": "x"}, request_id="template")
    del database
    async with UnitOfWork(house.database) as work:
        row = await Runs(work).row(known.id, for_update=True)
        assert row is not None
        await work.session.delete(row)
    async with house.worker():
        run = await eventually(lambda: _shown(house, known.id))
    assert run.started_by == "system:temporal"


async def _shown(house: House, run_id: str) -> Run | None:
    try:
        return await house.runs.show(ADMIN, run_id, live=False)
    except NotFoundProblem:
        return None
