import asyncio
from typing import Any

import psycopg
import pytest

from domain.access import Actor, Role, Scope
from domain.organisation import Placement, Unit
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    UnavailableProblem,
    ValidationProblem,
)
from storage.audit import AuditLog
from storage.human_tasks import HumanTask, TaskFilter
from storage.organisation import Units
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from storage.users import Users
from tests.actors import a_user, an_actor
from tests.services.house import ADMIN, House, a_flow, eventually
from workflows.messages import CompleteHumanTask, OpenHumanTask

LI = an_actor("li", Role.AGENT, queues=frozenset({"warehouse"}))
WANG = an_actor("wang", Role.AGENT, queues=frozenset({"warehouse"}))
ZHAO = an_actor("zhao", Role.FINANCE, queues=frozenset({"finance"}))
LEAD = an_actor("lead", Role.SUPERVISOR)

FORM = """
form:
  name: inspection
  title: 验货
  schema:
    type: object
    required: [grade]
    additionalProperties: false
    properties:
      grade: {type: string, enum: [A, B, C]}
      note: {type: string, maxLength: 5}
"""
QUEUE = "queue: {name: warehouse, title: 仓库}"
FLOW = a_flow(
    "inspect",
    """
- check:
    call: human-task
    with:
      queue: warehouse
      title: '${ "验货 " + .order }'
      form: inspection
      due: PT2H
      priority: 70
      data: '${ {order: .order} }'
      exclude: '${ .exclude }'
      checks:
        - when: .grade != "C" or .note != null
          message: {zh: C 级必须填写说明, en: Grade C needs a note}
    timeout: {after: P1D}
- keep:
    set: {form: '${ . }'}
""",
)


@pytest.fixture
async def desk(house: House) -> House:
    """A house with the flow published, and users to delegate to."""
    await house.publish(FLOW, FORM, QUEUE)
    async with UnitOfWork(house.database) as work:
        for login in ("li", "wang"):
            await Users(work).add(a_user(login), None)
    return house


async def _open(house: House, actor: Actor = LI, **more: Any) -> HumanTask:
    """Start a run and return its task, as an agent of the queue sees it."""
    run = await house.runs.start(ADMIN, "shop", "inspect", {"order": "E1", "exclude": more.pop("exclude", [])}, **more)

    async def opened() -> HumanTask | None:
        page = await house.human_tasks.search(LEAD, TaskFilter(run_id=run.id), PageRequest())
        return await house.human_tasks.show(actor, page.items[0].id) if page.items else None

    found: HumanTask = await eventually(opened)
    return found


async def _outcome(work: Any) -> HumanTask | ProblemError:
    try:
        found: HumanTask = await work
    except ProblemError as problem:
        return problem
    return found


