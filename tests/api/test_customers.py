"""Customers over HTTP: who sees why, who decides, and what an answer never shows."""

from collections.abc import Mapping

from domain.canonical.keys import IdentityKey, KeyKind
from services.identities import IdentityService, Sighting
from storage.unit_of_work import UnitOfWork
from tests.api.house import House, problem
from tests.services.test_identities import NOW

PHONE, OTHER_PHONE = "+8613800138000", "+8613900139000"


async def _told(house: House, *records: Mapping[KeyKind, str]) -> list[str]:
    """Customers of records, each written as kind and value."""
    sightings = [
        Sighting(
            tuple(IdentityKey(kind, "jd" if kind == "buyer" else "", value) for kind, value in record.items()),
            "jd/flagship",
            "order:1",
            NOW,
        )
        for record in records
    ]
    async with UnitOfWork(house.database) as work:
        assigned = await IdentityService().assign(work, sightings)
    return [str(assigned.customers[sighting.keys[0]]) for sighting in sightings]


async def test_why_merge_and_undo(house: House) -> None:
    first, second = await _told(
        house, {"buyer": "jd-buyer-0001", "phone": PHONE}, {"unionid": "oUNION-00001", "device": "a-device-0001"}
    )
    body = {"others": [second], "reason": "电话核实"}
    assert (await house.post("agent", f"/api/v1/customers/{first}/merge", body)).status_code == 403
    merged = await house.post("supervisor", f"/api/v1/customers/{first}/merge", body)
    assert merged.status_code == 200, merged.text
    assert merged.json()["customers"] == [first]
    why = await house.get("agent", f"/api/v1/customers/{second}/identities")
    assert why.json()["customer"] == first
    assert why.json()["aliases"] == [second]
    assert {key["value"] for key in why.json()["keys"]} == {
        "jd-b****0001",
        "+86138****8000",
        "oUNI****0001",
        "a-de****0001",
    }
    assert PHONE not in why.text
    undone = await house.post("admin", f"/api/v1/identity-decisions/{merged.json()['decision']}/undo")
    assert sorted(undone.json()["customers"]) == sorted([first, second])
    again = await house.post("admin", f"/api/v1/identity-decisions/{merged.json()['decision']}/undo")
    assert problem(again)["status"] == 409


async def test_split_and_review(house: House) -> None:
    await _told(
        house, {"buyer": "jd-buyer-0002", "phone": OTHER_PHONE}, {"buyer": "jd-buyer-0003", "phone": OTHER_PHONE}
    )
    listed = await house.get("agent", "/api/v1/identity-suggestions")
    found = [each for each in listed.json()["items"] if each["why"] == "shared_phone"]
    assert len(found) == 2
    body = {"verdict": "join", "reason": "本人确认"}
    settled = await house.post("supervisor", f"/api/v1/identity-suggestions/{found[0]['id']}/settle", body)
    assert settled.status_code == 200, settled.text
    owner = settled.json()["customers"][0]
    keys = (await house.get("agent", f"/api/v1/customers/{owner}/identities")).json()["keys"]
    phone = next(key["id"] for key in keys if key["kind"] == "phone")
    split = {"identities": [phone], "reason": "号码已换人"}
    refused = await house.post("supervisor", f"/api/v1/customers/{owner}/split", split)
    assert problem(refused)["decisions"] == [settled.json()["decision"]]
    wrong = await house.post("supervisor", f"/api/v1/customers/{owner}/split", {**split, "identities": [2**60]})
    assert problem(wrong)["unknown"] == [2**60]


async def test_leave_alone_and_speak_again(house: House) -> None:
    (customer,) = await _told(house, {"buyer": "jd-buyer-0009", "phone": "+8613700137000"})
    path = f"/api/v1/customers/{customer}/suppressions"
    body = {"reason": "来电要求", "article": {"platform": "jd", "account": "flagship", "item_id": "7"}}
    assert (await house.post("auditor", path, body)).status_code == 403
    made = await house.post("agent", path, body)
    assert made.status_code == 200, made.text
    (found,) = made.json()["items"]
    assert (found["reason"], found["account"], found["item_id"], found["note"]) == (
        "manual",
        "flagship",
        "7",
        "来电要求",
    )
    assert problem(await house.post("agent", path, {"reason": "x", "until": "2001-01-01T00:00:00Z"}))["status"] == 400
    assert (await house.get("auditor", path)).json() == made.json()
    lifted = await house.say("agent", "DELETE", f"{path}/{found['id']}?reason=本人同意")
    assert lifted.json() == {"items": []}


