"""Settlements from orders to the cent, against a recomputation by hand from the orders themselves."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from domain.problems import ConflictProblem, NotFoundProblem, ValidationProblem
from domain.settlement.payees import NewPayee, UplineChange
from services.calculations import CalculationSteps, Wanted
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.exchange_rates import Rate
from storage.calculations import Calculations
from storage.engine import Database
from storage.payee_facts import PayeeFact, PayeeFacts
from storage.payees import Payees
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.test_selling import OPS, Counter, a_refund, an_order, key

QIAN = an_actor("qian", Role.FINANCE)
MAY, NEW_YEAR = date(2026, 5, 1), date(2026, 1, 1)
SCHEME = """
scheme:
  name: promoters
  version: {version}
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter, city] }}
  cap: '9000.00'
  earns:
    - name: sales
      title: 推广
      of: kept
      roles: [promoter]
      tiers: {{ graduated: [{{ from: '0.00', rate: '{rate}' }}, {{ from: '1000.00', rate: '8.25%' }}] }}
    - {{ name: deals, title: 单, of: orders, roles: [promoter], each: '0.37' }}
    - {{ name: visits, title: 到店, of: visits, roles: [promoter], each: '1.50' }}
    - name: city
      title: 城市
      roles: [city]
      overrides: {{ of: sales, levels: ['30%'] }}
      factor: {{ score: service, steps: [{{ from: 0, times: '0.8' }}, {{ from: 90, times: '1' }}] }}
