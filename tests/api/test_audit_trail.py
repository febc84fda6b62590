"""Every change over HTTP leaves its entry in the audit log, under the name of who made it."""

from typing import Any
from uuid import UUID

from domain.access import Role
from domain.events import Event
from domain.organisation import Placement
from storage.events import Events
from storage.human_tasks import HumanTasks
from storage.runs import RunRow, Runs
from storage.unit_of_work import UnitOfWork
from tests.actors import PASSWORD
from tests.api.house import House
from tests.api.test_scopes import a_waiting_task
from tests.clock import SteppedClock
from tests.services.cashier import PROMOTERS, Cashier
from tests.services.house import a_flow
from tests.services.merchants import connect_merchant
from tests.services.test_calculations import MAY, QIAN, Office, with_people
from tests.services.test_selling import an_order

YAML = {"Content-Type": "application/yaml"}
RUN = "flow/shop/audited/1"
SYSTEM = "system:settlement"


async def _entries(house: House) -> list[tuple[str, str, str]]:
    """Who did what to what, the newest first."""
    listed = (await house.get("auditor", "/api/v1/audit", params={"size": 200})).json()["items"]
    return [(entry["actor"], entry["action"], entry["target"]) for entry in listed]


async def _changes(house: House, who: str, method: str, path: str, expected: str, **request: Any) -> Any:
    """The answer to a change that must be in the log as `action target`."""
    before = len(await _entries(house))
    answer = await house.say(who, method, path, **request)
    assert answer.status_code < 300, answer.text
    entries = await _entries(house)
    new = entries[: len(entries) - before]
    assert [f"{actor} {action} {target}" for actor, action, target in new] == [f"{who} {expected}"], path
    return answer.json() if answer.content else None


async def test_definitions_and_releases(house: House) -> None:
    where = "/api/v1/definitions"
    for version in ("1.0.0", "2.0.0"):
        content = a_flow("audited", "- a:\n    set: {x: 1}", version=version).encode()
        label = f"definition:flow shop/audited {version}"
        await _changes(house, "ops", "POST", where, f"definition.upload {label}", content=content, headers=YAML)
        verb, who = ("publish", "ops") if version == "1.0.0" else ("approve", "approver")
        await _changes(house, who, "POST", f"{where}/shop/audited/{version}/{verb}", f"definition.{verb} {label}")
        body = {"version": version, "share_percent": 100}
        released = "release.release flow:shop/audited"
        await _changes(house, "ops", "POST", "/api/v1/releases/shop/audited", released, json=body)
    back = "release.rollback flow:shop/audited"
    await _changes(house, "ops", "POST", "/api/v1/releases/shop/audited/rollback", back, json={})


async def test_sessions_and_tokens(house: House) -> None:
    await house.add_user("visitor", Role.AGENT)
    before = len(await _entries(house))
    opened = await house.post(None, "/api/v1/session", {"login": "visitor", "password": PASSWORD})
    session = {"Authorization": f"Bearer {opened.json()['token']}"}
    assert (await house.say(None, "DELETE", "/api/v1/session", headers=session)).status_code == 204
    await house.post(None, "/api/v1/session", {"login": "visitor", "password": "not the password"})
    entries = await _entries(house)
    assert [entry[1] for entry in entries[: len(entries) - before]] == [
        "session.refuse",
        "session.end",
        "session.start",
    ]
    assert {entry[2] for entry in entries[: len(entries) - before]} == {"user:visitor"}
    issued = await house.post("visitor", "/api/v1/tokens", {"name": "mine"})
    prefix = issued.json()["token"]["prefix"]
    assert (await _entries(house))[0] == ("visitor", "token.issue", f"token:{prefix}")
    await _changes(house, "visitor", "DELETE", f"/api/v1/tokens/{prefix}", f"token.revoke token:{prefix}")
    change = {"current": PASSWORD, "password": "a better password"}
    await _changes(house, "visitor", "PUT", "/api/v1/session/password", "user.password user:visitor", json=change)


async def test_what_administrators_set(house: House) -> None:
    unit = {"path": "/audited/", "name": "A"}
    await _changes(house, "admin", "POST", "/api/v1/organisation-units", "unit.add unit:/audited/", json=unit)
    secret = {"value": "do-not-tell"}
    await _changes(house, "admin", "PUT", "/api/v1/secrets/kept", "secret.set secret:kept", json=secret)
    await _changes(house, "admin", "DELETE", "/api/v1/secrets/kept", "secret.remove secret:kept")


async def test_what_people_do_with_a_task(house: House) -> None:
    async with UnitOfWork(house.database) as work:
        await HumanTasks(work).add(a_waiting_task("audited", Placement()))
    steps: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
        ("agent", "POST", "claim", "claim", {}),
        ("agent", "POST", "start", "start", {}),
        ("agent", "PUT", "draft", "save", {"json": {"form": {}}}),
        ("agent", "POST", "delegate", "delegate", {"json": {"to": "supervisor"}}),
        ("admin", "POST", "release", "release", {}),
    )
    for version, (who, method, path, action, body) in enumerate(steps, 1):
        headers = {"If-Match": f'"{version}"'}
        where = f"/api/v1/human-tasks/audited/{path}"
        await _changes(house, who, method, where, f"task.{action} task:audited", headers=headers, **body)


