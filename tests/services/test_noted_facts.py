"""Who approves a settlement sees what was typed in for it, and has typed none of it."""

from collections.abc import Mapping
from datetime import date, timedelta
from uuid import uuid4

import pytest

from domain.access import Role
from domain.problems import AuthorizationProblem
from domain.settlement.payees import NewPayee
from services.earning_explanations import EarningExplanations
from services.noted_facts import FLOW
from services.settlement_views import SettlementViews
from storage.calculations import Calculations
from storage.paging import PageRequest
from storage.payee_facts import PayeeFact, PayeeFacts
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import MAY, NEW_YEAR, QIAN, SCHEME, Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import HE, WU, Books, books

__all__ = ["books", "office"]
ADA = an_actor("ada", Role.FINANCE)
JUNE = date(2026, 6, 1)


async def note(office: Office, by: str, name: str, amounts: Mapping[str, int], day: date = MAY) -> None:
    async with UnitOfWork(office.database) as work:
        rows = await Payees(work).rows(amounts)
        facts = [PayeeFact(rows[code].id, name, day, amount, str(uuid4())) for code, amount in amounts.items()]
        await PayeeFacts(work).add(facts, by)


def of_facts(remarks: object) -> list[str]:
    assert isinstance(remarks, list | tuple)
    return [each.zh for each in remarks if "noted" in each.en and "given no score" not in each.en]


