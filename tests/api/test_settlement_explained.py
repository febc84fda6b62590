"""Why somebody's sum is what it is, over HTTP: by whatever cycle they are settled, and to the last line."""

from typing import Any

from tests.api.house import House, problem
from tests.clock import SteppedClock
from tests.services.cashier import Cashier
from tests.services.test_calculations import MAY, Office, with_people
from tests.services.test_selling import an_order

WHERE = "/api/v1/settlement"


async def items(house: House, path: str, cursor: str | None = None, **more: Any) -> list[Any]:
    """All of a list, page after page."""
    found = []
    while True:
        params = {"size": 30, **more, **({"cursor": cursor} if cursor else {})}
        page = (await house.get("auditor", path, params=params)).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_a_sum_is_told_to_the_last_line(house: House) -> None:
    office = await with_people(Office(house.database, SteppedClock()))
    await office.told(*(an_order(f"E{number}", channel="P1") for number in range(40)))
    await office.note("visits", {"P1": 3})
    calculation = await office.preview()
    path = f"{WHERE}/calculations/{calculation}/payees/P1"
    sales, _, visits = (await house.get("auditor", path)).json()["earnings"]
    assert (sales["calculation"], sales["before"], len(sales["lines"])) == (str(calculation), None, 50)
    rest = await items(house, f"{path}/components/sales/lines", sales["lines_cursor"])
    assert len(rest) == 30
    assert await items(house, f"{path}/components/sales/lines") == [*sales["lines"], *rest]
    assert [(each["name"], each["amount"], each["counts"]) for each in visits["facts"]] == [("visits", 3, True)]
    assert await items(house, f"{path}/components/visits/facts") == visits["facts"]
    city = f"{WHERE}/calculations/{calculation}/payees/C1/components/city/below"
    assert [(each["payee"], each["level"]) for each in await items(house, city)] == [("P1", 1)]
    for wrong, status in (("nothing/lines", 404), ("sales/lines?cursor=x", 400), (f"{'x' * 50}/lines", 400)):
        refused = await house.get("auditor", f"{path}/components/{wrong}")
        assert problem(refused)["status"] == status
    assert (await house.get("agent", f"{path}/components/sales/lines")).status_code == 403

    cashier = Cashier(office)
    await cashier.settled()
    account = f"{WHERE}/payees/P1/account"
    params = {"scheme": "promoters", "day": str(MAY), "size": 1}
    month = (await house.get("auditor", account, params=params)).json()
    assert (month["cycle"], month["count"], month["closing_minor"]) == ("month", 1, 97_680)
    entry = month["entries"][0]
    assert entry["calculation"] == entry["changes"][0]["earning"]["calculation"]
    last = (await house.get("auditor", account, params={**params, "day": "2026-05-31", "cycle": "day"})).json()
    assert (last["start"], last["end"], last["opening_minor"]) == ("2026-05-31", "2026-06-01", 0)
    assert last["closing_minor"] == month["closing_minor"], "what was earned in the month is of its last day"
    assert (await house.get("auditor", account, params={**params, "cycle": "year"})).status_code == 400
