"""Tables over HTTP: a form with a mapping and a table, answered row by row."""

from typing import Any

import pytest

from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from tests.api.house import SYSTEM, Answer, House, problem

MAPPING = (
    "record: member\nfields: {member_id: 会员号, phone: 手机, grade: {value: gold}}\nas_of: 2026-11-01T00:00:00Z\n"
)
TABLE = "会员号,手机\nM1,13800138000\nM2,13800138001\n,\n,123\n"


@pytest.fixture(scope="module")
async def shop(house: House) -> House:
    new = NewAccount(
        platform="generic",
        slug="pos",
        name="POS",
        unit_path="/east/",
        credentials={"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    )
    await PlatformAccounts(house.database).connect(SYSTEM, new)
    return house


async def send(house: House, who: str = "ops", account: str = "generic/pos", query: str = "", **files: str) -> Answer:
    parts = {field: (f"{field}.file", content.encode()) for field, content in files.items()}
    return await house.say(who, "POST", f"/api/v1/imports/{account}{query}", files=parts)


async def test_a_table_is_checked_then_stored_then_known(shop: House) -> None:
    checked = (await send(shop, query="?dry_run=true", mapping=MAPPING, table=TABLE)).json()
    assert (checked["records"], checked["new"], checked["refused"], checked["dry_run"]) == (2, 0, 1, True)
    stored: dict[str, Any] = (await send(shop, mapping=MAPPING, table=TABLE)).json()
    assert (stored["rows"], stored["new"], stored["refused"]) == (3, 2, 1)
    assert stored["errors"][0]["line"] == 5
    assert {"zh", "en"} == set(stored["errors"][0]["reason"])
    again = (await send(shop, mapping=MAPPING, table=TABLE)).json()
    assert (again["new"], again["known"]) == (0, 2)


async def test_what_is_wrong_with_the_form_the_mapping_or_the_account_is_told(shop: House) -> None:
    assert (await send(shop, mapping=MAPPING)).status_code == 400
    wrong = problem(await send(shop, mapping=MAPPING.replace("phone", "fone"), table=TABLE))
    assert wrong["findings"][0]["line"] == 2
    missing = problem(await send(shop, mapping=MAPPING, table="号码\n1\n"))
    assert "号码" in missing["message"]["zh"]
    assert (await send(shop, account="generic/nobody", mapping=MAPPING, table=TABLE)).status_code == 404
    assert (await send(shop, who="agent", mapping=MAPPING, table=TABLE)).status_code == 403
    assert (await shop.post("ops", "/api/v1/imports/generic/pos", {})).status_code == 415
