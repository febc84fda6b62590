"""Personal data over HTTP: masked in every answer, in clear for the few who need it, and never lost to a mask."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.auth import requires
from api.masking import is_authored
from api.openapi import api_routes
from api.routing import router
from domain.access import Actor, Permission, Role, Scope
from domain.canonical.keys import IdentityKey
from domain.events import Event
from domain.problems import ConflictProblem, Text
from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.subscriptions import NewSubscription
from services.identities import IdentityService, Sighting
from services.payees import PayeeRegister
from storage.events import Events
from storage.inbox import Inbox, Push
from storage.interactions import InteractionRow
from storage.subscriptions import DeadLetterRow, Subscriptions
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.api.house import QUEUES, Answer, House, problem
from tests.services.house import a_flow, eventually

TASKS, RUNS, STREAMS = "/api/v1/human-tasks", "/api/v1/runs", "/api/v1/subscriptions"
PAYEES = "/api/v1/payees"
PERSON = {
    "receiver_name": "张三丰",
    "receiver_phone": "13698765432",
    "address": "浙江省杭州市西湖区文三路478号",
    "email": "zhang.san@example.com",
    "id_card": "11010519491231002X",
    "order_id": "E20261115093000900000001",
}
MASKED = {
    "receiver_name": "张**",
    "receiver_phone": "136****5432",
    "address": "浙江省杭州市****",
    "email": "z***@example.com",
    "id_card": "110***********002X",
    "order_id": PERSON["order_id"],
}
SECRETS = ("张三丰", "6222020200112233445", "13698765432", "文三路", "zhang.san", PERSON["id_card"], "王小明", "花生")
FILLED_IN = {"contact": "王小明", "allergy": "花生", "phone": "13698765432", "note": "打了13698765432"}
FILLED_IN_MASKED = {"contact": "王**", "allergy": "****", "phone": "136****5432", "note": "打了136****5432"}
FORM = """
form:
  name: call-back
  title: 回访
  schema:
    type: object
    properties:
      contact: {type: string, x-personal: name}
      allergy: {type: string, x-personal: other}
      phone: {type: string, pattern: '^1[0-9]{10}$'}
      note: {type: string}
"""
FLOW = a_flow(
    "call-back",
    """
- ask:
    call: human-task
    with:
      queue: warehouse
      title: '${ "致电" + .receiver_name + .receiver_phone }'
      form: call-back
      data: {order: '${ . }'}
    timeout: {after: P1D}
- stop:
    if: .note == "fail"
    raise:
      error:
        type: https://example.com/problems/nobody-there
        status: 409
        title: '${ "没有人接 " + .phone }'
        detail: '${ "联系人 " + .contact }'
- keep:
    set: {asked: '${ . }'}
