"""A person's step over HTTP: versions in headers, the faster one wins, the flow answers at once."""

import asyncio
import uuid
from typing import Any

import pytest

from domain.access import Role
from tests.api.house import Answer, House, problem
from tests.services.house import a_flow, eventually

TASKS = "/api/v1/human-tasks"
FORM = """
form:
  name: inspection
  title: 验货
  schema:
    type: object
    required: [grade]
    properties:
      grade: {type: string, enum: [A, B, C]}
      note: {type: string}
"""
FLOW = a_flow(
    "inspect",
    """
- check:
    call: human-task
    with:
      queue: warehouse
      title: 验货
      form: inspection
      checks:
        - when: .grade != "C" or .note != null
          message: {zh: C 级必须填写说明, en: Grade C needs a note}
    timeout: {after: P1D}
- keep:
    set: {form: '${ . }'}
""",
)


@pytest.fixture(scope="module")
async def desk(house: House) -> House:
    """The house with the flow released and a second agent."""
    await house.core.publish(FLOW, FORM, "queue: {name: warehouse, title: 仓库}")
    await house.add_user("wang", Role.AGENT)
    return house


async def _open(desk: House) -> Answer:
    """A fresh task, as the agent sees it."""
    run = await desk.post("ops", "/api/v1/runs", {"namespace": "shop", "name": "inspect"})
    assert run.status_code == 201, run.text

    async def opened() -> Answer | None:
        listed = (await desk.get("agent", TASKS, params={"run_id": run.json()["id"]})).json()["items"]
        return await desk.get("agent", f"{TASKS}/{listed[0]['id']}") if listed else None

    async with desk.core.worker():
        return await eventually(opened)


async def _do(desk: House, who: str, seen: Answer, action: str, body: Any = None, **headers: str) -> Answer:
    """An action on the version of a task that somebody saw."""
    method = "PUT" if action == "draft" else "POST"
    path = f"{TASKS}/{seen.json()['id']}/{action}"
    content = {"json": body} if body is not None else {}
    return await desk.say(who, method, path, headers={"If-Match": seen.headers["etag"], **headers}, **content)


async def test_a_task_goes_from_the_queue_to_the_flow(desk: House) -> None:
    seen = await _open(desk)
    assert seen.headers["etag"] == '"1"'
    waiting = await desk.get("agent", TASKS, params={"view": "waiting"})
    assert seen.json()["id"] in [task["id"] for task in waiting.json()["items"]]
    claimed = await _do(desk, "agent", seen, "claim")
    assert (claimed.status_code, claimed.headers["etag"], claimed.json()["assignee"]) == (200, '"2"', "agent")
    mine = await desk.get("agent", TASKS, params={"view": "mine"})
    assert seen.json()["id"] in [task["id"] for task in mine.json()["items"]]
    elsewhere = await desk.get("agent", TASKS, params={"view": "mine", "queue": "finance"})
    assert elsewhere.json()["items"] == []
    foreign = await desk.get("agent", TASKS, params={"view": "waiting", "queue": "finance"})
    assert foreign.status_code == 404
    saved = await _do(desk, "agent", claimed, "draft", {"form": {"note": "half"}})
    assert (saved.json()["draft"], saved.headers["etag"]) == ({"note": "half"}, '"3"')
    async with desk.core.worker():
        done = await _do(desk, "agent", saved, "complete", {"form": {"grade": "A"}})
        assert (done.status_code, done.json()["state"], done.headers["etag"]) == (200, "completed", '"4"')

        async def finished() -> bool:
            run = await desk.get("ops", f"/api/v1/runs/{seen.json()['run_id']}")
            return bool(run.json()["phase"] == "completed")

        await eventually(finished)


async def test_a_change_needs_the_version_it_was_made_on(desk: House) -> None:
    seen = await _open(desk)
    path = f"{TASKS}/{seen.json()['id']}/claim"
    missing = await desk.post("agent", path)
    assert (missing.status_code, problem(missing)["title"]) == (428, "版本已过期")
    assert (await desk.post("agent", path, headers={"If-Match": "*"})).status_code == 428
    for tag in ('W/"1"', "1", '"abc"', '"1", "2"', '"01"', '"0"'):
        foreign = await desk.post("agent", path, headers={"If-Match": tag})
        assert foreign.status_code == 412, tag
    assert (await desk.get("agent", path.removesuffix("/claim"))).headers["etag"] == '"1"', "nothing was changed"


