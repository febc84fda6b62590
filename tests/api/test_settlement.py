"""Payees, keys, disputes and rates over HTTP, each by who may."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.settlement.bills import day_of
from tests.api.house import House, problem
from tests.services.test_selling import Counter, an_order

PAYEES, SETTLEMENT = "/api/v1/payees", "/api/v1/settlement"
DETAILS = {"real_name": "李小红", "bank_account": "6222020200112233445", "bank_name": "招商银行"}
LI = {
    "code": "P-1",
    "name": "李小红",
    "role": "promoter",
    "details": DETAILS,
}


async def put(house: House, *payees: dict[str, Any], who: str = "finance") -> Any:
    return await house.say(who, "PUT", PAYEES, json={"payees": list(payees)})


async def test_payees_are_written_down_and_seen_in_clear_with_a_reason(house: House) -> None:
    assert (await put(house, LI)).json() == {"new": 1, "changed": 0, "unchanged": 0}
    assert (await put(house, LI)).json() == {"new": 0, "changed": 0, "unchanged": 1}
    assert (await put(house, {**LI, "active": False})).json()["changed"] == 1
    shown = (await house.get("auditor", f"{PAYEES}/P-1")).json()["payee"]
    assert (shown["name"], shown["version"]) == ("李**", 2)
    assert shown["details"]["bank_account"] != DETAILS["bank_account"]
    assert shown["details"]["bank_name"] == "招商银行"
    clear = {"unmask": True, "reason": "核对付款"}
    assert (await house.get("auditor", f"{PAYEES}/P-1", params=clear)).status_code == 403
    assert (await house.get("finance", f"{PAYEES}/P-1", params={"unmask": True})).status_code == 400
    seen = (await house.get("finance", f"{PAYEES}/P-1", params=clear)).json()["payee"]
    assert seen["details"] == {"openid": None, "merchant_receiver": None, **DETAILS}
    audit = (await house.get("auditor", "/api/v1/audit", params={"action": "payee.unmask"})).json()["items"]
    assert [each["actor"] for each in audit] == ["finance"]
    assert "李小红" not in (await house.get("auditor", "/api/v1/audit")).text


async def test_what_is_wrong_with_payees_changes_nothing(house: House) -> None:
    one, other = {**LI, "code": "W-1"}, {**LI, "code": "W-2"}
    assert (await put(house, one, one)).status_code == 400
    assert (await put(house, one, {**other, "unit_path": "/nowhere/"})).status_code == 404
    assert (await put(house, one, {**other, "role": "Big Boss"})).status_code == 400
    assert (await put(house, one, {**other, "details": {"bank_account": "x"}})).status_code == 400
    # What was seen masked is not written back.
    assert (await put(house, {**one, "name": "李**"})).status_code == 400
    assert (await put(house, {**one, "details": {"real_name": "李**"}})).status_code == 400
    assert (await house.get("finance", f"{PAYEES}/W-1")).status_code == 404
    await put(house, one, other)
    circle = [{"code": "W-1", "upline": "W-2", "since": "2026-01-01"}]
    back = [{"code": "W-2", "upline": "W-1", "since": "2026-03-01"}]
    assert (await house.say("finance", "PUT", f"{SETTLEMENT}/uplines", json={"changes": circle})).status_code == 204
    refused = await house.say("finance", "PUT", f"{SETTLEMENT}/uplines", json={"changes": back})
    assert "W-1 → W-2 → W-1" in problem(refused)["detail"]
    key = {"code": "W-1", "kind": "channel", "value": "live", "since": "2026-01-01"}
    assert (await house.say("finance", "PUT", f"{SETTLEMENT}/keys", json={"changes": [key]})).status_code == 204
    twice = {"changes": [{**key, "code": "W-2"}]}
    assert (await house.say("finance", "PUT", f"{SETTLEMENT}/keys", json=twice)).status_code == 409
    shown = (await house.get("approver", f"{PAYEES}/W-1")).json()
    assert shown["uplines"] == [{"since": "2026-01-01", "upline": "W-2"}]
    assert [(each["kind"], each["value"], each["share"]) for each in shown["keys"]] == [("channel", "live", 10_000)]


async def test_facts_are_noted_once(house: House) -> None:
    await put(house, {**LI, "code": "F-1"})
    fact = {"code": "F-1", "name": "visits", "day": "2026-05-01", "amount": 3, "key": "f-1/1"}
    path = f"{SETTLEMENT}/facts"
    assert (await house.say("finance", "POST", path, json={"facts": [fact]})).json() == {"new": 1}
    other = {**fact, "key": "f-1/2", "amount": -1}
    assert (await house.say("finance", "POST", path, json={"facts": [fact, other]})).json() == {"new": 1}
    for wrong in ({"amount": 0.5}, {"name": "Visits!"}, {"day": "soon"}, {"key": ""}):
        assert (await house.say("finance", "POST", path, json={"facts": [{**fact, **wrong}]})).status_code == 400
    assert (await house.say("finance", "POST", path, json={"facts": [{**fact, "code": "nobody"}]})).status_code == 404


async def test_a_key_is_each_payee_s_own_and_says_one_thing(house: House) -> None:
    await put(house, {**LI, "code": "K-1"}, {**LI, "code": "K-2"})
    path = f"{SETTLEMENT}/facts"

    async def note(*facts: dict[str, Any]) -> Any:
        return await house.say("finance", "POST", path, json={"facts": list(facts)})

    fact = {"code": "K-1", "name": "visits", "day": "2026-11-01", "amount": 3, "key": "2026-11-01"}
    other = {**fact, "code": "K-2", "amount": 5}
    assert (await note(fact)).json() == {"new": 1}
    assert (await note(fact, other, other)).json() == {"new": 1}, "the second store's own"
    assert (await note({**fact, "name": "bookings"})).json() == {"new": 1}
    for wrong in ({**fact, "amount": 4}, {**fact, "day": "2026-11-02"}):
        told = problem(await note({**other, "key": "new"}, wrong))
        assert (told["status"], told["row"], told["code"], told["key"]) == (409, 2, "K-1", "2026-11-01")
        assert (told["noted"]["day"], told["noted"]["amount"]) == ("2026-11-01", 3)
        assert "第 2 条" in told["detail"]
    new = {**other, "key": "new"}
    assert (await note(new, {**new, "amount": 6})).status_code == 409, "one that contradicts itself"
    assert (await note(new)).json() == {"new": 1}, "of what was refused nothing was noted"


async def test_rates_are_plain_decimals_in_quotes(house: House) -> None:
    rates = {"rates": [{"currency": "USD", "day": "2026-05-01", "rate": "7.1234"}]}
    assert (await house.say("finance", "PUT", f"{SETTLEMENT}/rates", json=rates)).status_code == 204
    shown = (await house.get("auditor", f"{SETTLEMENT}/rates/USD/2026-05-03")).json()
    assert shown == {"currency": "USD", "day": "2026-05-03", "rate": "7.1234"}
    assert (await house.get("auditor", f"{SETTLEMENT}/rates/USD/2026-06-03")).status_code == 404
    for wrong in (7.1234, "free", "-1"):
        refused = {"rates": [{"currency": "USD", "day": "2026-05-01", "rate": wrong}]}
        assert (await house.say("finance", "PUT", f"{SETTLEMENT}/rates", json=refused)).status_code == 400


async def test_an_order_that_is_not_there_cannot_be_disputed(house: House) -> None:
    path = f"{SETTLEMENT}/orders/youzan/flagship/E1"
    wanted = {"role": "promoter", "shares": [], "reason": "刷单"}
    assert (await house.get("auditor", path)).status_code == 404
    assert (await house.say("finance", "POST", f"{path}/corrections", json=wanted)).status_code == 404
    assert (await house.get("approver", f"{SETTLEMENT}/corrections")).json()["items"] == []


SCHEME = """
scheme:
  name: left-out
  version: {version}
  title: t
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns: [{{ name: sales, title: t, of: kept, rate: '5%' }}]
"""


async def test_a_period_with_orders_that_have_no_sales_is_settled_when_that_is_said(house: House) -> None:
    books = Counter(house.database)
    await books.publish()
    await books.publish("1.0.0", SCHEME)
    await books.told(an_order(currency="EUR"))
    path, wanted = f"{SETTLEMENT}/runs", {"scheme": "left-out", "day": "2026-05-20"}
    refused = problem(await house.say("finance", "POST", path, json=wanted))
    assert (refused["status"], refused["left_out"]) == (409, {"no-rate": 1})
    assert refused["orders"] == ["youzan/flagship E1"]
    assert (await house.say("finance", "POST", path, json={**wanted, "leave_out": "some"})).status_code == 400
    assert (await house.say("finance", "POST", path, json={**wanted, "leave_out": True})).status_code == 202
    (entry,) = (await house.get("auditor", "/api/v1/audit", params={"action": "settlement.run"})).json()["items"]
    assert entry["detail"]["left_out"] == {"no-rate": 1}


async def test_a_what_if_goes_by_the_input_of_another_calculation_and_is_compared(house: House) -> None:
    await Counter(house.database).publish("9.1.0", SCHEME.replace("left-out", "compared"))
    path, period = f"{SETTLEMENT}/calculations", {"scheme": "compared", "day": "2026-05-20", "version": "9.1.0"}
    for wrong in ({"input_of": str(UUID(int=9))}, {"today": True}, {"input_of": "May"}):
        assert (await house.post("finance", path, {**period, **wrong})).status_code == 400, "of previews"
    real = (await house.post("finance", path, period)).json()["calculation"]["id"]
    what_if = {**period, "purpose": "what-if", "input_of": real}
    assert problem(await house.post("finance", path, what_if))["status"] == 409, "nothing is frozen yet"
    steps = house.application.calculation_steps
    await steps.run(UUID(real))
    tried = (await house.post("finance", path, what_if)).json()["calculation"]
    assert (tried["purpose"], tried["input_of"]) == ("what-if", real)
    compared = f"{path}/{tried['id']}/comparison"
    assert (await house.get("auditor", compared)).status_code == 409
    await steps.run(UUID(tried["id"]))
    found = (await house.get("auditor", compared, params={"largest": 5})).json()
    assert (found["before"]["id"], found["now"]["id"], found["same_input"]) == (real, tried["id"], True)
    assert (found["gaining"], found["losing"], found["unchanged"], found["largest"]) == (0, 0, 0, [])
    assert (await house.get("auditor", compared, params={"largest": 101})).status_code == 400
    assert (await house.get("auditor", compared, params={"beside": str(UUID(int=9))})).status_code == 404
    assert (await house.get("agent", compared)).status_code == 403


async def test_what_is_due_is_listed_and_begun_by_finance_and_approved_together(house: House) -> None:
    books = Counter(house.database)
    await books.publish("9.0.0", SCHEME.replace("left-out", "due").replace("cycle: month", "cycle: week"))
    daily = {**LI, "code": "DUE-1", "cycle": "day", "since": str(day_of(datetime.now(UTC)) - timedelta(days=4))}
    await put(house, daily)
    path, days = f"{SETTLEMENT}/due", {"scheme": "due", "cycle": "day"}
    listed = (await house.get("auditor", path, params=days)).json()
    assert listed["more"] == 0
    first, *others = listed["items"]
    assert len(others) == 3
    assert (first["cycle"], first["why"], first["run"], first["state"]) == ("day", "never", None, None)
    assert (await house.get("auditor", path, params={"cycle": "year"})).status_code == 400
    assert (await house.post("finance", path, {**days, "most": 63})).status_code == 400
    begun = (await house.post("finance", path, {**days, "most": 1})).json()
    assert [each["cycle"] for each in begun["begun"]] == ["day"]
    assert (begun["left_alone"], begun["refused"], begun["waiting"]) == ([], [], len(others))
    again = (await house.post("finance", path, days)).json()
    (run,) = [each["id"] for each in begun["begun"]]
    assert [each["run"] for each in again["left_alone"]] == [run]
    assert (len(again["begun"]), again["waiting"]) == (len(others), 0)
    missing = "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e00"
    answer = await house.post("approver", f"{SETTLEMENT}/runs/approve", {"runs": [run, missing]})
    refused = answer.json()["refused"]
    # No worker computes it here.
    assert [(each["run"], each["problem"]["status"]) for each in refused] == [(run, 409), (missing, 404)]
    assert (await house.post("finance", f"{SETTLEMENT}/runs/approve", {"runs": [run]})).status_code == 403


async def test_a_table_of_facts_is_taken_over_as_a_whole_by_finance(house: House) -> None:
    await put(house, {**LI, "code": "F-1"})

    async def send(*rows: str, who: str = "finance", kind: str = "text/csv", query: str = "") -> Any:
        table = "\n".join(("编号,事项,日期,数值", *rows)).encode()
        path = f"{SETTLEMENT}/facts/import{query}"
        return await house.say(who, "POST", path, content=table, headers={"content-type": kind})

    good = "F-1,visits,2026-05-01,3"
    checked = (await send(good, query="?dry_run=true")).json()
    assert (checked["rows"], checked["new"], checked["stored"]) == (1, 0, False)
    wrong = (await send(good, "F-99,visits,2026-05-01,3")).json()
    assert (wrong["new"], wrong["stored"], wrong["refused"]) == (0, False, 1)
    assert [(each["line"], each["column"]) for each in wrong["errors"]] == [(3, "编号")]
    assert {"zh", "en"} == set(wrong["errors"][0]["reason"])
    assert (await send(good)).json()["new"] == 1
    again = (await send(good)).json()
    assert (again["new"], again["known"], again["stored"]) == (0, 1, True)
    assert (await send(good, who="approver")).status_code == 403
    assert (await send(good, kind="application/json")).status_code == 415
