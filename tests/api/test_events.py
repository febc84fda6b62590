"""CloudEvents over HTTP: structured, binary and batched; the same event counts once."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.events import Event
from storage.events import Events
from storage.inbox import Inbox, Push
from storage.unit_of_work import UnitOfWork
from tests.api.house import Answer, House, problem

EVENTS = "/api/v1/events"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def _event(number: str, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": number, "source": "/pos", "type": "com.example.visit", **more}


async def _send(house: House, content: Any, kind: str = STRUCTURED, who: str = "ops") -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await house.say(who, "POST", EVENTS, content=body, headers={"Content-Type": kind})


async def _stored(house: House, number: str) -> Event:
    async with UnitOfWork(house.database) as work:
        claimed = await Events(work).claim(100, lease=work.now - work.now)
    return next(each.event for each in claimed if each.event.id == number)


async def test_a_structured_event_is_stored_once(house: House) -> None:
    event = _event("s-1", subject="customer:42", tandemkeys=["order:7"], data={"seconds": 300}, traceparent="00-1")
    first = await _send(house, event)
    assert (first.status_code, first.json()) == (202, {"received": 1, "new": 1})
    assert (await _send(house, event)).json() == {"received": 1, "new": 0}
    stored = await _stored(house, "s-1")
    assert (stored.subjects, stored.data) == (("customer:42", "order:7"), {"seconds": 300})
    assert stored.model_extra == {"traceparent": "00-1"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"paid_minor": -1}, "paid_minor"),
        ({"paid_at": "2099-01-01T00:00:00Z"}, "paid_at"),
        ({"status": "abducted"}, "status"),
        ({"order_id": None}, "order_id"),
    ],
)
async def test_what_is_told_in_a_platforms_name_is_a_whole_record(
    house: House, change: dict[str, Any], field: str
) -> None:
    order = {"platform": "generic", "account": "pos", "version": 1, "order_id": "S1", "status": "paid"}
    told = _event(f"o-{field}", type="tandem.order.paid", subject="order:S1", data={**order, "paid_minor": 9900})
    wrong = await _send(house, {**told, "data": {**told["data"], **change}})
    assert (wrong.status_code, problem(wrong)["field"], problem(wrong)["event"]) == (400, field, told["id"])
    ahead = await _send(house, {**told, "time": "2099-01-01T00:00:00Z"})
    assert (ahead.status_code, problem(ahead)["field"]) == (400, "time")
    assert (await _send(house, told)).json() == {"received": 1, "new": 1}


async def test_a_batch_is_stored_as_a_whole_or_not_at_all(house: House) -> None:
    good = await _send(house, [_event("b-1"), _event("b-2"), _event("b-1")], BATCH)
    assert good.json() == {"received": 3, "new": 2}
    bad = await _send(house, [_event("b-3"), {"specversion": "1.0"}], BATCH)
    assert bad.status_code == 400
    assert {error["pointer"] for error in problem(bad)["errors"]} == {"/1/id", "/1/source", "/1/type"}
    assert (await _send(house, _event("b-3"))).json()["new"] == 1
    assert (await _send(house, [], BATCH)).status_code == 400


async def test_binary_mode_takes_attributes_from_headers(house: House) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "bin-1",
        "ce-source": "/pos",
        "ce-type": "com.example.visit",
        "ce-subject": "customer:%E6%9D%8E",
        "ce-tandemkeys": "order:7,order:8",
        "ce-time": "2026-11-11T00:00:00Z",
        "content-type": "application/json",
    }
    answer = await house.say("ops", "POST", EVENTS, content=b'{"a": 1}', headers=headers)
    assert answer.status_code == 202, answer.text
    stored = await _stored(house, "bin-1")
    assert stored.subjects == ("customer:李", "order:7", "order:8")
    assert (stored.data, stored.datacontenttype) == ({"a": 1}, "application/json")
    text = {**headers, "ce-id": "bin-2", "content-type": "text/plain"}
    assert (await house.say("ops", "POST", EVENTS, content="你好".encode(), headers=text)).status_code == 202
    assert (await _stored(house, "bin-2")).data == "你好"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (_event("x"), "application/json", 415),
        ([_event("x")], STRUCTURED, 400),
        (_event("x"), BATCH, 400),
        ({**_event("x"), "specversion": "0.3"}, STRUCTURED, 400),
        ({**_event("x"), "time": "yesterday"}, STRUCTURED, 400),
        ({**_event("x"), "data_base64": "%%%"}, STRUCTURED, 400),
        ({**_event("x"), "data": "x" * 600_000}, STRUCTURED, 400),
        ({**_event("退" * 256), "source": "款" * 1024}, STRUCTURED, 400),
        ({**_event("x"), "tandemkeys": ["k:" + "x" * 255]}, STRUCTURED, 400),
        ({**_event("x"), "tandemkeys": ["k:1"] * 101}, STRUCTURED, 400),
        (b"", STRUCTURED, 400),
    ],
)
async def test_what_is_no_event_is_refused(house: House, content: Any, kind: str, status: int) -> None:
    answer = await _send(house, content, kind)
    assert answer.status_code == status
    assert problem(answer)["message"]["zh"]


async def test_keys_are_taken_as_they_are_sent_out(house: House) -> None:
    assert (await _send(house, _event("k-1", tandemkeys="order:7,order:8"))).status_code == 202
    assert (await _stored(house, "k-1")).subjects == ("order:7", "order:8")


@pytest.mark.parametrize("attribute", ["id", "source", "type", "subject", "tandemkeys", "colour"])
async def test_an_attribute_with_a_nul_is_refused(house: House, attribute: str) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "nul", "ce-source": "/pos", "ce-type": "com.example.visit"}
    answer = await house.say("ops", "POST", EVENTS, headers={**headers, f"ce-{attribute}": "a%00b"})
    assert (answer.status_code, problem(answer)["title"]) == (400, "数据校验未通过")


async def test_events_given_up_are_seen_and_tried_again(house: House) -> None:
    await _send(house, _event("p-1"))
    async with UnitOfWork(house.database) as work:
        claimed = await Events(work).claim(100, lease=work.now - work.now)
        seq = next(each.seq for each in claimed if each.event.id == "p-1")
        await Events(work).park(seq, "no run wanted it")
    parked = (await house.get("auditor", f"{EVENTS}/parked")).json()["items"]
    assert [(each["seq"], each["reason"]) for each in parked] == [(seq, "no run wanted it")]
    assert (await house.post("ops", f"{EVENTS}/parked/retry", {"ids": [seq]})).json() == {"found": 1}
    assert (await house.get("auditor", f"{EVENTS}/parked")).json()["items"] == []
    assert (await house.post("ops", f"{EVENTS}/parked/retry", {"ids": [2**64]})).status_code == 400


async def test_pushes_that_cannot_be_read_are_seen_without_their_content(house: House) -> None:
    push = Push("youzan", "demo", "d-1", "trade_Odd", b'{"phone": "13800000000"}', datetime.now(UTC))
    async with UnitOfWork(house.database) as work:
        await Inbox(work).add(push)
        (stored,) = await Inbox(work).take_waiting(10, ["youzan"])
        await Inbox(work).quarantine({stored.id: "no field tid"})
    listed = await house.get("auditor", f"{EVENTS}/quarantine")
    assert [(each["id"], each["kind"], each["reason"]) for each in listed.json()["items"]] == [
        (stored.id, "trade_Odd", "no field tid")
    ]
    assert "13800000000" not in listed.text
    retried = await house.post("ops", f"{EVENTS}/quarantine/retry", {"ids": [stored.id]})
    assert retried.json() == {"found": 1, "more": False}
    assert (await house.get("auditor", f"{EVENTS}/quarantine")).json()["items"] == []


async def test_a_correction_keeps_the_digits_that_were_sent(house: House) -> None:
    push = Push("generic", "pos", "d-2", "tandem.records", b'{"type": "order"}', datetime.now(UTC))
    async with UnitOfWork(house.database) as work:
        await Inbox(work).add(push)
        (stored,) = await Inbox(work).take_waiting(10, ["generic"])
        await Inbox(work).quarantine({stored.id: "no data"})

    async def corrected(paid_minor: str) -> Answer:
        order = f'{{"order_id": "S1", "status": "paid", "paid_minor": {paid_minor}, "version": 1}}'
        body = f'{{"patch": {{"data": {order}}}, "reason": "the till left it out"}}'
        path = f"{EVENTS}/quarantine/{stored.id}/correct"
        return await house.say("ops", "POST", path, content=body, headers={"Content-Type": "application/json"})

    refused = await corrected("9900.00000000000000000001")
    assert (refused.status_code, "paid_minor" in refused.text) == (400, True)
    assert (await corrected("9900")).status_code == 200
