"""Data scope over HTTP: a store sees its rows; for everybody else they are not there."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.organisation import Placement
from services.accounts import PlatformAccounts
from storage.audit import AuditLog
from storage.human_tasks import NEVER_DUE, HumanTaskRow, HumanTasks
from storage.runs import RunRow, Runs
from storage.unit_of_work import UnitOfWork
from tests.api.house import SYSTEM, Answer, House, problem
from tests.services.house import a_flow

EAST = Placement("/east/", "youzan/east-shop", "owner")
WEST = Placement("/west/", "youzan/west-shop", "someone")
RUNS = {"east": "flow/shop/inspect/east", "west": "flow/shop/inspect/west"}
SCOPES = {
    "branch": Scope.of_branch("/east/"),
    "account": Scope.of_accounts("youzan/east-shop"),
    "owner": Scope.of_own_customers("owner"),
}


def _run(run_id: str, place: Placement) -> RunRow:
    now = datetime.now(UTC)
    return RunRow(
        id=run_id,
        namespace="shop",
        name="inspect",
        version="1.0.0",
        digest="sha256:0",
        subject="order:1",
        subjects=["order:1"],
        listens=[],
        phase="faulted",
        started_by="ops",
        input_digest="sha256:0",
        created_at=now,
        hears_from=now,
        ended_at=now,
        unit_path=place.unit_path,
        account_id=place.account_id,
        customer_owner=place.customer_owner,
    )


def a_waiting_task(task_id: str, place: Placement) -> HumanTaskRow:
    now = datetime.now(UTC)
    return HumanTaskRow(
        id=task_id,
        run_id="flow/shop/inspect/x",
        name="check",
        reference="/do/0/check",
        subject="order:1",
        queue="warehouse",
        title="t",
        form={"type": "object"},
        data={},
        urgency=50,
        due_sort=NEVER_DUE,
        state="ready",
        excluded=[],
        opened_at=now,
        changed_at=now,
        changed_by="system:run",
        unit_path=place.unit_path,
        account_id=place.account_id,
        customer_owner=place.customer_owner,
    )


@pytest.fixture(scope="module")
async def town(house: House) -> House:
    """Two shops in two regions with a run, a task and an audit entry each; people who see the eastern one only."""
    for place in (EAST, WEST):
        assert place.account_id
        slug = place.account_id.partition("/")[2]
        new = NewAccount(platform="youzan", slug=slug, name=slug, unit_path=place.unit_path, credentials={"a": "b"})
        await PlatformAccounts(house.database).connect(SYSTEM, new)
    for name, scope in SCOPES.items():
        await house.add_user(name, Role.SUPERVISOR, Role.OPS, Role.AUDITOR, scope=scope)
    await house.add_user("keeper-east", Role.ADMIN, scope=Scope.of_branch("/east/"), unit_path="/east/")
    await house.add_user("clerk-west", Role.AGENT, scope=Scope.of_branch("/west/"), unit_path="/west/")
    async with UnitOfWork(house.database) as work:
        await Runs(work).add([_run(RUNS["east"], EAST), _run(RUNS["west"], WEST)])
        for name, place in (("east", EAST), ("west", WEST)):
            await HumanTasks(work).add(a_waiting_task(f"task-{name}", place))
            await AuditLog(work).record(SYSTEM, "test.note", f"test:{name}", {}, place)
    return house


@pytest.mark.parametrize("who", list(SCOPES))
async def test_lists_show_only_what_is_within_ones_scope(town: House, who: str) -> None:
    runs = (await town.get(who, "/api/v1/runs")).json()["items"]
    assert [run["id"] for run in runs] == [RUNS["east"]]
    tasks = (await town.get(who, "/api/v1/human-tasks")).json()["items"]
    assert [task["id"] for task in tasks] == ["task-east"]
    entries = (await town.get(who, "/api/v1/audit", params={"action": "test.note"})).json()["items"]
    assert [entry["target"] for entry in entries] == ["test:east"]
    accounts = (await town.get(who, "/api/v1/accounts")).json()["items"]
    assert [account["id"] for account in accounts] == ([] if who == "owner" else ["youzan/east-shop"])


@pytest.mark.parametrize("who", list(SCOPES))
async def test_what_is_out_of_scope_is_not_there(town: House, who: str) -> None:
    tag = {"If-Match": '"1"'}
    for method, path, more in (
        ("GET", f"/api/v1/runs/{RUNS['west']}", {}),
        ("POST", f"/api/v1/runs/{RUNS['west']}/retry", {"json": {}}),
        ("POST", f"/api/v1/runs/{RUNS['west']}/cancel", {"json": {}}),
        ("POST", f"/api/v1/runs/{RUNS['west']}/suspend", {"json": {}}),
        ("GET", "/api/v1/human-tasks/task-west", {}),
        ("POST", "/api/v1/human-tasks/task-west/claim", {"headers": tag}),
        ("PUT", "/api/v1/human-tasks/task-west/draft", {"headers": tag, "json": {"form": {}}}),
        ("POST", "/api/v1/human-tasks/task-west/complete", {"headers": tag, "json": {"form": {}}}),
        ("GET", "/api/v1/accounts/youzan/west-shop", {}),
    ):
        hidden = await town.say(who, method, path, **more)
        missing = await town.say(who, method, path.replace("west", "nowhere"), **more)
        assert (hidden.status_code, missing.status_code) == (404, 404), path
        assert problem(hidden)["detail"].replace("west", "nowhere") == problem(missing)["detail"]
    assert (await town.get(who, f"/api/v1/runs/{RUNS['east']}")).status_code == 200
    assert (await town.get(who, "/api/v1/human-tasks/task-east")).status_code == 200


async def test_a_filter_does_not_widen_the_scope(town: House) -> None:
    narrowed = await town.get("branch", "/api/v1/runs", params={"subject": "order:1", "namespace": "shop"})
    assert [run["id"] for run in narrowed.json()["items"]] == [RUNS["east"]]


async def test_a_cursor_grants_nothing(town: House) -> None:
    everything = await town.get("admin", "/api/v1/runs", params={"size": 1})
    cursor = everything.json()["next_cursor"]
    seen = await town.get("branch", "/api/v1/runs", params={"cursor": cursor})
    assert all(run["id"] == RUNS["east"] for run in seen.json()["items"])


@pytest.mark.parametrize("who", list(SCOPES))
async def test_what_belongs_to_no_place_is_for_those_who_see_everything(town: House, who: str) -> None:
    for listing in ("parked", "quarantine"):
        answer = await town.get(who, f"/api/v1/events/{listing}")
        assert (answer.status_code, problem(answer)["rule"]) == (403, "data-scope")
        assert (await town.post(who, f"/api/v1/events/{listing}/retry", {"ids": [1]})).status_code == 403
        assert (await town.get("auditor", f"/api/v1/events/{listing}")).status_code == 200


async def _publish(town: House, who: str, *events: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    return await town.say(who, "POST", "/api/v1/events", content=json.dumps(events).encode(), headers=headers)


def _event(number: str, source: str, kind: str = "com.example.visit", **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": number, "source": source, "type": kind, "subject": "order:1", "data": data}


@pytest.mark.parametrize(
    ("who", "source", "allowed"),
    [
        ("branch", "/youzan/east-shop", True),
        ("branch", "/youzan/west-shop", False),
        ("branch", "/youzan/nobody", False),
        ("branch", "/pos", False),
        ("account", "/youzan/east-shop", True),
        ("account", "/youzan/west-shop", False),
        ("account", "/tandem/runs", False),
        ("account", "https://crm.example/visits", False),
        ("owner", "/youzan/east-shop", False),
        ("admin", "/youzan/west-shop", True),
        ("admin", "https://crm.example/visits", True),
    ],
)
async def test_events_are_published_for_the_accounts_in_ones_scope(
    town: House, who: str, source: str, allowed: bool
) -> None:
    answer = await _publish(town, who, _event(f"{who}-{source}", source))
    if allowed:
        assert (answer.status_code, answer.json()["new"]) == (202, 1)
    else:
        assert (answer.status_code, problem(answer)["rule"], problem(answer)["source"]) == (403, "data-scope", source)


async def test_a_batch_with_one_event_out_of_scope_is_refused_as_a_whole(town: House) -> None:
    mine, other = _event("mixed-1", "/youzan/east-shop"), _event("mixed-2", "/youzan/west-shop")
    refused = await _publish(town, "branch", mine, other)
    assert (refused.status_code, problem(refused)["event"]) == (403, "mixed-2")
    assert (await _publish(town, "branch", mine)).json() == {"received": 1, "new": 1}


async def test_the_word_of_a_platform_is_about_the_account_of_its_source(town: House) -> None:
    refund = {"platform": "youzan", "refund_id": "1", "order_id": "E1", "status": "requested", "version": 1}
    forged = _event("f-1", "/youzan/east-shop", "tandem.refund.created", **refund, account="west-shop")
    refused = await _publish(town, "branch", forged)
    assert (refused.status_code, problem(refused)["rule"]) == (403, "data-scope")
    own = _event("f-2", "/youzan/east-shop", "tandem.refund.created", **refund, account="east-shop")
    assert (await _publish(town, "branch", own)).status_code == 202


async def test_an_account_out_of_scope_cannot_be_tested(town: House) -> None:
    hidden = await town.post("keeper-east", "/api/v1/accounts/youzan/west-shop/test")
    missing = await town.post("keeper-east", "/api/v1/accounts/youzan/nowhere-shop/test")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert problem(hidden)["detail"].replace("west", "nowhere") == problem(missing)["detail"]
    seen = await town.post("keeper-east", "/api/v1/accounts/youzan/east-shop/test")
    assert (seen.status_code, seen.json()["fault"]) == (200, "settings")


async def test_a_run_cannot_be_started_where_one_does_not_see(town: House) -> None:
    for who, place in (
        ("branch", {"unit_path": "/west/"}),
        ("branch", {"unit_path": "/east/", "account_id": "youzan/west-shop"}),
        ("account", {"account_id": "youzan/west-shop"}),
        ("owner", {"customer_owner": "clerk-west"}),
        ("admin", {"unit_path": "/nowhere/"}),
        ("admin", {"account_id": "youzan/nobody"}),
        ("admin", {"customer_owner": "nobody"}),
    ):
        body = {"namespace": "shop", "name": "place", "place": place}
        assert (await town.post(who, "/api/v1/runs", body)).status_code == 404, (who, place)


async def test_a_run_belongs_to_its_shops_unit(town: House) -> None:
    await town.core.publish(a_flow("place", "- nothing:\n    set: {x: 1}"))
    for who, place in (("account", None), ("admin", {"account_id": "youzan/east-shop"})):
        body = {"namespace": "shop", "name": "place", **({"place": place} if place else {})}
        run = await town.post(who, "/api/v1/runs", body)
        assert run.status_code == 201, run.text
        seen = await town.get("branch", run.headers["location"])
        assert (seen.json()["unit_path"], seen.json()["account_id"]) == ("/east/", "youzan/east-shop")


async def test_a_regional_administrator_reaches_only_their_region(town: House) -> None:
    listed = (await town.get("keeper-east", "/api/v1/users")).json()["items"]
    assert [user["login"] for user in listed] == ["keeper-east"]
    assert (await town.get("keeper-east", "/api/v1/users/clerk-west")).status_code == 404
    assert (await town.post("keeper-east", "/api/v1/users/clerk-west/disable")).status_code == 403
    tokens = (await town.get("keeper-east", "/api/v1/tokens?everybody=true")).json()["items"]
    assert {token["login"] for token in tokens} == {"keeper-east"}
    of_west = {"name": "theirs", "login": "clerk-west", "scopes": ["users.read"]}
    assert (await town.post("keeper-east", "/api/v1/tokens", of_west)).status_code == 403
    units = (await town.get("keeper-east", "/api/v1/organisation-units")).json()["items"]
    assert [unit["path"] for unit in units] == ["/east/"]
    outside = await town.post("keeper-east", "/api/v1/organisation-units", {"path": "/west/s1/", "name": "S1"})
    assert outside.status_code == 403
    inside = await town.post("keeper-east", "/api/v1/organisation-units", {"path": "/east/s1/", "name": "S1"})
    assert inside.status_code == 201
    new = {"login": "newcomer", "name": "N", "roles": ["agent"], "scope": {"kind": "everything"}}
    assert (await town.post("keeper-east", "/api/v1/users", new)).status_code == 403
    within = {**new, "scope": {"kind": "branch", "branch": "/east/s1/"}, "unit_path": "/east/s1/"}
    assert (await town.post("keeper-east", "/api/v1/users", within)).status_code == 201
