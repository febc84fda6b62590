"""A role that nobody has pays nobody, nor does an order that is nobody's: who looks at what was computed is told."""

from typing import Any

import pytest

from services.settlement_runs import SettlementRunService
from services.settlement_views import SettlementViews
from storage import unattributed
from tests.connectors.harness import CONNECTORS
from tests.services.test_calculations import MAY, QIAN, SCHEME, Office, office
from tests.services.test_selling import NOW, RULES, an_order

__all__ = ["office"]
MISTYPED = SCHEME.replace("roles: [promoter, city] }}", "roles: [promotor, city, province] }}").replace(
    "roles: [promoter]", "roles: [promotor]"
)


async def test_a_role_that_nobody_has_is_told_with_the_one_that_was_meant(office: Office) -> None:
    views = SettlementViews(office.database)
    assert (await views.show(QIAN, await office.preview())).remarks == []
    await office.scheme("1.1.0", text=MISTYPED)
    mistyped, unknown = (await views.show(QIAN, await office.preview())).remarks
    assert "没有角色为“promotor”的收款人" in mistyped.zh
    assert "promoter" in mistyped.zh
    assert "promoter" in mistyped.en
    assert "province" in unknown.en


async def test_a_settlement_says_so_before_it_is_approved(office: Office) -> None:
    await office.scheme("1.1.0", text=MISTYPED)
    runs = SettlementRunService(office.database, office.steps, CONNECTORS)
    run = (await runs.ask(QIAN, "promoters", MAY)).run
    said = (await runs.show(QIAN, run.id)).remarks
    assert ["promotor" in each.en for each in said] == [True, False]


async def said(office: Office) -> list[str]:
    remarks = (await SettlementViews(office.database).show(QIAN, await office.preview())).remarks
    return [each.en for each in remarks if "score" not in each.en]


async def test_a_role_that_earns_by_sales_and_has_no_way_to_them_is_told(office: Office) -> None:
    await office.scheme("1.1.0", text=SCHEME.replace("of: orders, roles: [promoter]", "of: orders, roles: [city]"))
    (remark,) = await said(office)
    assert "The role “city” earns by its own sales" in remark
    await office.publish("1.1.0", RULES.replace("store: shop", "city: shop"))
    assert await said(office) == []


@pytest.mark.parametrize("basis", ["paid", "completed"])
async def test_orders_that_are_nobodys_are_counted_and_named(
    office: Office, basis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a version that counts otherwise was published before that was refused.
    monkeypatch.setattr("services.definitions.refuse_split_periods_of", lambda *_: None)
    await office.scheme("1.1.0", text=SCHEME.replace("counts: paid", f"counts: {basis}"))
    done: dict[str, Any] = {"status": "completed", "completed_at": NOW}
    await office.told(an_order(channel="P1", **done))
    assert await said(office) == []
    await office.told(an_order("E2", channel="nobody", **done), an_order("E3", channel=None, **done))
    (remark,) = await said(office)
    since = ", paid since 2026-03-02" if basis == "completed" else ""
    aside = f"{since}," if since else ""
    assert remark.startswith(f"2 of 3 orders of the period{aside} are nobody's in the role “promoter”")
    assert "youzan/flagship E3, youzan/flagship E2." in remark
    monkeypatch.setattr(unattributed, "MOST", 2)
    monkeypatch.setattr(unattributed, "LEAST", 1)
    (some,) = await said(office)
    assert some.startswith(f"2 of 2 orders of the period{since}, the latest of each shop, are nobody's")