async def test_a_run_tells_who_noted_how_much_since_its_period_was_booked(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    books = Books(office)
    await note(office, "qian", "visits", {"P1": 3, "P2": 1})
    await note(office, "ada", "service", {"C1": 95, "C2": 95})
    await note(office, f"{FLOW}stores/visits", "visits", {"P1": 1, "P2": 1, "P3": 1})
    await note(office, "qian", "visits", {"P1": 9}, JUNE)
    await note(office, "qian", "unheard-of", {"P1": 9})
    told = (
        "账期 2026-05-01 自上次记账以来登记了 7 条计入的到店、评价、预约或考核分："
        "ada 2 条（service 2）；qian 2 条（visits 2）；流程 stores/visits 3 条（visits 3）"
    )
    preview = await SettlementViews(office.database).show(QIAN, await office.preview())
    assert of_facts(preview.remarks) == [told]
    view = await books.settled()
    assert of_facts(view.remarks) == [told]
    assert of_facts((await books.computed()).remarks) == [], "all of it was approved"
    preview = await SettlementViews(office.database).show(QIAN, await office.preview())
    assert of_facts(preview.remarks) == []


async def test_who_does_not_take_part_is_not_told_of(office: Office) -> None:
    await office.scheme("2.0.0", text=office_of_cities())
    await note(office, "qian", "service", {"P1": 3})
    assert of_facts((await Books(office).computed()).remarks) == []


def office_of_cities() -> str:
    return """
scheme:
  name: promoters
  version: {version}
  title: 城市
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [city] }}
  earns:
    - {{ name: service, title: 服务, of: score, score: service, each: '1.00' }}
"""


async def test_a_score_that_was_overwritten_is_told_with_both(office: Office) -> None:
    books = Books(office)
    await note(office, "qian", "service", {"C1": 70, "C2": 80})
    await books.settled()
    await note(office, "ada", "service", {"C1": 95}, MAY + timedelta(days=3))
    await note(office, "ada", "service", {"C2": 80})
    await note(office, "qian", "visits", {"P1": 1})
    await note(office, "qian", "visits", {"P1": 2})
    (noted, changed) = of_facts((await books.computed()).remarks)
    assert "ada 2 条（service 2）；qian 2 条（visits 2）" in noted
    assert changed == "账期 2026-05-01 的考核分被改登 1 次，以最后一次为准：C1 service 70 → 95（ada）"


async def test_of_many_changed_scores_the_latest_are_named(office: Office) -> None:
    for mark in range(10):
        await note(office, "qian", "service", {"C1": mark})
    changed = of_facts((await Books(office).computed()).remarks)[1]
    assert "被改登 9 次" in changed
    assert changed.endswith("C1 service 8 → 9（qian）、C1 service 7 → 8（qian）、C1 service 6 → 7（qian）、"
                            "C1 service 5 → 6（qian）、C1 service 4 → 5（qian） 等")  # fmt: skip


async def test_what_comes_after_the_closing_is_told_with_its_adjustment(office: Office) -> None:
    books = Books(office)
    office.clock.now = office.clock.now.replace(month=7)
    await office.told(an_order(channel="P1"))
    await books.closed()
    await note(office, "ada", "visits", {"P1": 3})
    (told,) = of_facts((await books.computed(JUNE)).remarks)
    assert told.startswith("账期 2026-05-01")
    assert told.endswith("ada 1 条（visits 1）")


async def test_nobody_approves_what_they_noted(office: Office) -> None:
    books = Books(office)
    await note(office, "wu", "visits", {"P1": 3})
    view = await books.computed()
    with pytest.raises(AuthorizationProblem) as refused:
        await books.runs.decide(WU, view.run.id, approve=True)
    assert refused.value.problem.as_dict()["rule"] == "four-eyes"
    assert "自己登记的到店、评价或考核分" in refused.value.text.zh
    assert "one noted oneself" in refused.value.text.en
    assert (await books.runs.show(QIAN, view.run.id)).approvals == []
    await books.runs.decide(HE, view.run.id, approve=True)
    await books.book(view.run.id)
    await note(office, "qian", "visits", {"P2": 1})
    again = await books.computed()
    assert (await books.runs.decide(WU, again.run.id, approve=True)).run.state == "approved", "theirs were approved"


async def test_nobody_approves_what_they_noted_of_a_closed_period(office: Office) -> None:
    books = Books(office)
    office.clock.now = office.clock.now.replace(month=7)
    await office.told(an_order(channel="P1"))
    await books.closed()
    await note(office, "wu", "visits", {"P1": 3})
    view = await books.computed(JUNE)
    with pytest.raises(AuthorizationProblem):
        await books.runs.decide(WU, view.run.id, approve=True)
    assert (await books.runs.decide(HE, view.run.id, approve=True)).run.state == "approved"


async def test_who_noted_what_does_not_count_may_approve(office: Office) -> None:
    books = Books(office)
    await note(office, "wu", "visits", {"P1": 3}, JUNE)
    await note(office, "wu", "unheard-of", {"P1": 3})
    await note(office, f"{FLOW}stores/wu", "visits", {"P1": 3})
    view = await books.computed()
    await note(office, "wu", "visits", {"P1": 3})
    assert (await books.runs.decide(WU, view.run.id, approve=True)).run.state == "approved", "that came later"


async def test_what_a_new_version_counts_is_noted_by_another(office: Office, books: Books) -> None:
    """The version that was booked did not ask for it: nobody approved it."""
    await office.scheme("1.1.0", text=office_of_cities())
    await note(office, "wu", "visits", {"P1": 3})
    await note(office, "wu", "service", {"C1": 3})
    view = await books.computed()
    await books.runs.decide(HE, view.run.id, approve=True)
    await books.book(view.run.id)
    await office.scheme("1.2.0")
    again = await books.computed()
    (told,) = of_facts(again.remarks)
    assert told.endswith("wu 1 条（visits 1）")
    with pytest.raises(AuthorizationProblem):
        await books.runs.decide(WU, again.run.id, approve=True)
    assert (await books.runs.decide(HE, again.run.id, approve=True)).run.state == "approved"


async def test_what_was_noted_of_who_joins_later_is_noted_by_another(office: Office, books: Books) -> None:
    await office.register.put(QIAN, [NewPayee(code="P9", name="P9", role="store", since=NEW_YEAR)])
    await note(office, "wu", "visits", {"P9": 3})
    await note(office, "ada", "visits", {"P1": 3})
    await books.settled()
    await office.register.put(QIAN, [NewPayee(code="P9", name="P9", role="promoter", since=MAY)])
    again = await books.computed()
    (told,) = of_facts(again.remarks)
    assert told.endswith("wu 1 条（visits 1）")
    with pytest.raises(AuthorizationProblem):
        await books.runs.decide(WU, again.run.id, approve=True)


async def test_what_counts_for_other_roles_by_now_is_noted_by_another(office: Office, books: Books) -> None:
    """Visits of a city were noted while promoters alone were paid for them."""
    await note(office, "wu", "visits", {"C1": 3})
    await note(office, "ada", "service", {"C1": 3})
    view = await books.computed()
    await books.runs.decide(HE, view.run.id, approve=True)
    await books.book(view.run.id)
    wider = SCHEME.replace("of: visits, roles: [promoter]", "of: visits, roles: [promoter, city]")
    await office.scheme("1.1.0", text=wider)
    again = await books.computed()
    assert "wu 1 条（visits 1）" in of_facts(again.remarks)[0]
    with pytest.raises(AuthorizationProblem):
        await books.runs.decide(WU, again.run.id, approve=True)


async def test_what_was_noted_of_who_has_another_role_by_now_is_noted_by_another(office: Office, books: Books) -> None:
    await note(office, "wu", "visits", {"C1": 3})
    await note(office, "ada", "visits", {"P1": 3})
    view = await books.computed()
    await books.runs.decide(HE, view.run.id, approve=True)
    await books.book(view.run.id)
    await office.register.put(QIAN, [NewPayee(code="C1", name="C1", role="promoter", since=MAY)])
    again = await books.computed()
    (told,) = of_facts(again.remarks)
    assert told.endswith("wu 1 条（visits 1）")


COUNTING = """
scheme:
  name: promoters
  version: {version}
  title: 团长
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns:
    - {{ name: openings, title: 开团, of: count, count: openings, each: '2.00' }}
    - name: festival
      title: 节日开团
      of: count
      count: openings
      days: {{ from: 2026-05-10, until: 2026-05-12 }}
      each: '1.00'
    - {{ name: mark, title: 最后一次, of: score, score: openings, each: '0.01' }}
"""


TRIGGERS = """
scheme:
  name: promoters
  version: {version}
  title: 触发
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns:
    - name: doings
      title: 到店、预约与评价
      of: count
      count: {{ visits: 1, bookings: '0.5', reviews: 2 }}
      tiers: {{ graduated: [{{ from: 0, each: '1.00' }}, {{ from: 5, each: '3.00' }}] }}
"""


async def test_several_triggers_count_by_their_weights_into_one_tier(office: Office) -> None:
    await office.scheme("2.0.0", text=TRIGGERS)
    await note(office, "qian", "visits", {"P1": 3, "P2": 5})
    await note(office, "qian", "bookings", {"P1": 5})
    await note(office, "qian", "reviews", {"P1": 1})
    calculation = await office.preview()
    assert await office.earned(calculation) == {"P1": {"doings": 1_250}, "P2": {"doings": 500}}
    async with UnitOfWork(office.database) as work:
        row = await Calculations(work).find(calculation)
        assert row is not None
        payee = (await Payees(work).rows(["P1"]))["P1"].id
        scheme = await office.steps.scheme(work, row)
        explanations = EarningExplanations(work, row, scheme)
        facts = await explanations.facts(payee, scheme.components[0], PageRequest(10))
        assert [(each.name, each.amount) for each in facts.items] == [("visits", 3), ("bookings", 5), ("reviews", 1)]


async def test_what_a_scheme_counts_adds_up_where_a_score_is_the_last_one(office: Office) -> None:
    await office.scheme("2.0.0", text=COUNTING)
    for day, amount in ((1, 3), (10, 2), (11, 4), (12, 5), (31, -1)):
        await note(office, "qian", "openings", {"P1": amount}, date(2026, 5, day))
    await note(office, "qian", "openings", {"P1": 50}, JUNE)
    calculation = await office.preview()
    assert (await office.earned(calculation))["P1"] == {"openings": 2_600, "festival": 600, "mark": -1}
    explained = await SettlementViews(office.database).explain(QIAN, calculation, "P1")
    counted = {each.component: [fact.counts for fact in each.facts] for each in explained.earnings}
    assert counted == {"openings": [True] * 5, "festival": [True] * 2, "mark": [False] * 4 + [True]}
    (noted, *_) = of_facts((await SettlementViews(office.database).show(QIAN, calculation)).remarks)
    assert "qian 5 条（openings 5）" in noted