async def test_a_task_goes_from_the_queue_to_the_flow(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        assert (task.state, task.title, task.priority, task.data) == ("ready", "验货 E1", 70, {"order": "E1"})
        assert task.due_at is not None
        assert (task.due_at - task.opened_at).total_seconds() == 7200
        waiting = (await desk.human_tasks.waiting(LI, PageRequest())).items
        assert [each.id for each in waiting] == [task.id]
        claimed = await desk.human_tasks.claim(LI, task.id, task.version)
        assert (claimed.state, claimed.assignee, claimed.version) == ("reserved", "li", 2)
        assert [each.id for each in (await desk.human_tasks.mine(LI, PageRequest())).items] == [task.id]
        saved = await desk.human_tasks.save_draft(LI, task.id, 2, {"note": "far too long to be right"})
        assert (saved.state, saved.draft) == ("in_progress", {"note": "far too long to be right"})
        done = await desk.human_tasks.complete(LI, task.id, 3, {"grade": "A"})
        assert (done.state, done.output, done.draft, done.version) == ("completed", {"grade": "A"}, None, 4)
        run = await desk.until(task.run_id, "completed")
        assert run.output == {"form": {"grade": "A"}}
    async with UnitOfWork(desk.database) as work:
        entries = (await AuditLog(work).list(ADMIN.scope, PageRequest(), target=f"task:{task.id}")).items
    assert [(entry.actor, entry.action) for entry in reversed(entries)] == [
        ("li", "task.claim"),
        ("li", "task.save"),
        ("li", "task.complete"),
    ]


async def test_of_two_who_claim_one_wins_and_the_other_hears_who_and_when(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
    outcomes = await asyncio.gather(
        _outcome(desk.human_tasks.claim(LI, task.id, task.version)),
        _outcome(desk.human_tasks.claim(WANG, task.id, task.version)),
    )
    (winner,) = (each for each in outcomes if isinstance(each, HumanTask))
    (loser,) = (each for each in outcomes if isinstance(each, ConflictProblem))
    members = loser.problem.model_dump()
    assert (members["status"], members["changed_by"], members["assignee"]) == (409, winner.assignee, winner.assignee)
    assert members["changed_at"] == winner.changed_at.isoformat(timespec="seconds")


async def test_of_two_completions_one_reaches_the_flow(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.claim(LI, task.id, 1)
        outcomes = await asyncio.gather(
            *(_outcome(desk.human_tasks.complete(LI, task.id, 2, {"grade": grade})) for grade in "AB")
        )
        (done,) = (each for each in outcomes if isinstance(each, HumanTask))
        assert [type(each) for each in outcomes if not isinstance(each, HumanTask)] == [ConflictProblem]
        run = await desk.until(task.run_id, "completed")
    assert run.output == {"form": done.output}


async def test_repeating_a_completion_with_its_key_gives_the_same_answer(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.claim(LI, task.id, 1, key="k-claim")
        assert (await desk.human_tasks.claim(LI, task.id, 1, key="k-claim")).version == 2
        first, second = await asyncio.gather(
            *(desk.human_tasks.complete(LI, task.id, 2, {"grade": "A"}, key="k-done") for _ in range(2))
        )
        assert first == second
        with pytest.raises(ConflictProblem, match="belongs to another command"):
            await desk.human_tasks.complete(LI, task.id, 2, {"grade": "B"}, key="k-done")


async def test_mistakes_in_the_form_come_back_by_field(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.claim(LI, task.id, 1)
        with pytest.raises(ValidationProblem) as caught:
            await desk.human_tasks.complete(LI, task.id, 2, {"note": "much too long", "color": 1})
        errors = {error["field"]: error["message"]["zh"] for error in caught.value.problem.model_dump()["errors"]}
        assert errors == {"grade": "必填", "note": "最多 5 个字", "color": "表单中没有这个字段，请删除"}


async def test_the_flow_refuses_a_form_with_its_own_reason_and_takes_the_corrected_one(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.claim(LI, task.id, 1)
        with pytest.raises(ValidationProblem, match="Grade C needs a note"):
            await desk.human_tasks.complete(LI, task.id, 2, {"grade": "C"})
        kept = await desk.human_tasks.show(LI, task.id)
        assert (kept.state, kept.draft, kept.version) == ("reserved", {"grade": "C"}, 2)
        done = await desk.human_tasks.complete(LI, task.id, 2, {"grade": "C", "note": "torn"})
        assert done.state == "completed"


async def test_without_a_worker_the_answer_comes_in_time_and_the_draft_is_kept(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
    await desk.human_tasks.claim(LI, task.id, 1)
    before = asyncio.get_running_loop().time()
    with pytest.raises(UnavailableProblem, match="kept as a draft") as caught:
        await desk.human_tasks.complete(LI, task.id, 2, {"grade": "A"})
    assert asyncio.get_running_loop().time() - before < 15
    assert caught.value.problem.model_dump()["draft_kept"] is True
    assert (await desk.human_tasks.show(LI, task.id)).draft == {"grade": "A"}
    async with desk.worker():
        done = await desk.human_tasks.complete(LI, task.id, 2, {"grade": "A"})
        assert (done.state, done.output) == ("completed", {"grade": "A"})
        await desk.until(task.run_id, "completed")


async def test_a_task_that_cannot_be_done_fails_its_step(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.claim(LI, task.id, 1)
        with pytest.raises(ValidationProblem):
            await desk.human_tasks.fail(LI, task.id, 2, " ")
        failed = await desk.human_tasks.fail(LI, task.id, 2, "the parcel was empty")
        assert (failed.state, failed.comment) == ("failed", "the parcel was empty")
        run = await desk.until(task.run_id, "faulted")
        assert run.error is not None
        assert run.error["detail"] == "the parcel was empty"


async def test_excluded_people_neither_claim_nor_receive(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk, actor=WANG, exclude=["li"])
    with pytest.raises(AuthorizationProblem, match="four eyes"):
        await desk.human_tasks.claim(LI, task.id, 1)
    await desk.human_tasks.claim(WANG, task.id, 1)
    with pytest.raises(AuthorizationProblem, match="four eyes"):
        await desk.human_tasks.delegate(WANG, task.id, 2, "li")


async def test_release_and_delegation_by_the_holder_and_by_a_supervisor(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
    await desk.human_tasks.claim(LI, task.id, 1)
    with pytest.raises(AuthorizationProblem, match="li's"):
        await desk.human_tasks.release(WANG, task.id, 2)
    with pytest.raises(NotFoundProblem):
        await desk.human_tasks.delegate(LI, task.id, 2, "nobody-we-know")
    handed_on = await desk.human_tasks.delegate(LI, task.id, 2, "wang")
    assert handed_on.assignee == "wang"
    free = await desk.human_tasks.release(LEAD, task.id, 3)
    assert (free.state, free.assignee) == ("ready", None)


async def test_people_see_their_queues_and_their_scope_only(desk: House) -> None:
    async with UnitOfWork(desk.database) as work:
        await Units(work).add(Unit(path="/east/", name="East"))
        await Units(work).add(Unit(path="/east/store-1/", name="Store 1"))
    async with desk.worker():
        task = await _open(desk, placement=Placement(unit_path="/east/store-1/"))
    with pytest.raises(NotFoundProblem):
        await desk.human_tasks.show(ZHAO, task.id)
    with pytest.raises(NotFoundProblem):
        await desk.human_tasks.search(ZHAO, TaskFilter(queues={"warehouse"}), PageRequest())
    assert (await desk.human_tasks.search(ZHAO, TaskFilter(), PageRequest())).items == []
    west = an_actor("west", Role.SUPERVISOR, scope=Scope.of_branch("/west/"))
    assert (await desk.human_tasks.search(west, TaskFilter(), PageRequest())).items == []
    auditor = an_actor("auditor", Role.AUDITOR)
    assert (await desk.human_tasks.show(auditor, task.id)).unit_path == "/east/store-1/"
    with pytest.raises(AuthorizationProblem):
        await desk.human_tasks.claim(auditor, task.id, 1)
    with pytest.raises(AuthorizationProblem):
        await desk.human_tasks.release(auditor, task.id, 1)


async def test_cancelling_the_run_withdraws_its_task(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.claim(LI, task.id, 1)
        await desk.runs.cancel(ADMIN, task.run_id)
        await desk.until(task.run_id, "cancelled")
        withdrawn = await desk.human_tasks.show(LI, task.id)
        assert withdrawn.state == "exited"
        with pytest.raises(ConflictProblem, match="exited"):
            await desk.human_tasks.complete(LI, task.id, withdrawn.version, {"grade": "A"})


async def test_suspending_the_run_puts_its_task_aside_and_back(desk: House) -> None:
    async with desk.worker():
        task = await _open(desk)
        await desk.human_tasks.start(LI, task.id, 1)
        await desk.runs.suspend(ADMIN, task.run_id)
        aside = await desk.human_tasks.show(LI, task.id)
        assert (aside.state, aside.assignee) == ("suspended", "li")
        with pytest.raises(ConflictProblem, match="suspended"):
            await desk.human_tasks.complete(LI, task.id, aside.version, {"grade": "A"})
        await desk.runs.resume(ADMIN, task.run_id)
        back = await desk.human_tasks.show(LI, task.id)
        assert (back.state, back.assignee) == ("in_progress", "li")
        assert (await desk.human_tasks.complete(LI, task.id, back.version, {"grade": "B"})).state == "completed"


def _request(task_id: str, **change: Any) -> OpenHumanTask:
    arguments = {"queue": "warehouse", "title": "t", "form": {"type": "object"}, **change}
    return OpenHumanTask(task_id, "run", "check", "/do/0/check", "order:1", arguments, "2026-11-11T00:00:00.000Z")


async def test_opening_and_finishing_twice_do_it_once(desk: House) -> None:
    for _ in range(2):
        await desk.steps.open(_request("t1", assignee="li"))
    task = await desk.human_tasks.show(LI, "t1")
    assert (task.state, task.assignee, task.version) == ("reserved", "li", 1)
    command = CompleteHumanTask("t1", {"a": 1}, "li", 1, "k1")
    receipts = [await desk.steps.finish(command) for _ in range(2)]
    assert receipts[0] == receipts[1]
    async with UnitOfWork(desk.database) as work:
        entries = (await AuditLog(work).list(ADMIN.scope, PageRequest(), target="task:t1")).items
    assert [(entry.actor, entry.action, entry.detail.get("to")) for entry in reversed(entries)] == [
        ("system:run", "task.reserve", "li"),
        ("li", "task.complete", None),
    ]
    with pytest.raises(ConflictProblem, match="li changed this task"):
        await desk.steps.finish(CompleteHumanTask("t1", {"a": 2}, "li", 1, "k2"))


async def test_the_most_urgent_come_first_page_by_page(desk: House) -> None:
    for number, (priority, due) in enumerate([(50, None), (90, "PT2H"), (50, "PT1H"), (90, "PT1H"), (10, "PT1M")]):
        more = {"due": due} if due else {}
        await desk.steps.open(_request(f"t{number}", priority=priority, **more))
    seen, cursor = [], None
    for _ in range(3):
        page = await desk.human_tasks.waiting(LI, PageRequest(size=2, cursor=cursor))
        seen += [task.id for task in page.items]
        cursor = page.next_cursor
    assert seen == ["t3", "t1", "t2", "t0", "t4"]
    assert cursor is None


async def test_what_was_filled_in_is_unreadable_in_the_database(desk: House, database_url: str) -> None:
    await desk.steps.open(_request("t1", assignee="li", title="李雷的退货", data={"name": "李雷"}))
    await desk.human_tasks.save_draft(LI, "t1", 1, {"note": "李雷"})
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT title, data, draft FROM human_tasks")).fetchone()
    assert row is not None
    assert all("李雷".encode() not in bytes(value) for value in row)
