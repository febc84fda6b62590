"""Reports over HTTP: kinds, pages, files, statements; who may, and what is on record."""

import json

from domain.access import Role
from domain.settlement.report_kinds import REPORTS
from tests.api.house import House, problem

BASE = "/api/v1/settlement"
DAY = {"day": "2026-11-11"}


async def test_kinds_say_their_columns_and_what_they_tie_with(house: House) -> None:
    items = (await house.get("finance", f"{BASE}/reports")).json()["items"]
    assert [each["name"] for each in items] == list(REPORTS)
    assert all(each["ties"] in [column["name"] for column in each["columns"]] for each in items)


async def test_a_report_comes_as_pages_and_as_files(house: House) -> None:
    shown = await house.get("finance", f"{BASE}/reports/payees", params=DAY)
    assert (shown.status_code, shown.json()["items"], shown.json()["end"]) == (200, [], "2026-12-01")
    year = (await house.get("finance", f"{BASE}/reports/payees", params={**DAY, "span": "year"})).json()
    assert (year["start"], year["end"]) == ("2026-01-01", "2027-01-01")
    table = await house.get("finance", f"{BASE}/reports/payees", params={**DAY, "format": "csv", "language": "en"})
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers["content-disposition"].endswith('payees_all_2026-11-01_2026-12-01.csv"')
    assert table.text.lstrip("\ufeff").startswith("Payee,Name,Scheme,Currency")
    book = await house.get("approver", f"{BASE}/reports/trial-balance", params={**DAY, "format": "xlsx"})
    assert book.content.startswith(b"PK")
    archive = await house.get("auditor", f"{BASE}/statements.zip", params=DAY)
    assert (archive.status_code, archive.headers["content-type"]) == (200, "application/zip")
    entries = (await house.get("auditor", "/api/v1/audit", params={"action": "settlement.export"})).json()["items"]
    assert {json.dumps(each["detail"]["format"]) for each in entries} == {'"csv"', '"xlsx"', '"zip"'}


async def test_what_is_not_there_is_said(house: House) -> None:
    for path, params, status in (
        ("reports/nothing", DAY, 404),
        ("reports/payees", {**DAY, "scheme": "nobody"}, 404),
        ("reports/payees", {**DAY, "payee": "nobody"}, 404),
        ("statements/nobody.pdf", DAY, 404),
        ("reports/payees", {}, 400),
        ("reports/payees", {"day": "9999-12-31"}, 400),
        ("reports/payees", {**DAY, "cursor": "x"}, 400),
        ("reports/payees", {**DAY, "format": "pdf"}, 400),
        ("tie-out", {**DAY, "report": "nothing"}, 404),
    ):
        answer = await house.get("finance", f"{BASE}/{path}", params=params)
        assert answer.status_code == status, f"{path} {params} {answer.text}"
        assert problem(answer)["title"]


async def test_names_in_clear_need_a_reason_and_the_right(house: House) -> None:
    clear = {**DAY, "unmask": "true", "reason": "核对"}
    for who, status in (("finance", 200), ("approver", 200), ("auditor", 403)):
        for path, more in (("reports/payees", {}), ("reports/payees", {"format": "csv"}), ("statements.zip", {})):
            answer = await house.get(who, f"{BASE}/{path}", params={**clear, **more})
            assert answer.status_code == status, f"{who} {path}"
    unsaid = await house.get("finance", f"{BASE}/reports/payees", params={**DAY, "unmask": "true"})
    assert unsaid.status_code == 400
    assert Role.AGENT.value in house.tokens
    assert (await house.get("agent", f"{BASE}/reports", params=DAY)).status_code == 403


async def test_the_tie_out_of_nothing_is_nothing(house: House) -> None:
    items = (await house.get("auditor", f"{BASE}/tie-out", params=DAY)).json()["items"]
    assert {each["report"] for each in items} == set(REPORTS)
    assert {each["difference"] for each in items} == {0}
