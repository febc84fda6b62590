"""Who is above a payee and settled by another cycle would earn nothing by them: that is told, and never settled."""

from datetime import date

import pytest

from domain.problems import ConflictProblem
from domain.settlement.payees import UplineChange
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.settlement_views import SettlementViews
from storage.engine import Database
from tests.clock import SteppedClock
from tests.services.stores import DECEMBER, FEE, NOVEMBER, OCTOBER, Stores
from tests.services.test_calculations import QIAN
from tests.services.test_selling import OPS

TENTH = date(2026, 11, 10)
NO_CITIES = """
scheme:
  name: stores
  version: 2.0.0
  title: 门店与推广
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [promoter, city, province] }
  earns:
    - { name: sales, title: 提成, of: kept, roles: [promoter], rate: '5%' }
    - { name: cities, title: 城市之上, roles: [province], overrides: { of: sales, levels: ['20%'] } }
    - { name: nothing, title: 无, roles: [city], overrides: { of: sales, levels: ['0%'] } }
"""


@pytest.fixture
async def stores(database: Database, clock: SteppedClock) -> Stores:
    """A city that is settled by the month, with a promoter by the month and one by the day below it."""
    found = Stores(database, clock)
    await found.open()
    found.on(OCTOBER)
    await found.join("C1", "city")
    await found.join("P1", "promoter", "C1", cycle="day")
    await found.join("P2", "promoter", "C1")
    for code in ("P1", "P2"):
        await found.sell(f"E{code}", code, TENTH)
    return found


async def test_a_share_that_nobody_would_compute_is_refused_by_name(stores: Stores) -> None:
    with pytest.raises(ConflictProblem) as refused:
        await stores.books.computed(TENTH, "day")
    assert "P1 的上级 C1 按 month" in refused.value.text.zh
    assert "C1 above P1 by month" in refused.value.text.en
    told = refused.value.problem.as_dict()
    assert (told["codes"], told["count"]) == (["C1", "P1"], 1)
    # What the refusal advises: the other way round as well, the city is where its promoters are.
    await stores.books.settled(NOVEMBER)
    assert await stores.books.payable() == {"P2": 1_500, "C1": 300}
    stores.on(TENTH)
    await stores.register.set_uplines(QIAN, [UplineChange(code="P1", upline=None, since=TENTH)])
    await stores.books.settled(TENTH, "day")
    assert await stores.books.payable() == {"P1": 1_500, "P2": 1_500, "C1": 300}


async def test_with_the_same_cycle_both_are_paid(stores: Stores) -> None:
    await stores.be("P1", "promoter", since=NOVEMBER)
    view = await stores.books.settled(NOVEMBER)
    assert await stores.books.payable() == {"P1": 1_500, "P2": 1_500, "C1": 600}
    assert [each for each in view.remarks if "C1" in each.en] == []


async def test_a_city_by_the_day_is_missed_by_its_promoters_of_the_month(stores: Stores) -> None:
    await stores.be("C1", "city", cycle="day", since=NOVEMBER)
    with pytest.raises(ConflictProblem) as refused:
        await stores.books.computed(NOVEMBER)
    assert "P2 的上级 C1 按 day" in refused.value.text.zh
    await stores.books.settled(TENTH, "day")
    assert await stores.books.payable() == {"P1": 1_500, "C1": 300}


async def test_a_preview_tells_it(stores: Stores) -> None:
    views = SettlementViews(stores.database)
    told = await views.show(QIAN, await stores.preview(scheme="stores", day=TENTH, cycle="day"))
    (remark,) = (each for each in told.remarks if "C1" in each.en)
    assert "P1 的上级 C1 按 month" in remark.zh
    told = await views.show(QIAN, await stores.preview(scheme="stores", day=NOVEMBER))
    assert [each for each in told.remarks if "C1" in each.en] == []


async def test_who_would_earn_nothing_anyway_is_in_nobodys_way(stores: Stores) -> None:
    await stores.be("P1", "store", cycle="day", since=DECEMBER)
    await stores.be("C1", "promoter", since=DECEMBER)
    await stores.books.settled(DECEMBER, "day")
    stores.on(OCTOBER)
    definitions = DefinitionService(stores.database)
    (uploaded,) = await definitions.upload(OPS, [SourceText("s.yaml", NO_CITIES)])
    version = uploaded.version
    await definitions.publish(OPS, (version.kind, version.namespace, version.name, version.version))
    await stores.books.settled(TENTH, "day")
    assert await stores.books.payable() == {"P1": FEE + 1_500}


async def test_who_has_left_is_in_nobodys_way(stores: Stores) -> None:
    await stores.be("C1", "city", active=False, since=NOVEMBER)
    await stores.books.settled(TENTH, "day")
    assert await stores.books.payable() == {"P1": 1_500}


async def test_many_are_counted_and_some_named(stores: Stores) -> None:
    for number in range(3, 10):
        await stores.join(f"P{number}", "promoter", "C1", cycle="day")
    with pytest.raises(ConflictProblem) as refused:
        await stores.books.computed(TENTH, "day")
    assert "等共 8 对" in refused.value.text.zh
    assert "8 pairs in all" in refused.value.text.en
    assert refused.value.problem.as_dict()["codes"] == ["C1", "P1", "P3", "P4", "P5", "P6"]