"""


class Office(Counter):
    """The books with a scheme for promoters and their cities."""

    def __init__(self, database: Database, clock: SteppedClock) -> None:
        super().__init__(database)
        self.clock = clock
        self.steps = CalculationSteps(database)

    async def scheme(
        self, version: str = "1.0.0", rate: str = "5%", text: str = SCHEME, *, published: bool = True
    ) -> None:
        definitions = DefinitionService(self.database)
        source = SourceText("s.yaml", text.format(version=version, rate=rate))
        for uploaded in await definitions.upload(OPS, [source]):
            if published:
                found = uploaded.version
                await definitions.publish(OPS, (found.kind, found.namespace, found.name, found.version))

    async def preview(self, parts: list[int] | None = None, **more: Any) -> UUID:
        calculation = uuid4()
        wanted = Wanted(**{"scheme": "promoters", "day": MAY, "purpose": "preview", **more})
        await self.steps.ask(QIAN, calculation, wanted)
        await self.steps.run(calculation, parts)
        return calculation

    async def digest(self, calculation: UUID) -> str | None:
        async with UnitOfWork(self.database) as work:
            row = await Calculations(work).find(calculation)
            return row.digest if row is not None else None

    async def earned(self, calculation: UUID) -> dict[str, dict[str, int]]:
        """By code and component, in fen."""
        async with UnitOfWork(self.database) as work:
            row = await Calculations(work).find(calculation)
            assert row is not None
            found: dict[str, dict[str, int]] = defaultdict(dict)
            everything = [each for part in range(PARTS) for each in await Calculations(work).earned(row, part)]
            codes = await Payees(work).codes({each.payee for each in everything})
            for each in everything:
                found[codes[each.payee]][each.component] = each.amount
            return dict(found)

    async def note(self, name: str, amounts: Mapping[str, int], day: date = MAY) -> None:
        async with UnitOfWork(self.database) as work:
            rows = await Payees(work).rows(amounts)
            facts = [PayeeFact(rows[code].id, name, day, amount, str(uuid4())) for code, amount in amounts.items()]
            await PayeeFacts(work).add(facts, "qian")


@pytest.fixture
async def office(database: Database, clock: SteppedClock) -> Office:
    # Noon in Shanghai: an hour later it is still the same day.
    clock.now = clock.now.replace(hour=4)
    return await with_people(Office(database, clock))


async def with_people(found: Office) -> Office:
    """The office, with a scheme in force, two cities and six promoters below them."""
    await found.publish()
    people = [("C1", "city"), ("C2", "city"), *((f"P{number}", "promoter") for number in range(1, 7))]
    await found.register.put(QIAN, [NewPayee(code=code, name=code, role=role, since=NEW_YEAR) for code, role in people])
    codes = [code for code, role in people if role == "promoter"]
    await found.register.set_keys(QIAN, [key(code, "channel", code) for code in codes])
    above = [UplineChange(code=code, upline=f"C{1 + number % 2}", since=MAY) for number, code in enumerate(codes)]
    await found.register.set_uplines(QIAN, above)
    await found.scheme()
    await found.settle()
    return found


async def test_one_order_from_the_shop_to_the_cent(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    await office.note("visits", {"P1": 3, "P2": 1})
    await office.note("visits", {"P1": -1})
    await office.note("service", {"C1": 95})
    found = await office.earned(await office.preview())
    assert found == {
        "P1": {"sales": 1_500, "deals": 37, "visits": 300},
        "P2": {"visits": 150},
        "C1": {"city": 450},
    }


async def test_the_last_score_counts_and_none_is_the_lowest(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    assert (await office.earned(await office.preview()))["C1"] == {"city": 360}
    await office.note("service", {"C1": 95})
    await office.note("service", {"C1": 50})
    assert (await office.earned(await office.preview()))["C1"] == {"city": 360}
    await office.note("service", {"C1": 100}, MAY + timedelta(days=31))
    assert (await office.earned(await office.preview()))["C1"] == {"city": 360}, "that is of June"


async def test_what_comes_after_the_freezing_counts_for_the_next(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    calculation = uuid4()
    await office.steps.ask(QIAN, calculation, Wanted("promoters", MAY, "preview"))
    await office.steps.freeze(calculation)
    await office.told(a_refund(10_000, 1, "2"))
    await office.told(an_order("E2", channel="P2"))
    await office.note("visits", {"P1": 9})
    await office.register.set_uplines(QIAN, [UplineChange(code="P1", upline="C2", since=MAY)])
    await office.register.put(QIAN, [NewPayee(code="P1", name="P1", role="city", since=MAY)])
    digest = await office.steps.run(calculation)
    assert await office.earned(calculation) == {"P1": {"sales": 1_500, "deals": 37}, "C1": {"city": 360}}
    assert await office.steps.run(calculation) == digest, "done again, it is the same"
    assert await office.digest(await office.preview()) != digest


async def test_an_order_that_is_edited_after_the_freezing_counts_as_it_was(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    calculation = uuid4()
    await office.steps.ask(QIAN, calculation, Wanted("promoters", MAY, "preview"))
    await office.steps.freeze(calculation)
    await office.told(an_order(version=2, channel="P1", paid_minor=10))
    assert await office.steps.run(calculation) == await office.steps.run(calculation)
    assert await office.earned(calculation) == {"P1": {"sales": 1_500, "deals": 37}, "C1": {"city": 360}}
    assert (await office.earned(await office.preview()))["P1"] == {"sales": 1, "deals": 37}


async def test_parts_in_any_order_and_at_once_and_again(office: Office) -> None:
    pick = Random("parts")
    for number in range(30):
        await office.told(
            an_order(f"E{number}", channel=f"P{pick.randrange(1, 7)}", paid_minor=pick.randrange(1, 90_000))
        )
    digest = await office.digest(await office.preview())
    calculation = uuid4()
    await office.steps.ask(QIAN, calculation, Wanted("promoters", MAY, "preview"))
    others = [CalculationSteps(office.database) for _ in range(2)]
    await asyncio.gather(*(each.freeze(calculation) for each in others))
    for step in ("earn_alone", "earn_by_downline"):
        parts = [*range(PARTS), *range(0, PARTS, 3)]
        pick.shuffle(parts)
        await asyncio.gather(*(getattr(pick.choice(others), step)(calculation, part) for part in parts))
    # Late, after the second pass: harmless.
    await others[0].earn_alone(calculation, 3)
    assert await others[1].finish(calculation) == digest


async def test_nothing_is_finished_before_its_parts_are(office: Office) -> None:
    calculation = uuid4()
    await office.steps.ask(QIAN, calculation, Wanted("promoters", MAY, "preview"))
    for early in (office.steps.earn_alone(calculation, 0), office.steps.earn_by_downline(calculation, 0)):
        with pytest.raises(ConflictProblem):
            await early
    await office.steps.freeze(calculation)
    await office.steps.earn_alone(calculation, 0)
    with pytest.raises(ConflictProblem):
        await office.steps.earn_by_downline(calculation, 0)
    with pytest.raises(ConflictProblem):
        await office.steps.finish(calculation)


async def test_what_if_another_version_had_been_in_force(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    await office.scheme("2.0.0", "6%", published=False)
    tried = await office.preview(version="2.0.0", purpose="what-if")
    assert (await office.earned(tried))["P1"]["sales"] == 1_800
    assert (await office.earned(await office.preview()))["P1"]["sales"] == 1_500
    with pytest.raises(NotFoundProblem):
        await office.preview(version="2.0.0", purpose="settlement")


async def test_what_cannot_be_computed_is_refused_before_it_begins(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundProblem):
        await office.preview(scheme="nobody")
    with pytest.raises(ValidationProblem):
        await office.preview(day=date(2025, 12, 31))
    # As a version that counts otherwise was published before that was refused.
    for refusal in ("refuse_split_periods_of", "refuse_dropped_counts"):
        monkeypatch.setattr(f"services.definitions.{refusal}", lambda *_: None)
    await office.scheme("1.1.0", text=SCHEME.replace("counts: paid", "counts: completed"))
    await office.publish(
        "2.0.0",
        "attribution: {{name: orders, version: {version}, title: t, since: 2026-05-01, counts: [paid], "
        "roles: {{store: shop}}}}",
    )
    with pytest.raises(ValidationProblem) as refused:
        await office.preview()
    assert "counts" in refused.value.text.zh


async def test_payees_of_another_cycle_are_settled_by_their_own(office: Office) -> None:
    daily = NewPayee(code="P1", name="P1", role="promoter", cycle="day", since=MAY)
    await office.register.put(QIAN, [daily])
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3"))
    assert "P1" not in await office.earned(await office.preview())
    own = await office.earned(await office.preview(cycle="day", day=date(2026, 5, 3)))
    assert own == {"P1": {"sales": 1_500, "deals": 37}}


async def test_exchange_differences_by_the_rate_of_the_last_day(office: Office) -> None:
    await office.scheme(
        text="""
