"""A role that nobody has pays nobody: whoever looks at what was computed is told."""

from services.settlement_runs import SettlementRunService
from services.settlement_views import SettlementViews
from tests.connectors.harness import CONNECTORS
from tests.services.test_calculations import MAY, QIAN, SCHEME, Office, office

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