async def test_of_two_agents_one_wins_and_the_other_hears_who_and_when(desk: House) -> None:
    seen = await _open(desk)
    answers = await asyncio.gather(*(_do(desk, who, seen, "claim") for who in ("agent", "wang")))
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert (won.status_code, lost.status_code) == (200, 409)
    said = problem(lost)
    assert said["changed_by"] == won.json()["assignee"]
    assert said["changed_at"] <= won.json()["changed_at"]
    assert won.json()["assignee"] in said["message"]["en"]


async def test_what_the_form_and_the_flow_refuse_comes_back_at_once(desk: House) -> None:
    seen = await _open(desk)
    claimed = await _do(desk, "agent", seen, "claim")
    async with desk.core.worker():
        wrong = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "Z"}})
        assert wrong.status_code == 400
        assert problem(wrong)["errors"][0]["pointer"] == "/grade"
        refused = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "C"}})
        assert refused.status_code == 400
        assert problem(refused)["message"] == {"zh": "C 级必须填写说明", "en": "Grade C needs a note"}


async def test_without_a_worker_the_answer_is_503_and_the_same_request_succeeds_later(desk: House) -> None:
    seen = await _open(desk)
    claimed = await _do(desk, "agent", seen, "claim")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    away = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "B"}}, **key)
    assert away.status_code == 503
    assert problem(away)["draft_kept"] is True
    kept = await desk.get("agent", f"{TASKS}/{seen.json()['id']}")
    assert kept.json()["draft"] == {"grade": "B"}
    async with desk.core.worker():
        done = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "B"}}, **key)
    assert (done.status_code, done.json()["state"]) == (200, "completed")


async def test_repeating_a_completion_gives_the_same_answer(desk: House) -> None:
    seen = await _open(desk)
    claimed = await _do(desk, "agent", seen, "claim")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    async with desk.core.worker():
        first = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "A"}}, **key)
        second = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "A"}}, **key)
        other = await _do(desk, "agent", claimed, "complete", {"form": {"grade": "B"}}, **key)
    assert first.json() == second.json()
    assert (second.headers["etag"], second.headers["idempotency-replayed"]) == (first.headers["etag"], "true")
    assert other.status_code == 422


async def test_a_key_is_its_senders_own(desk: House) -> None:
    seen = await _open(desk)
    key = {"Idempotency-Key": "1"}
    claimed = await _do(desk, "agent", seen, "claim", **key)
    free = await _do(desk, "agent", claimed, "release")
    taken = await _do(desk, "wang", free, "claim", **key)
    assert (taken.status_code, taken.json()["assignee"]) == (200, "wang")
    again = await _do(desk, "agent", seen, "claim", **key)
    assert (again.json()["assignee"], again.headers["idempotency-replayed"]) == ("agent", "true"), "as it was answered"


async def test_who_serves_every_queue_finds_and_takes_its_tasks(desk: House) -> None:
    await desk.add_user("anywhere", Role.AGENT, queues=frozenset({"*"}))
    seen = await _open(desk)
    for view in ({}, {"view": "waiting"}, {"view": "waiting", "queue": "warehouse"}, {"queue": "warehouse"}):
        listed = await desk.get("anywhere", TASKS, params={**view, "run_id": seen.json()["run_id"]})
        assert [task["id"] for task in listed.json()["items"]] == [seen.json()["id"]], view
    claimed = await _do(desk, "anywhere", seen, "claim")
    assert (claimed.status_code, claimed.json()["assignee"]) == (200, "anywhere")
    mine = await desk.get("anywhere", TASKS, params={"view": "mine"})
    assert [task["id"] for task in mine.json()["items"]] == [seen.json()["id"]]


async def test_handing_on_putting_back_and_giving_up(desk: House) -> None:
    seen = await _open(desk)
    started = await _do(desk, "agent", seen, "start")
    assert started.json()["state"] == "in_progress"
    handed = await _do(desk, "agent", started, "delegate", {"to": "wang"})
    assert handed.json()["assignee"] == "wang"
    assert (await _do(desk, "agent", handed, "release")).status_code == 403
    free = await _do(desk, "admin", handed, "release")
    assert (free.status_code, free.json()["state"]) == (200, "ready"), "who manages tasks may put others' back"
    taken = await _do(desk, "wang", free, "claim")
    async with desk.core.worker():
        failed = await _do(desk, "wang", taken, "fail", {"comment": "the parcel was empty"})
    assert (failed.json()["state"], failed.json()["comment"]) == ("failed", "the parcel was empty")
