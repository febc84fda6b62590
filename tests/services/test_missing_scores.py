"""A score that nobody noted counts as nothing: who looks at a settlement before it is paid is told, and by name."""

from datetime import timedelta

from services.settlement_views import SettlementViews
from tests.services.test_calculations import MAY, QIAN, Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import WU, Books

__all__ = ["office"]
BY_SCORES = """
scheme:
  name: promoters
  version: {version}
  title: 团长
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns:
    - name: sales
      title: 提成
      of: kept
      rate: '{rate}'
      factor: {{ score: after-sale, steps: [{{ from: 60, times: '0.5' }}, {{ from: 90, times: '1' }}] }}
    - {{ name: openings, title: 开团, of: score, score: openings, each: '2.00' }}
"""


async def said(office: Office) -> list[str]:
    """Of scores, in Chinese, of a preview of May."""
    remarks = (await SettlementViews(office.database).show(QIAN, await office.preview())).remarks
    return [each.zh for each in remarks if "counts as 0" in each.en]


async def test_who_sold_and_has_no_coefficient_is_named(office: Office) -> None:
    await office.scheme("2.0.0", text=BY_SCORES)
    await office.note("openings", {f"P{number}": 1 for number in range(1, 7)})
    assert await said(office) == [], "nobody sold anything"
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    (remark,) = await said(office)
    assert remark.startswith("有 2 位收款人本期没有登记考核分 after-sale，按 0 分计：P1、P2；")
    await office.note("after-sale", {"P1": 0})
    (remark,) = await said(office)
    assert "有 1 位" in remark, "a mark of nothing was given all the same"
    await office.note("after-sale", {"P2": 95}, MAY + timedelta(days=31))
    assert len(await said(office)) == 1, "that is of June"
    await office.note("after-sale", {"P2": 95})
    assert await said(office) == []


async def test_a_score_that_is_paid_for_itself_is_missed_by_all_who_were_there(office: Office) -> None:
    await office.scheme("2.0.0", text=BY_SCORES)
    await office.note("openings", {"P6": 3, "C1": 3})
    (remark,) = await said(office)
    assert "有 5 位收款人本期没有登记考核分 openings，按 0 分计：P1、P2、P3、P4、P5；" in remark
    await office.scheme("2.0.1", text=BY_SCORES.replace("[promoter]", "[promoter, city]"))
    (remark,) = await said(office)
    assert "有 6 位" in remark
    assert "C2、P1、P2、P3、P4 等；" in remark


async def test_the_approver_sees_what_was_missing_when_it_was_frozen(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    books = Books(office)
    view = await books.computed()
    (remark,) = view.remarks
    assert "service" in remark.en
    assert "C1" in remark.en
    await office.note("service", {"C1": 95})
    assert (await books.runs.show(QIAN, view.run.id)).remarks == [remark], "it was computed without"
    await books.runs.decide(WU, view.run.id, approve=False)
    (noted,) = (await books.computed()).remarks
    assert noted.en.endswith("that count were noted: qian 1 (service 1)")
