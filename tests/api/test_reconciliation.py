"""Bills and breaks over HTTP, each by who may."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from storage.orders import OrderRow
from storage.unit_of_work import UnitOfWork
from tests.api.house import SYSTEM, Answer, House, problem

BASE = "/api/v1/settlement"
COLUMNS = "columns: { number: 单号, amount: 金额, at: 时间 }\nevery: payment\n"
HEAD = "单号,金额,时间\n"


@pytest.fixture(scope="module")
async def shop(house: House) -> House:
    secret = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    new = NewAccount(platform="generic", slug="pos", name="POS", credentials=secret)
    await PlatformAccounts(house.database).connect(SYSTEM, new)
    return house


def sums(came: int) -> str:
    """What the platform says that the bill comes to."""
    return f"in_minor={came}&out_minor=0"


async def send(house: House, day: str, bill: str, query: str, who: str = "finance", columns: str = COLUMNS) -> Answer:
    files = {"columns": ("columns.yaml", columns.encode()), "bill": ("bill.csv", bill.encode())}
    return await house.say(who, "POST", f"{BASE}/bills/generic/pos/{day}?{query}", files=files)


async def test_a_bill_is_taken_reconciled_and_its_break_worked_through(shop: House) -> None:
    at = datetime(2026, 6, 1, 4, tzinfo=UTC)
    head: dict[str, Any] = {"version": 1, "detail_version": 1, "told_at": at, "recorded_at": at, "status": "paid"}
    async with UnitOfWork(shop.database) as work:
        work.session.add(OrderRow(**head, account_id="generic/pos", order_id="E1", paid_minor=10_000, paid_at=at))
    bill = HEAD + "E1,99.00,2026-06-01 12:00:00\n"
    taken = await send(shop, "2026-06-01", bill, "rows=1&in_minor=9900&out_minor=0")
    assert taken.status_code == 200, taken.text
    assert (taken.json()["new"], taken.json()["bill"]["in_minor"]) == (True, 9_900)
    assert (await send(shop, "2026-06-01", bill, sums(9900))).json()["new"] is False
    assert (await send(shop, "2026-06-01", bill.replace("99", "98"), sums(9800))).status_code == 409
    done = (await shop.post("finance", f"{BASE}/reconciliations/generic/pos/2026-06-01")).json()
    assert (done["rows"], done["matched"], done["breaks"], done["changed"]) == (1, 0, 1, True)
    (each,) = (await shop.get("auditor", f"{BASE}/breaks", params={"account": "generic/pos"})).json()["items"]
    assert (each["kind"], each["number"], each["difference_minor"]) == ("amount", "E1", -100)
    told = (await shop.get("approver", f"{BASE}/breaks/aged")).json()
    (aged,) = told["items"]
    assert {each["account"] for each in told["unreconciled"]} == {"generic/pos"}
    missing = (await shop.get("auditor", f"{BASE}/reconciliations/unreconciled")).json()["items"]
    assert missing[0] == {"account": "generic/pos", "day": "2026-06-02", "why": "no-bill", "missing": ["trade"]}
    assert (aged["breaks"], aged["difference_minor"]) == (1, 100)
    path = f"{BASE}/breaks/{each['id']}"
    assert (await shop.post("finance", f"{path}/assign", {"to": "finance", "ticket": "T-1"})).json()["ticket"] == "T-1"
    assert (await shop.post("approver", f"{path}/solve", {})).status_code == 409
    explanation = {"reason": "write-off", "note": "尾差一元"}
    assert (await shop.post("approver", f"{path}/explain", explanation)).status_code == 403
    assert (await shop.post("finance", f"{path}/explain", explanation)).json()["state"] == "explained"
    assert (await shop.post("approver", f"{path}/refuse", {"note": "附凭证"})).json()["state"] == "open"
    await shop.post("finance", f"{path}/explain", explanation)
    assert (await shop.post("finance", f"{path}/solve", {})).status_code == 403
    assert (await shop.post("approver", f"{path}/solve", {"note": "同意"})).json()["solved_by"] == "approver"
    assert (await shop.get("finance", f"{BASE}/breaks")).json()["items"] == []
    assert (await shop.get("finance", path)).json()["state"] == "solved"
    told = (await shop.get("auditor", "/api/v1/audit", params={"target": f"break:{each['id']}"})).json()["items"]
    assert [one["action"] for one in reversed(told)] == [
        "break.assign",
        "break.explain",
        "break.refuse",
        "break.explain",
        "break.solve",
    ]


async def test_what_is_wrong_with_a_bill_is_told_by_row_and_column(shop: House) -> None:
    shifted = HEAD + "E1,99.00,2026-06-02 12:00:00\n,E2,9.00,2026-06-02 12:00:00\n"
    refused = problem(await send(shop, "2026-06-02", shifted, sums(10_800)))
    assert (refused["status"], refused["errors"][0]["line"]) == (400, 3)
    other = problem(await send(shop, "2026-06-02", HEAD + "E1,9.x,2026-06-02 12:00:00\n", sums(900)))
    assert (other["errors"][0]["line"], other["errors"][0]["column"]) == (2, "金额")
    right = HEAD + "E1,99.00,2026-06-02 12:00:00\n"
    for query in ("", "rows=1", "in_minor=9900", "rows=2&" + sums(9900), "digest=" + "0" * 64, sums(9901)):
        assert (await send(shop, "2026-06-02", right, query)).status_code == 400, query
    assert problem(await send(shop, "2026-06-02", right, sums(9900), columns="columns: {}"))["findings"][0]["line"] == 1
    assert (await send(shop, "2026-06-02", right, sums(9900), who="approver")).status_code == 403
    assert (await shop.post("finance", f"{BASE}/reconciliations/generic/pos/2026-06-02")).status_code == 409
    assert (await shop.post("finance", f"{BASE}/reconciliations/generic/none/2026-06-02")).status_code == 404


async def test_whose_orders_an_account_bills(shop: House) -> None:
    path = f"{BASE}/bill-terms/generic/pos"
    assert (await shop.get("auditor", path)).json()["shops"] == ["generic/pos"], "its own"
    wanted = {"shops": ["generic/pos"], "fee_bps": 60}
    assert (await shop.say("approver", "PUT", path, json=wanted)).status_code == 403
    proposed = (await shop.say("finance", "PUT", path, json=wanted)).json()
    assert (proposed["fee_bps"], proposed["proposed"]["fee_bps"], proposed["proposed"]["by"]) == (None, 60, "finance")
    decision = {"proposal": proposed["proposed"]["id"]}
    assert (await shop.post("finance", f"{path}/confirm", decision)).status_code == 403
    assert (await shop.post("approver", f"{path}/confirm", {"proposal": str(uuid4())})).status_code == 409
    assert (await shop.post("approver", f"{path}/confirm", decision)).json()["fee_bps"] == 60
    assert (await shop.post("approver", f"{path}/refuse", decision)).status_code == 409
    assert (await shop.get("finance", path)).json()["window_days"] == 3
    assert (await shop.say("finance", "PUT", path, json={"shops": ["generic/none"]})).status_code == 404


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2101-01-01", "9999-12-31"])
async def test_a_day_of_another_age_is_refused(shop: House, day: str) -> None:
    assert (await shop.post("finance", f"{BASE}/reconciliations/generic/pos/{day}")).status_code == 400
    assert (await send(shop, day, HEAD + f"E1,1.00,{day} 12:00:00\n", sums(100))).status_code == 400


async def test_no_cell_of_a_bill_ends_in_an_error_of_ours(shop: House) -> None:
    for row in ("E1,99.00,9999-12-31T20:00:00+00:00\n", "E\x001,99.00,2026-06-03 12:00:00\n"):
        refused = await send(shop, "2026-06-03", HEAD + row, sums(9900))
        assert refused.status_code == 400
        assert problem(refused)["errors"][0]["line"] == 2


async def test_a_bill_from_a_file_is_withdrawn_by_somebody_else(shop: House) -> None:
    taken = await send(shop, "2026-06-05", HEAD + "E5,1.00,2026-06-05 12:00:00\n", sums(100))
    path = f"{BASE}/bills/{taken.json()['bill']['id']}"
    assert (await shop.post("finance", f"{path}/withdraw", {"note": "看错列"})).status_code == 403
    assert (await shop.post("approver", f"{path}/withdraw", {})).status_code == 400
    assert (await shop.post("approver", f"{path}/confirm", {})).status_code == 409
    done = (await shop.post("approver", f"{path}/withdraw", {"note": "看错列"})).json()
    assert (done["state"], done["decided_by"], done["note"]) == ("withdrawn", "approver", "看错列")
    assert (await shop.post("approver", f"{BASE}/bills/999999/withdraw", {"note": "无"})).status_code == 404
    assert (await send(shop, "2026-06-05", HEAD + "E5,2.00,2026-06-05 12:00:00\n", sums(200))).json()["new"]
