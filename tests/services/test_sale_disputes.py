"""Disputes about whose an order is: asked for by one person, decided by another."""

from collections.abc import Sequence
from datetime import date

import pytest

from domain.access import Role, Scope
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from domain.settlement.payees import NewPayee
from services.sale_corrections import Part
from tests.actors import an_actor
from tests.services.test_selling import QIAN, WHOLE, WU, Counter, a_refund, an_order, counter, key

__all__ = ["counter"]
E1, NEW_YEAR = ("youzan/flagship", "E1"), date(2026, 1, 1)


async def test_a_correction_needs_a_second_person_and_moves_the_sales(counter: Counter) -> None:
    await counter.told(an_order())
    asked = await counter.corrections.ask(
        QIAN, ("youzan/flagship", "E1"), "promoter", [Part("P2", 6_000), Part("P1", 4_000)], "直播间合作"
    )
    both = an_actor("qian", Role.FINANCE, Role.APPROVER)
    with pytest.raises(AuthorizationProblem):
        await counter.corrections.decide(both, asked.id, approve=True)
    assert (await counter.sold())["P1 paid"] == WHOLE
    await counter.corrections.decide(WU, asked.id, approve=True)
    await counter.settle()
    sold = await counter.sold()
    assert (sold["P2 paid"], sold["P1 paid"]) == ((18_000, 18_000, 3, 1), (12_000, 12_000, 0, 0))
    with pytest.raises(ConflictProblem):
        await counter.corrections.decide(WU, asked.id, approve=False)
    await counter.told(a_refund(30_000))
    assert {code: sums[1] for code, sums in (await counter.sold()).items()} == {
        "P1 paid": 0,
        "P2 paid": 0,
        "S1 paid": 0,
    }
    shown = await counter.corrections.order(QIAN, ("youzan/flagship", "E1"))
    ways = [(each.payee, each.way, each.ended_at is None) for each in shown.evidence if each.role == "promoter"]
    assert ways == [("P2", "correction", True), ("P1", "correction", True), ("P1", "channel", False)]


async def test_an_order_can_be_made_nobodys_and_stays_it(counter: Counter) -> None:
    await counter.told(an_order())
    asked = await counter.corrections.ask(QIAN, ("youzan/flagship", "E1"), "promoter", [], "刷单")
    await counter.corrections.decide(WU, asked.id, approve=True, note="属实")
    await counter.settle()
    await counter.told(an_order(version=2, paid_minor=20_000))
    assert await counter.sold() == {"P1 paid": (0, 0, 0, 0), "S1 paid": (20_000, 20_000, 3, 1)}


@pytest.mark.parametrize(
    ("shares", "refusal"),
    [
        ([Part("P9", 1)], NotFoundProblem),
        ([Part("S1", 1)], ValidationProblem),
        ([Part("P1", 6_000), Part("P2", 5_000)], ValidationProblem),
        ([Part("P1", 6_000), Part("P1", 1_000)], ValidationProblem),
        ([Part("P1", 0)], ValidationProblem),
        ([Part("P1", 10_000)], ConflictProblem),
    ],
)
async def test_what_cannot_be_corrected(counter: Counter, shares: Sequence[Part], refusal: type[ProblemError]) -> None:
    await counter.told(an_order())
    with pytest.raises(refusal):
        await counter.corrections.ask(QIAN, ("youzan/flagship", "E1"), "promoter", shares, "r")


async def a_payee_of_may(counter: Counter) -> None:
    """P3, a promoter since January, has the order E1 of the third of May."""
    await counter.register.put(QIAN, [NewPayee(code="P3", name="P3", role="promoter", since=NEW_YEAR)])
    await counter.register.set_keys(QIAN, [key("P3", "channel", "live-9")])
    await counter.told(an_order(channel="live-9"))


async def now_city(counter: Counter, since: date) -> None:
    await counter.register.put(QIAN, [NewPayee(code="P3", name="P3", role="city", since=since)])