""",
)


@pytest.fixture(scope="module")
async def desk(house: House) -> House:
    """The house with a flow about people released, a second agent, and somebody who may do everything."""
    await house.core.publish(FLOW, FORM, "queue: {name: warehouse, title: 仓库}")
    await house.add_user("wang", Role.AGENT)
    await house.add_whoever_may_do_everything("everything")
    return house


async def _open(desk: House) -> Answer:
    """A fresh task, as an agent of its queue sees it."""
    run = await desk.post("ops", RUNS, {"namespace": "shop", "name": "call-back", "input": PERSON})
    assert run.status_code == 201, run.text

    async def opened() -> Answer | None:
        listed = (await desk.get("wang", TASKS, params={"run_id": run.json()["id"]})).json()["items"]
        return await desk.get("wang", f"{TASKS}/{listed[0]['id']}") if listed else None

    async with desk.core.worker():
        return await eventually(opened)


async def _do(desk: House, who: str, seen: Answer, action: str, body: Any = None, **headers: str) -> Answer:
    method = "PUT" if action == "draft" else "POST"
    path = f"{TASKS}/{seen.json()['id']}/{action}"
    content = {"json": body} if body is not None else {}
    return await desk.say(who, method, path, headers={"If-Match": seen.headers["etag"], **headers}, **content)


async def _completed(desk: House, **changes: Any) -> Answer:
    """A task that an agent completed, and whose run has ended."""
    claimed = await _do(desk, "agent", await _open(desk), "claim")
    async with desk.core.worker():
        done = await _do(desk, "agent", claimed, "complete", {"form": {**FILLED_IN, **changes}})
        assert done.status_code == 200, done.text
        await desk.core.until(done.json()["run_id"], "completed", "faulted")
    return done


async def _entries(desk: House, target: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    listed = (await desk.get("auditor", "/api/v1/audit", params={"target": target})).json()["items"]
    return [(entry["actor"], entry["action"], entry["detail"]) for entry in reversed(listed)]


def _told(answer: Answer) -> list[str]:
    return [secret for secret in SECRETS if secret in answer.text]


async def test_no_route_shows_anybody(desk: House) -> None:
    """Every GET of the API over planted data; a route with a new kind of id has to plant something for it."""
    waiting, done, failed = await _open(desk), await _completed(desk), await _completed(desk, note="fail")
    orphan = await _open(desk)
    cancelled = f"{RUNS}/{orphan.json()['run_id']}/cancel"
    assert (await desk.post("ops", cancelled, {"reason": "13698765432 回了电话"})).status_code == 200
    async with UnitOfWork(desk.database) as work:
        await Events(work).add([Event(id="p-1", source="/pos", type="com.example.visit", data={"guest": PERSON})])
        pending = await Events(work).claim(1_000, lease=work.now - work.now)
        parked = next(each.seq for each in pending if each.event.id == "p-1")
        await Events(work).park(parked, "张三丰 13698765432")
    async with UnitOfWork(desk.database) as work:
        phone = IdentityKey("phone", "", "+8613698765432")
        assigned = await IdentityService().assign(work, [Sighting((phone,), "wecom/main", "chat:1", work.now)])
        told = {"text": "我是 13698765432", "name": "张三丰"}
        chat = InteractionRow(
            kind="chat", key="1", identity_id=assigned.identities[phone], version=1, occurred_at=work.now,
            recorded_at=work.now, personal=told,
        )  # fmt: skip
        work.session.add(chat)
        wanted = NewSubscription(name="回访 13698765432", url="https://warehouse.example.com", types=("*",))
        subscription = await Subscriptions(work).add(wanted, "whsec_c2VjcmV0", "ops")
        letter = DeadLetterRow(
            subscription_id=subscription.id, seq=parked, reason="no 13698765432", attempts=10, failed_at=work.now
        )
        work.session.add(letter)
    async with UnitOfWork(desk.database) as work:
        came = json.dumps({"receiver": PERSON, "remark": "张三丰 13698765432"}).encode()
        await Inbox(work).add(Push("youzan", "demo", "m-1", "trade_Odd", came, work.now))
        (unreadable,) = await Inbox(work).take_waiting(1, ["youzan"])
        await Inbox(work).quarantine({unreadable.id: "no tid in 13698765432"})
    payee = NewPayee(
        code="P1",
        name="张三丰",
        role="promoter",
        details=NewPayoutDetails(real_name="张三丰", bank_account="6222020200112233445"),
    )
    await PayeeRegister(desk.database).put(an_actor("qian", Role.FINANCE), [payee])
    planted = {
        "code": ["P1"],
        "component": ["sales"],
        "order_id": ["E1"],
        "calculation_id": [str(subscription.id)],
        "settlement_id": [str(subscription.id)],
        "batch_id": [str(subscription.id)],
        "break_id": [str(subscription.id)],
        "file_number": ["B1-1"],
        "number": ["P1"],
        "currency": ["USD"],
        "day": ["2026-05-03"],
        "customer_id": [str(assigned.customers[phone])],
        "task_id": [each.json()["id"] for each in (waiting, done, failed)],
        "run_id": [each.json()["run_id"] for each in (waiting, done, failed)],
        "push_id": [str(unreadable.id)],
        "login": ["agent"],
        "namespace": ["shop"],
        "kind": ["form"],
        "name": ["call-back"],
        "version": ["1.0.0"],
        "tag": ["VIP"],
        "subscription_id": [str(subscription.id)],
        "platform": ["youzan"],
        "slug": ["nobody"],
        "account": ["nobody"],
    }
    seen = []
    for path, parameters in _gets(desk):
        for number in range(max((len(planted[name]) for name in parameters), default=1)):
            values = {name: planted[name][number % len(planted[name])] for name in parameters}
            answer = await desk.get("everything", path.format(**values), params={"size": 200, "open": False})
            assert _told(answer) == [], f"{path} {answer.text}"
            seen.append((path, answer.status_code))
    shown = {path for path, status in seen if status == 200}
    assert {TASKS, f"{TASKS}/{{task_id}}", RUNS, f"{RUNS}/{{run_id}}", "/api/v1/audit"} <= shown
    assert {PAYEES, f"{PAYEES}/{{code}}"} <= shown
    assert {f"{STREAMS}/{{subscription_id}}", f"{STREAMS}/{{subscription_id}}/dead-letters"} <= shown
    assert "136****5432" in (await desk.get("everything", STREAMS)).text
    assert {"/api/v1/events/quarantine", "/api/v1/events/quarantine/{push_id}"} <= shown
    assert {status for _, status in seen} <= {200, 404, 400}
    assert "136****5432" in (await desk.get("everything", "/api/v1/audit", params={"size": 200})).text
    assert "136****5432" in (await desk.get("everything", "/api/v1/events/parked")).text


def _gets(desk: House) -> list[tuple[str, list[str]]]:
    """The addresses that show something, with the names in them; `/metrics` is for machines of this host only."""
    routes = [route for route in api_routes(desk.app) if "GET" in (route.methods or ()) and route.path != "/metrics"]
    paths = [route.path_format for route in routes]
    return [(path, [part.split("}")[0] for part in path.split("{")[1:]]) for path in paths]


async def test_a_new_route_masks_without_being_told(desk: House) -> None:
    fresh = router("/api/v1/fresh", "fresh")
    reader = Annotated[Actor, requires(Permission.TASKS_READ)]

    @fresh.get("/rows")
    async def rows(actor: reader) -> list[dict[str, Any]]:
        return [{"masked": False, "guest": PERSON}]

    @fresh.get("/response")
    async def response(actor: reader) -> Response:
        return JSONResponse({"guest": PERSON})

    @fresh.get("/refusal")
    async def refusal(actor: reader) -> None:
        raise ConflictProblem(Text("13698765432 已存在", "13698765432 is there"), guest=PERSON)

    @fresh.get("/page")
    async def page(actor: reader) -> HTMLResponse:
        return HTMLResponse("13698765432")

    app, _ = desk.with_other()
    app.include_router(fresh)
    async with desk.client_of(app) as client:
        for path, status in (("rows", 200), ("response", 200), ("refusal", 409)):
            answer = await client.get(
                f"/api/v1/fresh/{path}", headers={"Authorization": f"Bearer {desk.tokens['auditor']}"}
            )
            assert (answer.status_code, _told(answer)) == (status, []), answer.text
            content = answer.json()
            assert (content[0] if path == "rows" else content)["guest"] == MASKED
        unreadable = await client.get(
            "/api/v1/fresh/page", headers={"Authorization": f"Bearer {desk.tokens['auditor']}"}
        )
        assert (unreadable.status_code, _told(unreadable)) == (500, [])


def test_only_texts_of_operators_are_not_masked(desk: House) -> None:
    authored = {route.path.split("/")[3] for route in api_routes(desk.app) if _is_ours_and_authored(route)}
    assert authored == {"definitions", "resources", "catalog", "tag-rules", "gradings"}


def _is_ours_and_authored(route: Any) -> bool:
    return route.path.startswith("/api/v1/") and is_authored(route.dependant)


async def test_the_holder_of_a_task_sees_it_in_clear_and_nobody_else_does(desk: House) -> None:
    seen = await _open(desk)
    assert (seen.json()["masked"], seen.json()["data"]["order"]) == (True, MASKED)
    assert seen.json()["title"] == "致电张**136****5432"
    claimed = await _do(desk, "agent", seen, "claim")
    assert (claimed.json()["masked"], claimed.json()["data"]["order"]) == (False, PERSON)
    saved = await _do(desk, "agent", claimed, "draft", {"form": FILLED_IN})
    assert (saved.json()["draft"], saved.json()["title"]) == (FILLED_IN, "致电张三丰13698765432")
    path = f"{TASKS}/{seen.json()['id']}"
    assert (await desk.get("agent", path)).json()["draft"] == FILLED_IN
    for other in ("wang", "supervisor", "admin", "auditor"):
        shown = (await desk.get(other, path)).json()
        assert (shown["masked"], shown["draft"], shown["data"]["order"]) == (True, FILLED_IN_MASKED, MASKED)
    mine = (await desk.get("agent", TASKS, params={"view": "mine", "run_id": seen.json()["run_id"]})).json()["items"]
    assert [task["title"] for task in mine] == ["致电张**136****5432"], "lists are always masked"
    handed = await _do(desk, "agent", saved, "delegate", {"to": "wang"})
    assert (handed.json()["masked"], _told(handed)) == (True, [])
    assert (await desk.get("wang", path)).json()["data"]["order"] == PERSON
    assert [(who, what) for who, what, _ in await _entries(desk, f"task:{seen.json()['id']}")] == [
        ("agent", "task.claim"),
        ("agent", "task.save"),
        ("agent", "task.delegate"),
    ]


async def test_a_finished_task_is_masked_for_whoever_did_it(desk: House) -> None:
    done = await _completed(desk)
    shown = (await desk.get("agent", f"{TASKS}/{done.json()['id']}")).json()
    assert (done.json()["output"], shown["output"], shown["masked"]) == (FILLED_IN_MASKED, FILLED_IN_MASKED, True)
    run = (await desk.get("agent", f"{RUNS}/{done.json()['run_id']}")).json()
    assert (run["output"], run["masked"]) == ({"asked": FILLED_IN_MASKED}, True)
    assert run["input"] == MASKED


async def test_a_failed_run_tells_its_error_masked(desk: House) -> None:
    failed = await _completed(desk, note="fail")
    run = await desk.get("ops", f"{RUNS}/{failed.json()['run_id']}")
    assert run.json()["error"]["title"] == "没有人接 136****5432"
    assert run.json()["error"]["detail"] == "联系人 王**", "a name that somebody filled in, in a sentence of the flow"
    assert _told(run) == []


async def test_a_token_that_only_reads_sees_masks(desk: House) -> None:
    issued = await desk.post("agent", "/api/v1/tokens", {"name": "board", "scopes": ["tasks.read"]})
    desk.tokens["board"] = issued.json()["text"]
    claimed = await _do(desk, "agent", await _open(desk), "claim")
    shown = (await desk.get("board", f"{TASKS}/{claimed.json()['id']}")).json()
    assert (shown["assignee"], shown["masked"], shown["data"]["order"]) == ("agent", True, MASKED)


async def test_a_supervisor_sees_clear_text_for_a_reason_that_is_kept(desk: House) -> None:
    done = await _completed(desk)
    for kind, path, personal in (
        ("task", f"{TASKS}/{done.json()['id']}", "data"),
        ("run", f"{RUNS}/{done.json()['run_id']}", "input"),
    ):
        target = f"{kind}:{path.removeprefix(TASKS).removeprefix(RUNS).removeprefix('/')}"
        before = await _entries(desk, target)
        masked = (await desk.get("supervisor", path)).json()
        for reason in ({}, {"reason": "  "}, {"reason": "x" * 501}):
            refused = await desk.get("supervisor", path, params={"unmask": "true", **reason})
            assert (refused.status_code, problem(refused)["errors"][0]["pointer"]) == (400, "query/reason")
        assert await _entries(desk, target) == before
        clear = await desk.get("supervisor", path, params={"unmask": "true", "reason": "客户投诉，需要回电"})
        assert (clear.status_code, clear.json()["masked"], masked["masked"]) == (200, False, True)
        shown = clear.json()[personal]
        assert (shown["order"] if kind == "task" else shown) == PERSON
        assert await _entries(desk, target) == [
            *before,
            ("supervisor", f"{kind}.unmask", {"reason": "客户投诉，需要回电"}),
        ]
        assert (await desk.get("supervisor", path)).json() == masked, "the next answer is masked again"


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SUPERVISOR])
async def test_nobody_else_may_unmask(desk: House, role: Role) -> None:
    seen = await _open(desk)
    for path in (f"{TASKS}/{seen.json()['id']}", f"{RUNS}/{seen.json()['run_id']}"):
        refused = await desk.get(role.value, path, params={"unmask": "true", "reason": "curious"})
        assert (refused.status_code, problem(refused)["permission"]) == (403, "customers.unmask")


async def test_a_scope_bounds_clear_text_too(desk: House) -> None:
    await desk.add_user("west", Role.SUPERVISOR, scope=Scope.of_branch("/west/"), queues=QUEUES)
    seen = await _open(desk)
    for path in (f"{TASKS}/{seen.json()['id']}", f"{RUNS}/{seen.json()['run_id']}"):
        hidden = await desk.get("west", path, params={"unmask": "true", "reason": "curious"})
        assert hidden.status_code == 404
    assert await _entries(desk, f"task:{seen.json()['id']}") == []


async def test_masks_that_come_back_become_what_they_mask(desk: House) -> None:
    seen = await _open(desk)
    order = seen.json()["data"]["order"]
    claimed = await _do(desk, "agent", seen, "claim")
    copied = {"phone": order["receiver_phone"], "contact": order["receiver_name"]}
    saved = await _do(desk, "agent", claimed, "draft", {"form": copied})
    assert saved.json()["draft"] == {"phone": "13698765432", "contact": "张三丰"}
    masked = (await desk.get("supervisor", f"{TASKS}/{seen.json()['id']}")).json()["draft"]
    again = await _do(desk, "agent", saved, "draft", {"form": {**masked, "note": "再打一次"}})
    assert again.json()["draft"] == {"phone": "13698765432", "contact": "张三丰", "note": "再打一次"}
    async with desk.core.worker():
        done, repeated = [await _do(desk, "agent", again, "complete", {"form": masked}) for _ in range(2)]
    assert (done.status_code, done.json()["output"]) == (200, masked)
    assert (repeated.status_code, repeated.json()) == (200, done.json()), "the same form again is the same command"
    clear = await desk.get("supervisor", f"{TASKS}/{seen.json()['id']}", params={"unmask": "true", "reason": "check"})
    assert clear.json()["output"] == {"phone": "13698765432", "contact": "张三丰"}


async def test_a_mask_of_nobody_is_refused_and_overwrites_nothing(desk: House) -> None:
    claimed = await _do(desk, "agent", await _open(desk), "claim")
    saved = await _do(desk, "agent", claimed, "draft", {"form": FILLED_IN})
    for action in ("draft", "complete"):
        refused = await _do(desk, "agent", saved, action, {"form": {**FILLED_IN, "phone": "139****0000"}})
        assert refused.status_code == 422
        assert [error["pointer"] for error in problem(refused)["errors"]] == ["/phone"]
    assert (await desk.get("agent", f"{TASKS}/{saved.json()['id']}")).json()["draft"] == FILLED_IN


async def test_repeating_a_claim_gives_the_same_answer(desk: House) -> None:
    seen = await _open(desk)
    key = {"Idempotency-Key": "claim-" + seen.json()["id"]}
    first, second = [await _do(desk, "agent", seen, "claim", **key) for _ in range(2)]
    assert (first.json(), second.headers["idempotency-replayed"]) == (second.json(), "true")
    assert first.json()["masked"] is False