async def test_a_consent_is_written_down_and_taken_back(house: House) -> None:
    (customer,) = await _told(house, {"buyer": "jd-buyer-0010"})
    path = f"/api/v1/customers/{customer}/consents"
    body = {"state": "given", "source": "门店登记表", "at": "2026-11-01T02:00:00Z"}
    assert (await house.post("auditor", path, body)).status_code == 403
    for wrong in ({"state": "perhaps"}, {"channel": "pigeon"}, {"source": ""}, {"at": "2026-11-01T02:00:00"}):
        assert problem(await house.post("agent", path, {**body, **wrong}))["status"] == 400
    assert (await house.post("agent", path, body)).status_code == 200
    taken_back = await house.post(
        "agent", path, {"state": "withdrawn", "source": "13800138000 来电", "channel": "wecom"}
    )
    assert taken_back.status_code == 200, taken_back.text
    shown = (await house.get("auditor", path)).json()["items"]
    assert [(each["state"], each["channel"], each["source"], each["in_force"]) for each in shown] == [
        ("withdrawn", "wecom", "138****8000 来电", True),
        ("given", None, "门店登记表", True),
    ]
    assert (shown[1]["at"], shown[1]["account_id"]) == ("2026-11-01T02:00:00Z", None)


async def test_who_invited_a_customer_is_told_once_and_followed_to_a_merged_one(house: House) -> None:
    first, second, friend = await _told(
        house, {"buyer": "jd-buyer-0101"}, {"unionid": "oUNION-00101"}, {"buyer": "jd-buyer-0102"}
    )
    payee = {"payees": [{"code": "INV-1", "name": "李小红", "role": "promoter"}]}
    assert (await house.say("finance", "PUT", "/api/v1/payees", json=payee)).status_code == 200
    path, at = f"/api/v1/customers/{first}/invitations", "2026-11-01T02:00:00Z"
    told = {"inviter": {"payee": "INV-1"}, "at": at, "source": "拼团邀请 13800138000"}
    assert (await house.post("agent", path, told)).status_code == 403
    for _ in range(2):
        shown = await house.post("finance", path, told)
        assert shown.status_code == 200, shown.text
    (one,) = shown.json()["items"]
    assert (one["inviter"], one["counts"]) == ({"payee": "INV-1", "customer": None}, True)
    assert "13800138000" not in shown.text
    by_friend = {**told, "inviter": {"customer": friend}, "at": "2026-11-02T02:00:00Z"}
    listed = (await house.post("finance", path, by_friend)).json()["items"]
    assert [(each["inviter"]["customer"], each["counts"]) for each in listed] == [(None, True), (friend, False)]
    for wrong in (
        {**told, "inviter": {}},
        {**told, "inviter": {"payee": "INV-1", "customer": friend}},
        {**told, "inviter": {"customer": first}},
        {**told, "at": "2099-01-01T00:00:00Z"},
        {**told, "source": ""},
    ):
        assert (await house.post("finance", path, wrong)).status_code == 400
    assert (await house.post("finance", path, {**told, "inviter": {"payee": "INV-9"}})).status_code == 404
    body = {"others": [first], "reason": "电话核实"}
    assert (await house.post("supervisor", f"/api/v1/customers/{second}/merge", body)).status_code == 200
    kept = await house.get("auditor", f"/api/v1/customers/{second}/invitations")
    assert kept.json()["items"] == listed, "they follow"
    audit = (await house.get("auditor", "/api/v1/audit", params={"action": "customer.invited"})).json()["items"]
    assert [each["detail"]["by"] for each in audit] == [f"customer:{friend}", "INV-1"]