scheme:
  name: promoters
  version: 3.0.0
  title: 跨境
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns:
    - {{ name: sales, title: 佣金, of: kept, rate: '10%' }}
    - {{ name: fx, title: 汇差, of: fx-difference, rate: '100%' }}
"""
    )
    await office.rates.set(QIAN, [Rate("USD", date(2026, 5, 1), "7.10")])
    await office.told(an_order(channel="P1", currency="USD"), an_order("E2", channel="P2"))
    with pytest.raises(ValidationProblem) as refused:
        await office.preview()
    assert "USD 在 2026-05-31 没有汇率" in refused.value.text.zh
    assert "USD has no rate on 2026-05-31" in refused.value.text.en
    assert refused.value.problem.as_dict()["currencies"] == ["USD"]
    await office.rates.set(QIAN, [Rate("USD", date(2026, 5, 31), "7.2345")])
    found = await office.earned(await office.preview())
    assert found == {"P1": {"sales": 21_300, "fx": 4_035}, "P2": {"sales": 3_000}}


def _round(value: Fraction) -> int:
    size = int(abs(value) + Fraction(1, 2))
    return -size if value < 0 else size


async def test_a_month_of_orders_and_refunds_against_a_recomputation_by_hand(office: Office) -> None:
    """From the orders as they were told, by fractions, without any of what is kept in between."""
    pick = Random("month")
    kept: dict[str, int] = defaultdict(int)
    deals: dict[str, int] = defaultdict(int)
    at = datetime(2026, 5, 1, 4, tzinfo=UTC)
    for number in range(120):
        code, amount = f"P{pick.randrange(1, 7)}", pick.randrange(100, 80_000)
        paid_at = at + timedelta(hours=pick.randrange(0, 31 * 24))
        in_may = paid_at.astimezone(UTC) + timedelta(hours=8) < datetime(2026, 6, 1, tzinfo=UTC)
        order = an_order(f"E{number}", channel=code, paid_minor=amount, paid_at=paid_at, created_at=at)
        back = pick.choice([0, 0, 0, amount, pick.randrange(1, amount)])
        told: list[Any] = [order]
        if back:
            told.append(a_refund(back).model_copy(update={"refund_id": f"R{number}", "order_id": f"E{number}"}))
        pick.shuffle(told)
        await office.told(*told, at=at + timedelta(days=60))
        if in_may:
            kept[code] += amount - back
            deals[code] += int(back < amount)
    found = await office.earned(await office.preview())
    cities: dict[str, int] = defaultdict(int)
    for number in range(1, 7):
        code, base = f"P{number}", Fraction(kept[f"P{number}"])
        sales = _round(
            min(base, Fraction(100_000)) * Fraction(5, 100) + max(base - 100_000, Fraction(0)) * Fraction(825, 10_000)
        )
        cities[f"C{1 + (number - 1) % 2}"] += sales
        assert found[code]["sales"] == sales
        assert found[code]["deals"] == deals[code] * 37
    for code, below in cities.items():
        exact = _round(Fraction(below * 30, 100) * Fraction(8, 10))
        assert sum(found[code].values()) == min(exact, 900_000)
