"""Disputes about whose an order is: asked for by one person, decided by another."""

from collections.abc import Sequence

import pytest

from domain.access import Role
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from services.sale_corrections import Part
from tests.actors import an_actor
from tests.services.test_selling import QIAN, WHOLE, WU, Counter, a_refund, an_order, counter

__all__ = ["counter"]


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