async def test_runs_and_events(house: House) -> None:
    await house.core.publish(a_flow("watched", "- a:\n    set: {x: 1}"))
    run = await house.post("ops", "/api/v1/runs", {"namespace": "shop", "name": "watched"})
    assert (await _entries(house))[0] == ("ops", "run.start", f"run:{run.json()['id']}")
    async with UnitOfWork(house.database) as work:
        row = await Runs(work).row(run.json()["id"])
        assert row is not None
        failed = RunRow(**{**row.model_dump(), "id": RUN, "phase": "faulted", "ended_at": work.now})
        await Runs(work).add([failed])
        await Events(work).add([Event(id="audited", source="/pos", type="com.example.visit")])
        claimed = await Events(work).claim(100, lease=work.now - work.now)
        (seq,) = [each.seq for each in claimed if each.event.id == "audited"]
        await Events(work).park(seq, "no run wanted it")
    await _changes(house, "ops", "POST", f"/api/v1/runs/{RUN}/retry", f"run.retry run:{RUN}")
    await _changes(house, "ops", "POST", f"/api/v1/runs/{RUN}/cancel", f"run.cancel run:{RUN}")
    again = {"ids": [seq]}
    await _changes(house, "ops", "POST", "/api/v1/events/parked/retry", "event.unpark events", json=again)
    event = {"specversion": "1.0", "id": "new", "source": "/pos", "type": "com.example.visit"}
    kind = {"Content-Type": "application/cloudevents+json"}
    await _changes(house, "ops", "POST", "/api/v1/events", "event.publish events", json=event, headers=kind)


async def test_settlements_and_payouts_from_the_asking_to_the_end(house: House) -> None:
    """People's steps under their names, the ends that nobody brings about by hand under the system's."""
    office = await with_people(Office(house.database, SteppedClock()))
    await office.told(an_order(channel="P1"))
    cashier, where = Cashier(office), "/api/v1/settlement"
    await connect_merchant(house.database)
    for code in ("P1", "C1"):
        await cashier.payee(code, openid=f"o-{code}", real_name=f"名{code}")
    period = {"scheme": "promoters", "day": str(MAY)}
    shown = await house.post("finance", f"{where}/calculations", period)
    calculation = f"calculation:{shown.json()['calculation']['id']}"
    assert (await _entries(house))[0] == ("finance", "settlement.calculate", calculation)

    run = await house.post("finance", f"{where}/runs", period)
    failed = run.json()["run"]["id"]
    problem: dict[str, object] = {"message": {"zh": "USD 没有汇率", "en": "USD has no rate"}}
    await cashier.runs.failed(UUID(failed), problem)
    assert (await _entries(house))[0] == (SYSTEM, "settlement.fail", f"settlement-run:{failed}")
    assert (await _details(house))[0]["problem"] == problem["message"]
    await cashier.runs.failed(UUID(failed), problem)
    assert [each for _, each, _ in await _entries(house)].count("settlement.fail") == 1

    run = await house.post("finance", f"{where}/runs", period)
    settled = run.json()["run"]["id"]
    for each in run.json()["calculations"]:
        await office.steps.run(UUID(each["id"]))
    await cashier.runs.computed(UUID(settled))
    approved = f"settlement.approve settlement-run:{settled}"
    await _changes(house, "approver", "POST", f"{where}/runs/{settled}/approve", approved, json={})
    for _ in range(2):
        await cashier.book(UUID(settled))
    booked = [each for each in await _entries(house) if each[1] == "settlement.book"]
    assert booked == [(SYSTEM, "settlement.book", f"settlement-run:{settled}")]
    assert (await _details(house))[0] == {"scheme": "promoters", "booked_minor": 1_897, "transfers": 2}

    first = run.json()["calculations"][0]["id"]
    await _changes(
        house, "finance", "POST", f"{where}/calculations/{first}/repeat", f"settlement.repeat calculation:{first}"
    )
    await office.steps.run(UUID((await _details(house))[0]["repeat"]))
    assert (await _entries(house))[0] == (SYSTEM, "settlement.repeated", f"calculation:{first}")
    assert (await _details(house))[0]["same"]

    view = await cashier.planned()
    await cashier.reserved(view.batch.id)
    for _ in range(2):
        await cashier.pay(view.batch.id)
    ended = [each for each in await _entries(house) if each[1] == "payouts.end"]
    assert ended == [(SYSTEM, "payouts.end", f"payout-batch:{view.batch.id}")]
    assert (await _details(house))[0] == {"scheme": "promoters", "paid": {"payouts": 2, "amount_minor": 1_897}}

    batch = await cashier.service.ask(QIAN, PROMOTERS)
    for _ in range(2):
        await cashier.planning.fail(batch.id, problem)
    failures = [each for each in await _entries(house) if each[1] == "payouts.fail"]
    assert failures == [(SYSTEM, "payouts.fail", f"payout-batch:{batch.id}")]


async def _details(house: House) -> list[Any]:
    """What entries tell of what was done, the newest first."""
    return [each["detail"] for each in (await house.get("auditor", "/api/v1/audit")).json()["items"]]
