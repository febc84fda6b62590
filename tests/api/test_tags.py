"""Tags over HTTP: operations publish a rule, agents see why and decide, auditors change nothing."""

from uuid import uuid4

from services.tagging import Tagging
from storage.unit_of_work import UnitOfWork
from tests.api.house import House, problem
from tests.people import add_customers, add_records, order

RULE = """\
tag-rule:
  name: loyal
  version: 1.0.0
  tag: 高价值
  title: 下单三次以上
  when:
    all:
      - orders: { count: { at-least: 3 } }
"""


async def test_a_rule_goes_from_preview_to_reasons_and_decisions(house: House) -> None:
    async with UnitOfWork(house.database) as work:
        ((customer, identity),) = await add_customers(work, 1)
        await add_records(work, [(identity, *order(f"E{number}", work.now)) for number in range(3)])
    preview = (await house.post("ops", "/api/v1/tag-rules/preview", {"text": RULE})).json()
    assert (preview["gained"], preview["gained_samples"]) == (1, [str(customer)])
    yaml = {"Content-Type": "application/yaml"}
    uploaded = await house.post("ops", "/api/v1/definitions", headers=yaml, content=RULE.encode())
    assert uploaded.status_code < 300, uploaded.text
    published = await house.post("ops", "/api/v1/resources/tag-rule/loyal/1.0.0/publish")
    assert published.json()["published_by"] == "ops"
    await Tagging(house.database).backfill()
    await Tagging(house.database).backfill()
    (rule,) = (await house.get("ops", "/api/v1/tag-rules")).json()["items"]
    assert (rule["customers"], rule["complete"]) == (1, True)

    path = f"/api/v1/customers/{customer}/tags"
    (carried,) = (await house.get("agent", path)).json()["carried"]
    assert (carried["tag"], carried["why"][0]["value"]) == ("高价值", 3)
    why = (await house.get("agent", f"{path}/高价值")).json()
    assert (why["carried"], why["rules"][0]["rule"]) == (True, "loyal")
    exclude = {"tag": "高价值", "decision": "exclude", "reason": "员工"}
    assert (await house.post("auditor", path, exclude)).status_code == 403
    decided = (await house.post("agent", path, exclude)).json()
    assert (decided["carried"], decided["excluded"][0]["actor"]) == ([], "agent")
    assert (await house.get("agent", f"/api/v1/customers/{uuid4()}/tags")).status_code == 404


async def test_a_broken_rule_is_refused_with_its_places(house: House) -> None:
    broken = RULE.replace("orders:", "ordrs:")
    refused = problem(await house.post("ops", "/api/v1/tag-rules/preview", {"text": broken}))
    assert (refused["status"], refused["errors"][0]["place"]) == (400, "tag-rule.when.all.0.ordrs")
    wrong = problem(await house.post("agent", f"/api/v1/customers/{uuid4()}/tags", {"tag": " ", "decision": "add"}))
    assert wrong["status"] in (400, 422)


async def test_a_rule_is_released_to_a_share_of_the_customers(house: House) -> None:
    yaml = {"Content-Type": "application/yaml"}
    await house.post("ops", "/api/v1/definitions", headers=yaml, content=RULE.replace("loyal", "tried").encode())
    wanted = {"version": "1.0.0", "share_percent": 12.5, "reason": "先试"}
    assert (await house.post("agent", "/api/v1/tag-rules/tried/release", wanted)).status_code == 403
    released = await house.post("ops", "/api/v1/tag-rules/tried/release", wanted)
    assert (released.status_code, released.json()["share_percent"]) == (201, 12.5)
    rules = (await house.get("ops", "/api/v1/tag-rules")).json()["items"]
    (rule,) = (each for each in rules if each["rule"] == "tried")
    assert (rule["candidate"], rule["share_percent"], rule["active"]) == ("1.0.0", 12.5, False)
    refused = problem(await house.post("ops", "/api/v1/gradings/tried/release", wanted))
    assert refused["status"] == 404
    published = await house.post("ops", "/api/v1/tag-rules/tried/release", {**wanted, "share_percent": 100})
    assert (published.json()["published_by"], published.json()["share_percent"]) == ("ops", None)
    again = problem(await house.post("ops", "/api/v1/tag-rules/tried/release", wanted))
    assert again["status"] == 409
