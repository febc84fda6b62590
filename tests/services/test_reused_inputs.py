"""What-if by the input of a real settlement, and beside it: only the version of the scheme differs."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from domain.settlement.payees import NewPayee, UplineChange
from services.calculation_comparisons import CalculationComparer, Comparison
from services.calculations import Wanted
from services.settlement_views import SettlementViews
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_settlement_runs import JUNE, QIAN, WU, Books

__all__ = ["office"]
LATE = NOW + timedelta(days=35)


async def settled(office: Office) -> UUID:
    """May, booked: P1 earned 15.37 and their visits, C1 3.60 by them; P2 15.37, C2 3.60."""
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await office.note("visits", {"P1": 2})
    view = await Books(office).settled()
    return view.calculations[0].id


async def much_later(office: Office) -> None:
    """A late refund, an order, facts, a payee, another upline and another role, after May was booked."""
    await office.told(a_refund(30_000), an_order("E3", channel="P3"), at=LATE)
    await office.note("visits", {"P1": 40})
    await office.note("service", {"C1": 95})
    new = [NewPayee(code="P7", name="P7", role="promoter", since=MAY)]
    await office.register.put(QIAN, [*new, NewPayee(code="P2", name="P2", role="city", since=MAY)])
    await office.register.set_uplines(QIAN, [UplineChange(code="P1", upline="C2", since=MAY)])


async def what_if(office: Office, version: str = "1.0.0", **more: Any) -> CalculationRow:
    calculation = await office.preview(purpose="what-if", version=version, **more)
    return await row_of(office, calculation)


async def row_of(office: Office, calculation: UUID) -> CalculationRow:
    async with UnitOfWork(office.database) as work:
        row = await Calculations(work).find(calculation)
    assert row is not None
    return row


async def compared(office: Office, calculation: UUID, beside: UUID | None = None, largest: int = 20) -> Comparison:
    return await CalculationComparer(office.database).compare(QIAN, calculation, beside, largest)


async def test_by_the_same_version_it_comes_to_the_real_one_whatever_came_since(office: Office) -> None:
    booked = await settled(office)
    await much_later(office)
    row = await what_if(office)
    real = await row_of(office, booked)
    assert (row.input_of, row.digest, row.members) == (booked, real.digest, real.members)
    assert await office.earned(row.id) == await office.earned(booked)
    found = await compared(office, row.id)
    assert (found.before.id, found.same_input, found.gaining, found.losing, found.unchanged) == (booked, True, 0, 0, 4)
    assert (list(found.largest), list(found.remarks)) == ([], [])


async def test_only_the_version_differs_until_today_s_data_is_asked_for(office: Office) -> None:
    booked = await settled(office)
    await much_later(office)
    await office.scheme("2.0.0", "6%", published=False)
    row = await what_if(office, "2.0.0")
    assert row.input_of == booked
    assert await office.earned(row.id) == {
        "P1": {"sales": 1_800, "deals": 37, "visits": 300},
        "P2": {"sales": 1_800, "deals": 37},
        "C1": {"city": 432},
        "C2": {"city": 432},
    }
    today = await what_if(office, "2.0.0", today=True)
    assert today.input_of is None
    assert (await office.earned(today.id))["P3"] == {"sales": 1_800, "deals": 37}
    assert "P2" not in await office.earned(today.id), "who is a city by now"
    beside = await compared(office, today.id, booked)
    assert (beside.same_input, "其间" in beside.remarks[0].zh) == (False, True)


async def test_the_difference_is_told_by_component_by_payees_and_by_the_largest(office: Office) -> None:
    booked = await settled(office)
    fewer = SCHEME.replace("each: '0.37'", "each: '9.00'").replace(
        "    - {{ name: visits, title: 到店, of: visits, roles: [promoter], each: '1.50' }}\n", ""
    )
    await office.scheme("2.0.0", "2%", fewer, published=False)
    row = await what_if(office, "2.0.0")
    found = await compared(office, row.id)
    told = {
        each.component: (each.before_payees, each.now_payees, each.before_minor, each.now_minor)
        for each in found.components
    }
    assert told == {
        "sales": (2, 2, 3_000, 1_200),
        "deals": (2, 2, 74, 1_800),
        "visits": (1, 0, 300, 0),
        "city": (2, 2, 720, 288),
    }
    assert [each.component for each in found.components] == ["sales", "deals", "city", "visits"]
    assert {each.component: each.title for each in found.components}["visits"] == "到店"
    # P1 had 18.37, and would have 15.00; P2 had 15.37; the cities 3.60, and 1.44.
    assert (found.gaining, found.losing, found.lost_minor, found.unchanged) == (0, 4, 337 + 37 + 2 * 216, 0)
    assert found.lost_minor - found.gained_minor == (found.before.total_minor or 0) - (found.now.total_minor or 0)
    assert [(each.payee, each.before_minor, each.now_minor) for each in found.largest][:1] == [("P1", 1_837, 1_500)]
    assert [each.payee for each in (await compared(office, row.id, largest=2)).largest] == ["P1", "C1"]
    assert (await compared(office, row.id, largest=0)).losing == 4
    back = await compared(office, booked, row.id)
    assert (back.gaining, back.gained_minor, back.same_input) == (4, found.lost_minor, True)


async def test_roles_and_levels_that_were_not_looked_at_come_as_they_are_known_now(office: Office) -> None:
    """One for promoters alone has nobody above them, and no city."""
    only = SCHEME[: SCHEME.index("    - name: city")].replace("promoter, city", "promoter")
    await office.scheme("1.1.0", text=only)
    booked = await settled(office)
    assert await office.earned(booked) == {
        "P1": {"sales": 1_500, "deals": 37, "visits": 300},
        "P2": {"sales": 1_500, "deals": 37},
    }
    await office.told(a_refund(30_000), at=LATE)
    await office.register.put(QIAN, [NewPayee(code="P7", name="P7", role="promoter", since=MAY)])
    row = await what_if(office, "1.0.0")
    assert (row.input_of, row.members) == (booked, 8), "six promoters as they were, and two cities"
    assert await office.earned(row.id) == {
        "P1": {"sales": 1_500, "deals": 37, "visits": 300},
        "P2": {"sales": 1_500, "deals": 37},
        "C1": {"city": 360},
        "C2": {"city": 360},
    }
    view = await SettlementViews(office.database).show(QIAN, row.id)
    assert any(str(booked) in each.zh and "现在登记" in each.zh for each in view.remarks)
    back = await what_if(office, "1.1.0", input_of=row.id)
    assert (back.members, back.digest) == (6, await office.digest(booked)), "and with fewer it is as it was"


async def test_a_settlement_or_any_calculation_of_the_period_is_named(office: Office) -> None:
    first = await Books(office).computed()
    booked = await settled_after(office, first.run.id)
    view = await Books(office).settled()
    assert (await what_if(office)).input_of == view.calculations[-1].id, "the last one that was booked"
    assert (await what_if(office, input_of=first.run.id)).input_of == first.calculations[0].id
    assert await office.earned((await what_if(office, input_of=first.run.id)).id) == {}
    assert (await what_if(office, input_of=booked)).input_of == booked
    tried = await office.preview()
    assert (await what_if(office, input_of=tried)).input_of == tried
    assert (await what_if(office, day=JUNE)).input_of is None, "nothing of June is booked"


async def settled_after(office: Office, run: UUID) -> UUID:
    await Books(office).runs.decide(WU, run, approve=False)
    return await settled(office)


async def test_after_a_closed_period_was_adjusted_its_last_state_is_the_input(office: Office) -> None:
    await settled(office)
    books = Books(office)
    await books.runs.close(WU, "promoters", MAY)
    await office.told(a_refund(30_000), at=LATE)
    view = await books.settled(JUNE)
    (adjusted,) = [each for each in view.calculations if each.purpose == "adjustment"]
    row = await what_if(office)
    assert (row.input_of, row.digest) == (adjusted.id, await office.digest(adjusted.id))


async def test_a_payee_s_own_cycle_goes_by_its_own_settlement(office: Office) -> None:
    await office.register.put(QIAN, [NewPayee(code="P2", name="P2", role="promoter", cycle="day", since=MAY)])
    await office.register.set_uplines(QIAN, [UplineChange(code="P2", upline=None, since=MAY)])
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    day = date(2026, 5, 3)
    daily = (await Books(office).settled(day, "day")).calculations[0].id
    await office.told(a_refund(30_000).model_copy(update={"order_id": "E2"}), at=LATE)
    await office.scheme("2.0.0", "6%", published=False)
    row = await what_if(office, "2.0.0", day=day, input_of=daily)
    assert (row.cycle, row.start, row.input_of) == ("day", day, daily)
    assert await office.earned(row.id) == {"P2": {"sales": 1_800, "deals": 37}}
    assert (await what_if(office, "2.0.0", day=day, cycle="day")).input_of == daily
    assert (await what_if(office, "2.0.0", day=day)).input_of is None, "of the month nothing is booked"


async def test_what_is_refused(office: Office) -> None:
    booked = await settled(office)
    ask, calculation = office.steps.ask, uuid4()
    named = Wanted("promoters", MAY, "what-if", "1.0.0", None, booked)
    for wrong in (
        Wanted("promoters", MAY, "preview", "1.0.0", None, booked),
        Wanted("promoters", MAY, "preview", "1.0.0", None, None, True),
        Wanted("promoters", MAY, "what-if", "1.0.0", None, booked, True),
        Wanted("promoters", JUNE, "what-if", "1.0.0", None, booked),
        Wanted("promoters", MAY, "what-if", "1.0.0", "day", booked),
    ):
        with pytest.raises(ValidationProblem):
            await ask(QIAN, calculation, wrong)
    with pytest.raises(NotFoundProblem):
        await ask(QIAN, calculation, Wanted("promoters", MAY, "what-if", "1.0.0", None, uuid4()))
    asked = await ask(QIAN, uuid4(), Wanted("promoters", MAY, "preview"))
    with pytest.raises(ConflictProblem):
        await ask(QIAN, calculation, Wanted("promoters", MAY, "what-if", "1.0.0", None, asked.id))
    for who in (WU, an_actor("he", Role.AUDITOR)):
        with pytest.raises(AuthorizationProblem):
            await ask(who, calculation, named)
    comparer, june = CalculationComparer(office.database), await office.preview(day=JUNE)
    with pytest.raises(ConflictProblem):
        await compared(office, asked.id)
    with pytest.raises(ConflictProblem):
        await compared(office, june)
    with pytest.raises(ValidationProblem):
        await compared(office, june, booked)
    with pytest.raises(NotFoundProblem):
        await compared(office, booked, uuid4())
    with pytest.raises(AuthorizationProblem):
        await comparer.compare(an_actor("zhao", Role.AGENT), booked)
    assert (await comparer.compare(an_actor("he", Role.AUDITOR), june, june)).unchanged == 0


async def test_an_input_that_is_gone_takes_what_went_by_it_along(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    tried = await office.preview()
    asked = await office.steps.ask(QIAN, uuid4(), Wanted("promoters", MAY, "what-if", "1.0.0", None, tried))
    async with UnitOfWork(office.database) as work:
        row = await Calculations(work).find(tried)
        await work.session.delete(row)
    with pytest.raises(NotFoundProblem):
        await office.steps.freeze(asked.id)
