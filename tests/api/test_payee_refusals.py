"""What is wrong with payees, uplines, keys and days is refused at its place, and changes nothing."""

import asyncio
from typing import Any

import pytest

from storage.payees import PayeeRow
from storage.unit_of_work import UnitOfWork
from tests.api.house import Answer, House, problem

PAYEES, SETTLEMENT = "/api/v1/payees", "/api/v1/settlement"
KEY = {"code": "R-1", "kind": "channel", "value": "live", "since": "2026-01-01"}
FACT = {"code": "R-1", "name": "visits", "day": "2026-05-01", "amount": 3, "key": "r-1/1"}
FAR = ["0001-01-01", "2000-12-31", "2101-01-01", "9999-12-31"]


def payee(code: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "name": "李小红", "role": "promoter", **more}


@pytest.fixture(autouse=True)
async def two(house: House) -> None:
    await house.say("finance", "PUT", PAYEES, json={"payees": [payee("R-1"), payee("R-2")]})


async def put(house: House, what: str, *changes: dict[str, Any]) -> Answer:
    return await house.say("finance", "PUT", f"{SETTLEMENT}/{what}", json={"changes": list(changes)})


def place(answer: Answer) -> str:
    assert answer.status_code == 400, answer.text
    told: str = problem(answer)["errors"][0]["pointer"]
    return told


async def known(house: House) -> tuple[Any, Any]:
    shown = (await house.get("finance", f"{PAYEES}/R-1")).json()
    return shown["uplines"], shown["keys"]


async def test_nobody_is_above_themselves(house: House) -> None:
    good = {"code": "R-1", "upline": "R-2", "since": "2026-01-01"}
    refused = await put(house, "uplines", good, {"code": "R-2", "upline": "R-2", "since": "2026-01-01"})
    assert place(refused) == "/changes/1/upline"
    assert "自己" in problem(refused)["detail"]
    assert await known(house) == ([], [])


async def test_a_key_ends_after_it_begins(house: House) -> None:
    for until in ("2026-01-01", "2025-12-31"):
        refused = await put(house, "keys", KEY, {**KEY, "value": "other", "until": until})
        assert place(refused) == "/changes/1/until"
        assert "since" in problem(refused)["detail"]
    assert await known(house) == ([], [])


async def test_a_change_said_twice_is_refused_where_it_is_said_again(house: House) -> None:
    change = {"code": "R-1", "upline": "R-2", "since": "2026-01-01"}
    other = {**change, "since": "2026-02-01"}
    assert place(await put(house, "uplines", change, other, {**change, "upline": None})) == "/changes/2"
    assert place(await put(house, "keys", KEY, {**KEY, "share": 5_000})) == "/changes/1"
    twice = await house.say("finance", "PUT", PAYEES, json={"payees": [payee("R-3"), payee("R-3")]})
    assert place(twice) == "/payees/1"
    assert await known(house) == ([], [])


@pytest.mark.parametrize("day", FAR)
async def test_a_day_of_another_age_is_refused_at_its_place(house: House, day: str) -> None:
    assert place(await put(house, "uplines", {"code": "R-1", "since": day})) == "/changes/0/since"
    assert place(await put(house, "keys", {**KEY, "since": day})) == "/changes/0/since"
    assert place(await put(house, "keys", {**KEY, "until": day})) == "/changes/0/until"
    facts = await house.post("finance", f"{SETTLEMENT}/facts", {"facts": [{**FACT, "day": day}]})
    assert place(facts) == "/facts/0/day"
    rates = {"rates": [{"currency": "USD", "day": day, "rate": "7.1"}]}
    assert place(await house.say("finance", "PUT", f"{SETTLEMENT}/rates", json=rates)) == "/rates/0/day"
    assert place(await house.get("finance", f"{SETTLEMENT}/rates/USD/{day}")) == "path/day"
    wanted = {"scheme": "promoters", "day": day}
    for path, who in (("calculations", "finance"), ("runs", "finance"), ("periods/close", "approver")):
        assert place(await house.post(who, f"{SETTLEMENT}/{path}", wanted)) == "/day"
    assert place(await house.post("finance", f"{SETTLEMENT}/reconciliations/generic/pos/{day}")) == "path/day"
    of_day = {"scheme": "promoters", "day": day}
    account = await house.get("finance", f"{SETTLEMENT}/payees/R-1/account", params=of_day)
    assert place(account) == "query/day"
    report = await house.get("finance", f"{SETTLEMENT}/reports/payees", params=of_day)
    assert place(report) == "query/day"


async def test_whoever_writes_the_same_payee_down_at_the_same_moment_is_told(house: House) -> None:
    async with UnitOfWork(house.database) as work:
        first = PayeeRow(code="R-9", name="王", role="promoter", created_at=work.now, changed_at=work.now)
        work.session.add(first)
        await work.session.flush()
        second = asyncio.create_task(house.say("finance", "PUT", PAYEES, json={"payees": [payee("R-9")]}))
        await asyncio.sleep(0.3)
        assert not second.done()
    refused = await second
    assert refused.status_code == 409, refused.text
    assert "R-9" in problem(refused)["detail"]
    again = await house.say("finance", "PUT", PAYEES, json={"payees": [payee("R-9")]})
    assert again.json() == {"new": 0, "changed": 1, "unchanged": 0}
