"""Profiles over HTTP: who sees what, in clear only with a reason, and who may export and erase."""

import json
from datetime import UTC, datetime

from sqlalchemy import text

from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.canonical.keys import IdentityKey
from services.identities import IdentityService, Sighting
from storage.accounts import Accounts
from storage.interactions import InteractionRow
from storage.unit_of_work import UnitOfWork
from tests.api.house import House, problem

CUSTOMERS = "/api/v1/customers"
NUMBERS = iter(range(1000, 2000))


async def a_customer(house: House) -> tuple[str, str]:
    """A customer of a corp in the east who wrote their phone, and the phone."""
    phone = f"+861380013{next(NUMBERS)}"
    key = IdentityKey("phone", "", phone)
    now = datetime.now(UTC)
    async with UnitOfWork(house.database) as work:
        assigned = await IdentityService().assign(work, [Sighting((key,), "wecom/main", "chat:1", now)])
        row = InteractionRow(
            kind="chat",
            key=phone,
            identity_id=assigned.identities[key],
            version=1,
            occurred_at=now,
            recorded_at=now,
            personal={"text": f"电话 {phone.removeprefix('+86')}"},
        )
        row.account_id, row.unit_path = "wecom/main", "/east/"
        work.session.add(row)
    return str(assigned.customers[key]), phone


async def test_a_profile_is_masked_and_shown_in_clear_for_a_reason(house: House) -> None:
    customer, phone = await a_customer(house)
    for path in (f"{CUSTOMERS}/{customer}", f"{CUSTOMERS}/{customer}/timeline"):
        shown = await house.get("agent", path)
        assert shown.status_code == 200, shown.text
        assert shown.json()["masked"]
        assert phone.removeprefix("+86") not in shown.text
        refused = await house.get("agent", path, params={"unmask": True, "reason": "x"})
        assert problem(refused)["status"] == 403
        assert problem(await house.get("supervisor", path, params={"unmask": True}))["status"] == 400
        clear = await house.get("supervisor", path, params={"unmask": True, "reason": "客诉回电"})
        assert not clear.json()["masked"]
        assert phone.removeprefix("+86") in clear.text
    audited = await house.get("auditor", "/api/v1/audit", params={"target": f"customer:{customer}"})
    assert [each["action"] for each in audited.json()["items"]] == ["customer.unmask"] * 2


async def test_customers_are_found_and_wrong_questions_are_told(house: House) -> None:
    customer, phone = await a_customer(house)
    found = await house.get("agent", CUSTOMERS, params={"phone": phone})
    assert [each["customer"] for each in found.json()["items"]] == [customer]
    assert phone not in found.text
    assert problem(await house.get("agent", CUSTOMERS))["status"] == 400
    assert problem(await house.get("agent", CUSTOMERS, params={"phone": "138"}))["status"] == 400


async def test_every_route_knows_the_data_scope(house: House) -> None:
    customer, phone = await a_customer(house)
    async with UnitOfWork(house.database) as work:
        for account in ("wecom/main", "jd/flagship"):
            platform, _, slug = account.partition("/")
            await Accounts(work).add(NewAccount(platform=platform, slug=slug, name=slug, credentials={"a": "b"}))
    scopes = {
        "shop-in": (Scope.of_accounts("wecom/main"), 200),
        "shop-out": (Scope.of_accounts("jd/flagship"), 404),
        "branch-in": (Scope.of_branch("/east/"), 200),
        "branch-out": (Scope.of_branch("/west/"), 404),
        "own-out": (Scope.of_own_customers("own-out"), 404),
    }
    for login, (scope, status) in scopes.items():
        await house.add_user(login, Role.ADMIN, scope=scope)
        for path in ("", "/timeline"):
            assert (await house.get(login, f"{CUSTOMERS}/{customer}{path}")).status_code == status, (login, path)
        found = await house.get(login, CUSTOMERS, params={"phone": phone})
        assert bool(found.json()["items"]) == (status == 200), login
        for action in ("export", "erase"):
            refused = await house.post(login, f"{CUSTOMERS}/{customer}/{action}", {"reason": "x"})
            assert refused.status_code == 403, login


async def test_export_and_erase(house: House) -> None:
    customer, phone = await a_customer(house)
    for role in Role:
        if role is not Role.ADMIN:
            for action in ("export", "erase"):
                answer = await house.post(role.value, f"{CUSTOMERS}/{customer}/{action}", {"reason": "本人申请"})
                assert answer.status_code == 403, role
    exported = await house.post("admin", f"{CUSTOMERS}/{customer}/export", {"reason": "本人申请"})
    assert exported.status_code == 200, exported.text
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert [each["data"]["value"] for each in lines if each.get("table") == "identities"] == [phone]
    (act,) = [each["data"] for each in lines if each.get("table") == "interactions"]
    assert phone.removeprefix("+86") in act["personal"]["text"]
    assert lines[-1]["end"]["rows"]["interactions"] == 1
    again = [
        await house.post(
            "admin", f"{CUSTOMERS}/{customer}/export", {"reason": "本人申请"}, headers={"Idempotency-Key": "x"}
        )
        for _ in range(2)
    ]
    assert [each.status_code for each in again] == [200, 200]
    async with UnitOfWork(house.database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM idempotency_keys")) == 0, "kept nowhere"
    erased = await house.post("admin", f"{CUSTOMERS}/{customer}/erase", {"reason": "本人申请"})
    assert erased.json()["state"] == "working"
    assert (await house.get("admin", f"{CUSTOMERS}/{customer}/erasure")).json()["step"] == "awaited_orders"
    gone = problem(await house.get("agent", f"{CUSTOMERS}/{customer}"))
    assert gone["status"] == 404
    assert "erased_at" in gone