async def test_who_was_promoted_since_has_the_order_in_the_role_of_its_day(counter: Counter) -> None:
    await a_payee_of_may(counter)
    await now_city(counter, date(2026, 6, 1))
    with pytest.raises(ValidationProblem) as refused:
        await counter.corrections.ask(QIAN, E1, "city", [Part("P3", 10_000)], "r")
    for said in (refused.value.text.zh, refused.value.text.en):
        assert "2026-05-03" in said
        assert "promoter" in said
    away = await counter.corrections.ask(QIAN, E1, "promoter", [Part("P2", 10_000)], "挂错码")
    await counter.corrections.decide(WU, away.id, approve=True)
    back = await counter.corrections.ask(QIAN, E1, "promoter", [Part("P3", 10_000)], "其实没错")
    await counter.corrections.decide(WU, back.id, approve=True)
    await counter.settle()
    assert {code for code, sums in (await counter.sold()).items() if any(sums)} == {"P3 paid", "S1 paid"}


async def test_an_order_counts_once_for_somebody_in_whatever_role(counter: Counter) -> None:
    """What was decided in the role of then stays; it may be said later that the role had been another one."""
    await a_payee_of_may(counter)
    waits = await counter.corrections.ask(QIAN, E1, "promoter", [Part("P3", 6_000)], "两人合播")
    await now_city(counter, date(2026, 5, 1))
    with pytest.raises(ConflictProblem, match="twice"):
        await counter.corrections.ask(QIAN, E1, "city", [Part("P3", 10_000)], "r")
    await counter.corrections.decide(WU, waits.id, approve=False)
    away = await counter.corrections.ask(QIAN, E1, "promoter", [], "角色记错")
    await counter.corrections.decide(WU, away.id, approve=True)
    await now_city(counter, date(2026, 6, 1))
    await counter.register.put(QIAN, [NewPayee(code="P3", name="P3", role="promoter", since=date(2026, 5, 1))])
    as_promoter = await counter.corrections.ask(QIAN, E1, "promoter", [Part("P3", 10_000)], "r")
    await now_city(counter, date(2026, 5, 1))
    as_city = await counter.corrections.ask(QIAN, E1, "city", [Part("P3", 10_000)], "r")
    await counter.corrections.decide(WU, as_city.id, approve=True)
    with pytest.raises(ConflictProblem, match="twice"):
        await counter.corrections.decide(WU, as_promoter.id, approve=True)
    assert (await counter.corrections.decide(WU, as_promoter.id, approve=False)).state == "refused"
    await counter.settle()
    assert (await counter.sold())["P3 paid"] == WHOLE


async def test_an_order_goes_to_nobody_outside_of_ones_scope(counter: Counter) -> None:
    await counter.told(an_order())
    lin = an_actor("lin", Role.FINANCE, scope=Scope.of_accounts("youzan/flagship"))
    with pytest.raises(NotFoundProblem, match="scope") as refused:
        await counter.corrections.ask(lin, E1, "promoter", [Part("P2", 10_000)], "r")
    assert refused.value.problem.as_dict()["codes"] == ["P2"]
    assert (await counter.corrections.ask(lin, E1, "promoter", [], "刷单")).state == "asked"


async def test_one_dispute_at_a_time(counter: Counter) -> None:
    await counter.told(an_order())
    name = ("youzan/flagship", "E1")
    first = await counter.corrections.ask(QIAN, name, "promoter", [Part("P2", 10_000)], "r")
    with pytest.raises(ConflictProblem):
        await counter.corrections.ask(QIAN, name, "promoter", [], "r")
    await counter.corrections.decide(WU, first.id, approve=False)
    await counter.settle()
    assert (await counter.sold())["P1 paid"] == WHOLE
    await counter.corrections.ask(QIAN, name, "promoter", [], "r")
