"""What those who watch see: whether it lives, whether it can serve, how much of what, and one line a request."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs
from temporalio.client import Client

from services.orchestrator import Orchestrator
from services.retention import RetentionService
from services.vitals import Vitals
from storage.effects import Effects
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, InboxRow, Push
from storage.unit_of_work import UnitOfWork
from tests.actors import PASSWORD
from tests.api.house import METRICS_TOKEN, SYSTEM, House
from tests.services.house import a_flow, eventually

MONITOR = {"Authorization": f"Bearer {METRICS_TOKEN}"}


async def test_a_living_process_says_so_without_asking_anybody(house: House) -> None:
    app, _ = house.with_other(vitals=None)
    async with house.client_of(app) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_readiness_names_the_server_that_is_down(house: House) -> None:
    ready = await house.get(None, "/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "up", "temporal": "up"})
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing", Keyring({"k1": b"1" * 32}))
    lost = await Client.connect("127.0.0.1:1", lazy=True)
    orchestrator = house.core.orchestrator
    for vitals, down in (
        (Vitals(nowhere, orchestrator), "database"),
        (Vitals(house.database, Orchestrator(lost)), "temporal"),
    ):
        app, _ = house.with_other(vitals=vitals)
        async with house.client_of(app) as client:
            answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert [name for name, state in answer.json().items() if state == "down"] == [down]
    await nowhere.close()


async def test_while_temporal_is_away_runs_are_taken_and_everything_else_is_served(house: House) -> None:
    await house.core.publish(a_flow("later", "- done:\n    set: {a: 1}"))
    lost = Orchestrator(await Client.connect("127.0.0.1:1", lazy=True))
    starter = type(house.core.starter)(house.database, lost, house.core.book)
    runs = type(house.core.runs)(house.database, lost, starter, house.core.masking)
    app, _ = house.with_other(runs=runs)
    async with house.client_of(app) as client:
        headers = {"Authorization": f"Bearer {house.tokens['ops']}"}
        started = await client.post("/api/v1/runs", json={"namespace": "shop", "name": "later"}, headers=headers)
        assert (started.status_code, started.json()["phase"]) == (201, "pending")
        shown = await client.get(started.headers["location"], headers=headers)
        assert (shown.status_code, shown.json()["live"]) == (200, False)


async def _metrics(house: House) -> dict[str, float]:
    text = (await house.get(None, "/metrics", headers=MONITOR)).text
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


async def test_metrics_count_requests_runs_tasks_and_what_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.metrics.FIGURES_KEPT_S", -1.0)
    name = 'tandem_http_requests_total{method="GET",route="/api/v1/runs/{run_id:path}",status="404"}'
    before = (await _metrics(house)).get(name, 0)
    await house.get("ops", "/api/v1/runs/flow/a/b/c")
    after = await _metrics(house)
    assert after[name] == before + 1
    assert not [series for series in after if "flow/a/b/c" in series], "no caller makes new series"
    await house.core.publish(
        a_flow("ask", "- ask:\n    call: human-task\n    with: {queue: counted, title: t, form: {type: object}}"),
        "queue: {name: counted, title: 计数}",
    )
    await house.post("ops", "/api/v1/runs", {"namespace": "shop", "name": "ask"})
    event = {"specversion": "1.0", "id": "m-1", "source": "/pos", "type": "com.example.visit"}
    await house.say(
        "ops",
        "POST",
        "/api/v1/events",
        content=json.dumps(event).encode(),
        headers={"Content-Type": "application/cloudevents+json"},
    )

    async def counted() -> dict[str, float] | None:
        found = await _metrics(house)
        return found if found.get('tandem_human_tasks_open{queue="counted",state="ready"}') == 1 else None

    async with house.core.worker():
        found = await eventually(counted)
    assert sum(found.get(f'tandem_runs{{phase="{phase}"}}', 0) for phase in ("running", "waiting")) >= 1
    assert found['tandem_backlog_waiting{stage="events"}'] >= 1
    assert found['tandem_backlog_lag_seconds{stage="inbox"}'] == 0
    assert found['tandem_backlog_waiting{stage="sales"}'] == found['tandem_backlog_aside{stage="sales"}'] == 0
    assert found["tandem_figures_up"] == 1


async def test_metrics_tell_what_was_deleted_and_how_old_the_oldest_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.metrics.FIGURES_KEPT_S", -1.0)
    async with UnitOfWork(house.database) as work:
        old = Push("youzan", "shop", "old", "trade", b"{}", work.now)
        for each in (old, replace(old, dedupe_key="older")):
            await Inbox(work).add(each)
        await Inbox(work).done([stored.id for stored in await Inbox(work).take_waiting(2, ["youzan"])])
        await work.session.execute(update(InboxRow).values(changed_at=work.now - timedelta(days=29)))
        await work.session.execute(
            update(InboxRow).filter_by(dedupe_key="older").values(changed_at=work.now - timedelta(days=31))
        )
    await RetentionService(house.database).purge(SYSTEM)
    found = await _metrics(house)
    assert found['tandem_purged_rows{kind="inbox"}'] == 1
    assert found['tandem_oldest_row_seconds{kind="inbox"}'] == pytest.approx(29 * 86_400, abs=60)


async def test_metrics_tell_which_platforms_pushes_wait_and_which_could_not_be_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.metrics.FIGURES_KEPT_S", -1.0)
    async with UnitOfWork(house.database) as work:
        old = Push("jd", "a", "old", "order", b"{}", work.now - timedelta(hours=2))
        new = Push("youzan", "a", "new", "trade", b"{}", work.now - timedelta(minutes=1))
        bad = replace(new, account="b", dedupe_key="bad", received_at=work.now - timedelta(hours=9))
        pushes = [old, replace(old, account="b", dedupe_key="newer", received_at=work.now), new, bad]
        await Inbox(work).add_many(pushes)
        taken = {each.push.dedupe_key: each.id for each in await Inbox(work).take_waiting(9, ["jd", "youzan"])}
        await Inbox(work).quarantine({taken["bad"]: "no JSON"})
    found = await _metrics(house)
    lags = {name: value for name, value in found.items() if name.startswith("tandem_inbox_lag_seconds")}
    assert lags == {
        'tandem_inbox_lag_seconds{platform="jd"}': pytest.approx(7_200, abs=60),
        'tandem_inbox_lag_seconds{platform="youzan"}': pytest.approx(60, abs=59),
    }
    aside = {name: value for name, value in found.items() if name.startswith("tandem_quarantined")}
    assert aside == {'tandem_quarantined{platform="youzan"}': 1}
    assert found['tandem_backlog_aside{stage="inbox"}'] == 1
    async with UnitOfWork(house.database) as work:
        await Inbox(work).done(list(taken.values()))
    assert not [name for name in await _metrics(house) if name.startswith(("tandem_inbox_lag", "tandem_quarantined"))]


async def test_ended_runs_whose_effect_nobody_knows_of_are_counted_and_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.metrics.FIGURES_KEPT_S", -1.0)
    await house.core.publish(a_flow("at-once", "- done:\n    set: {done: true}"))

    async def a_run() -> str:
        started = await house.post("ops", "/api/v1/runs", {"namespace": "shop", "name": "at-once"})
        return str(started.json()["id"])

    async def all_ended() -> bool:
        return {(await house.get("ops", f"/api/v1/runs/{run_id}")).json()["phase"] for run_id in runs} == {"completed"}

    async def unsettled() -> list[str]:
        return [run["id"] for run in (await house.get("ops", "/api/v1/runs?unsettled=true")).json()["items"]]

    runs = [await a_run() for _ in range(3)]
    async with house.core.worker():
        await eventually(all_ended)
    for run_id in (*runs, await a_run()):
        async with UnitOfWork(house.database) as work:
            await Effects(work).begin(f"{run_id}/pay", "youzan.agree_refund", "sha256:a", run_id=run_id)
    async with UnitOfWork(house.database) as work:
        await Effects(work).mark_unknown(f"{runs[1]}/pay", {"status": 504}, 1)
        await Effects(work).finish(f"{runs[2]}/pay", {})
    assert await unsettled() == [runs[1], runs[0]]
    assert (await _metrics(house))['tandem_effects_unsettled{call="youzan.agree_refund"}'] == 2
    async with UnitOfWork(house.database) as work:
        for run_id in runs:
            await Effects(work).finish(f"{run_id}/pay", {})
    assert await unsettled() == []
    assert 'tandem_effects_unsettled{call="youzan.agree_refund"}' not in await _metrics(house)


async def test_metrics_are_given_even_when_the_database_is_away(house: House) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing", Keyring({"k1": b"1" * 32}))
    app, _ = house.with_other(vitals=Vitals(nowhere, house.core.orchestrator))
    async with house.client_of(app) as client:
        answer = await client.get("/metrics", headers=MONITOR)
    assert (answer.status_code, "tandem_figures_up 0.0" in answer.text) == (200, True)
    await nowhere.close()


def _line(logged: list[Any], route: str) -> dict[str, Any]:
    return next(line for line in logged if line["event"] == "request" and line["route"] == route)


async def test_each_request_is_one_line_with_ids_and_without_secrets(house: House) -> None:
    with capture_logs() as logged:
        await house.get("ops", "/api/v1/runs/flow/a/b/c?x=1")
        await house.get("ops", "/api/v1/runs?customer=42&subject=phone:13800000000")
        await house.post(None, "/api/v1/session", {"login": "ops", "password": PASSWORD})
        await house.get(None, "/healthz")
    shown = _line(logged, "/api/v1/runs/{run_id:path}")
    assert (shown["run"], shown["status"], shown["method"]) == ("flow/a/b/c", 404, "GET")
    assert _line(logged, "/api/v1/runs")["customer"] == "42"
    told = json.dumps(logged, default=str)
    assert PASSWORD not in told
    assert "13800000000" not in told
    assert house.tokens["ops"] not in told
    assert not [line for line in logged if line.get("route") == "/healthz"]
