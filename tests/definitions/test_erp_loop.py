"""The ERP loop on a whole Tandem: shop and warehouse are the simulator's, and only their pushes set it in motion."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.chaos.house import House
from tests.services.house import eventually

FLOW = {"namespace": "operations", "name": "erp-loop"}


class Stage:
    """The operator's side of the simulator, and Tandem's API."""

    def __init__(self, house: House, outside: httpx.AsyncClient, inside: httpx.AsyncClient) -> None:
        self.house = house
        self._outside = outside
        self._inside = inside

    async def sim(self, method: str, path: str, **content: Any) -> Any:
        return (await self._outside.request(method, f"/_sim{path}", **content)).raise_for_status().json()

    async def api(self, path: str, **query: Any) -> Any:
        return (await self._inside.get(f"/api/v1{path}", params=query)).raise_for_status().json()

    async def order(self, *skus: str) -> str:
        """A paid order of the Douyin shop, of these variants or of any; its number."""
        goods = {"sku_id": skus[0], "beside": skus[1:]} if skus else {}
        return str((await self.sim("POST", "/orders", json={"shop": "demo-douyin", **goods}))["id"])

    async def run_of(self, order_id: str, *phases: str) -> dict[str, Any]:
        """The only run about an order, once it is in one of the phases."""

        async def found() -> dict[str, Any] | None:
            runs = (await self.api("/runs", subject=f"order:{order_id}", **FLOW))["items"]
            assert len(runs) <= 1
            return runs[0] if runs and runs[0]["phase"] in phases else None

        run = await eventually(found, seconds=60)
        shown: dict[str, Any] = await self.api(f"/runs/{run['id']}")
        return shown

    async def effects(self, kind: str, **subjects: str) -> int:
        """How many effects of a kind the outside saw."""
        return int((await self.sim("GET", "/ledger", params={"kind": kind, "effect": "true", **subjects}))["effects"])


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with House({"TANDEM_SIMULATOR_CUSTOMERS": "30"}) as house:
        headers = {"authorization": f"Bearer {house.tokens()['admin']}"}
        async with (
            httpx.AsyncClient(base_url=house.simulator_url, timeout=20, trust_env=False) as outside,
            httpx.AsyncClient(base_url=house.api_url, timeout=20, trust_env=False, headers=headers) as inside,
        ):
            yield Stage(house, outside, inside)
    house.forget()


async def test_a_paid_order_goes_to_the_warehouse_and_its_waybill_back_to_the_shop(stage: Stage) -> None:
    faults = [
        {"match": {"platform": "erp"}, "fault": "duplicate_push", "probability": 1, "copies": 2},
        {"match": {"platform": "douyin"}, "fault": "duplicate_push", "probability": 1, "copies": 1},
        {"match": {"platform": "erp", "api": "shipping-orders"}, "fault": "timeout_after", "times": 1, "seconds": 20},
        {"match": {"platform": "douyin", "api": "order.logisticsAdd"}, "fault": "5xx", "times": 1},
    ]
    await stage.sim("PUT", "/faults", json={"rules": faults})
    order = await stage.order()
    run = await stage.run_of(order, "completed")
    assert run["output"]["result"] == "shipped"
    assert run["output"]["company"] == "顺丰速运"
    await stage.sim("PUT", "/faults", json={"rules": []})
    assert await stage.effects("shipping_order_created", order_id=order) == 1
    assert await stage.effects("shipped", tid=order) == 1
    [buyer] = (await stage.api("/customers", order=order))["items"]
    parcels = (await stage.api(f"/customers/{buyer['customer']}"))["parcels"]
    # Told by the warehouse and by the shop, which knows it from us: shown once, by whoever told last.
    told = [each for each in parcels if each["data"]["order_id"] == order]
    assert [each["account_id"] in ("erp/demo-erp", "douyin/demo-douyin") for each in told] == [True]


async def test_who_asks_for_the_money_before_the_parcel_left_gets_no_parcel(stage: Stage) -> None:
    await stage.sim("PUT", "/warehouse", json={"ships": False})
    order = await stage.order()
    await stage.run_of(order, "waiting")
    await stage.sim("POST", f"/orders/{order}/refunds", json={"returns_goods": False})
    await eventually(lambda: stage.effects("shipping_order_cancelled", order_id=order), seconds=20)
    await stage.sim("PUT", "/warehouse", json={"ships": True, "company": "圆通速递"})
    await asyncio.sleep(1)
    assert await stage.effects("shipped", tid=order) == 0
    assert (await stage.run_of(order, "waiting"))["phase"] == "waiting", "until the refund has come to its end"


async def test_what_waited_in_the_warehouse_leaves_with_the_carrier_it_was_given_to(stage: Stage) -> None:
    await stage.sim("PUT", "/warehouse", json={"ships": False})
    order = await stage.order()
    await stage.run_of(order, "waiting")
    await eventually(lambda: stage.effects("shipping_order_created", order_id=order), seconds=20)
    assert (await stage.sim("PUT", "/warehouse", json={"ships": True, "company": "圆通速递"}))["shipped"] == 1
    run = await stage.run_of(order, "completed")
    assert (run["output"]["result"], run["output"]["company"]) == ("shipped", "圆通速递")
    [entry] = (await stage.sim("GET", "/ledger", params={"kind": "shipped", "tid": order}))["entries"]
    assert entry["request"]["company_code"] == "yuantong"


async def test_an_order_that_leaves_in_two_parcels_is_told_by_a_person_who_has_both(stage: Stage) -> None:
    goods = (await stage.sim("GET", "/goods", params={"shop": "demo-douyin"}))["goods"]
    await stage.sim("PUT", "/warehouse", json={"ships": True, "parcels": 2})
    order = await stage.order(*(each["sku_id"] for each in goods[:2]))

    async def asked() -> dict[str, Any] | None:
        found = (await stage.api("/human-tasks", view="all"))["items"]
        return next((each for each in found if each["title"].endswith(order)), None)

    task = await stage.api(f"/human-tasks/{(await eventually(asked, seconds=60))['id']}")
    assert task["title"].startswith("仓库拆成多个包裹发出")
    [first, second] = task["data"]["parcels"]
    assert first["waybill"] != second["waybill"]
    assert {*first["line_ids"], *second["line_ids"]} == {each["line_id"] for each in task["data"]["order"]["lines"]}
    assert await stage.effects("shipped", tid=order) == 0, "the whole order by one waybill would be wrong"
