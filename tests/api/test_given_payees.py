"""What each payee is given, over HTTP: pages and files, who may, and how far a settlement is."""

import csv
import io
from typing import Any

from domain.access import Permission, Role, Scope, permissions_of
from services.settlement_runs import SettlementRunService
from tests.api.house import House, problem
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS
from tests.services.test_calculations import MAY, QIAN, Office, with_people
from tests.services.test_selling import a_refund, an_order
from tests.services.test_settlement_runs import Books

BASE = "/api/v1/settlement"
READERS = {role.value for role in Role if Permission.SETTLEMENTS_READ in permissions_of({role})}


async def every(house: House, path: str, **more: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        params = {"size": 2, **more, **({"cursor": cursor} if cursor else {})}
        page = (await house.get("approver", path, params=params)).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_an_approver_sees_what_everybody_is_given_before_anything_is_booked(house: House) -> None:
    office = await with_people(Office(house.database, SteppedClock()))
    books = Books(office)
    await office.told(*(an_order(f"E{number}", channel=f"P{number}") for number in range(1, 6)))
    await books.settled()
    await office.told(a_refund(10_000))
    asked = await SettlementRunService(house.database, office.steps, CONNECTORS).ask(QIAN, "promoters", MAY)
    run, calculation = asked.run.id, asked.calculations[0].id
    path = f"{BASE}/runs/{run}/payees"
    early = await house.get("approver", path)
    assert problem(early)["status"] == 409
    await office.steps.freeze(calculation)
    await office.steps.earn_alone(calculation, 0)
    half = (await house.get("approver", f"{BASE}/runs/{run}")).json()
    assert (half["parts_done"], half["parts"], half["parts_booked"]) == (1, 32, 0)
    assert half["progress"] == [
        {"calculation": str(calculation), "parts_done": 1, "parts": 32, "parts_booked": 0},
    ]
    assert half["rates"] == []
    await office.steps.run(calculation)
    await books.runs.computed(run)

    whole = await every(house, path)
    assert whole == await every(house, f"{BASE}/calculations/{calculation}/payees")
    assert len(whole) == 7
    shown = (await house.get("approver", f"{BASE}/runs/{run}")).json()
    assert sum(each["difference_minor"] for each in whole) == shown["run"]["total_minor"] == -620
    assert sum(each["total_minor"] for each in whole) == shown["calculations"][0]["total_minor"]
    first, second = await every(house, path, sort="change", changed="true")
    assert (first["payee"], first["total_minor"], first["before_minor"]) == ("P1", 1_037, 1_537)
    assert (first["books"], first["reasons"], second["payee"]) == ("commission", ["counted"], "C1")
    assert first["components"][0] == {
        "component": "sales",
        "title": "推广",
        "amount_minor": 1_000,
        "before_minor": 1_500,
    }

    table = await house.get("approver", path, params={"format": "csv", "language": "en"})
    assert table.headers["content-disposition"].endswith('payees_promoters_2026-05-01_2026-06-01.csv"')
    rows = {row["Payee"]: row for row in csv.DictReader(io.StringIO(table.text.lstrip("\ufeff")))}
    assert {code: row["Difference"] for code, row in rows.items()} == {
        each["payee"]: f"{each['difference_minor'] / 100:.2f}" for each in whole
    }
    book = await house.get("auditor", path, params={"format": "xlsx", "changed": "true"})
    assert book.content.startswith(b"PK")
    entries = (await house.get("auditor", "/api/v1/audit", params={"action": "settlement.export"})).json()["items"]
    assert [(each["target"], each["detail"]["format"]) for each in entries] == [
        (f"settlement-run:{run}", "xlsx"),
        (f"settlement-run:{run}", "csv"),
    ]

    for role in Role:
        for each in (path, f"{BASE}/calculations/{calculation}/payees"):
            status = (await house.get(role.value, each)).status_code
            assert status == (200 if role.value in READERS else 403), (role, each)
    await house.add_user("east", Role.FINANCE, scope=Scope.of_branch("/east/"))
    assert (await house.get("east", path)).status_code == 403

    named = {each["payee_name"] for each in whole}
    assert all("*" in name for name in named), named
    clear = {"unmask": "true", "reason": "复核"}
    for who, status in (("finance", 200), ("approver", 200), ("auditor", 403)):
        for form in ("json", "csv"):
            answer = await house.get(who, path, params={**clear, "format": form})
            assert answer.status_code == status, (who, form)
            assert status != 200 or "P1,P1" in answer.text or '"payee_name":"P1"' in answer.text
    assert (await house.get("finance", path, params={"unmask": "true"})).status_code == 400
    unmasked = (await house.get("auditor", "/api/v1/audit", params={"action": "settlement-run.unmask"})).json()
    assert len(unmasked["items"]) == 4

    nobody = "0199f3a2-7c51-7b1e-9a44-3f1f5f0e6c11"
    for wrong, params, code in (
        (f"{BASE}/runs/{nobody}/payees", {}, 404),
        (f"{BASE}/calculations/{nobody}/payees", {"format": "csv"}, 404),
        (path, {"cursor": "x"}, 400),
        (path, {"sort": "name"}, 400),
        (path, {"format": "pdf"}, 400),
    ):
        assert problem(await house.get("finance", wrong, params=params))["status"] == code
