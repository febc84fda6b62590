from datetime import timedelta

import pytest

from domain.calls import Attempted
from domain.problems import ConflictProblem
from storage.effects import Begun, Effects
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock

KEY = "flow/shop/refund/R1:/do/0:pay"


async def _begin(database: Database, digest: str = "sha256:a", call: str = "youzan.agree_refund") -> Begun:
    async with UnitOfWork(database) as work:
        return await Effects(work).begin(KEY, call, digest, run_id="r", reference="/do/0/pay")


async def test_an_effect_that_is_done_answers_from_the_ledger(database: Database) -> None:
    assert (await _begin(database)).standing == "new"
    async with UnitOfWork(database) as work:
        await Effects(work).finish(KEY, {"refund_no": "42"})
    begun = await _begin(database)
    assert (begun.standing, begun.answer) == ("recorded", {"refund_no": "42"})


async def test_an_attempt_that_nobody_finished_must_be_asked_about(database: Database) -> None:
    await _begin(database)
    begun = await _begin(database)
    assert (begun.standing, begun.attempts) == ("resumed", 2)
    async with UnitOfWork(database) as work:
        await Effects(work).mark_unknown(KEY, {"status": 504}, 2)
    assert (await _begin(database)).standing == "resumed"


async def test_an_effect_knows_when_those_attempts_were_at_work_that_may_have_done_it(
    database: Database, clock: SteppedClock
) -> None:
    assert (await _begin(database)).attempted is None
    clock.advance(minutes=1)
    async with UnitOfWork(database) as work:
        await Effects(work).fail(KEY, {"status": 400}, 1)
    clock.advance(hours=1)
    second = clock.now
    assert (await _begin(database)).standing == "new"
    clock.advance(minutes=1)
    async with UnitOfWork(database) as work:
        await Effects(work).mark_unknown(KEY, {"status": 504}, 2)
    clock.advance(hours=1)
    third = clock.now
    assert (await _begin(database)).attempted == Attempted(second, second + timedelta(minutes=1))
    clock.advance(seconds=20)
    async with UnitOfWork(database) as work:
        begun = await Effects(work).begin(KEY, "youzan.agree_refund", "sha256:a", acts_for=timedelta(seconds=40))
    assert begun.attempted == Attempted(second, third + timedelta(seconds=40)), "it was cut off, and may act still"


async def test_an_attempt_that_only_looks_for_earlier_ones_is_not_looked_for(
    database: Database, clock: SteppedClock
) -> None:
    may_act = timedelta(seconds=40)

    async def begin() -> Begun:
        clock.advance(minutes=10)
        async with UnitOfWork(database) as work:
            return await Effects(work).begin(KEY, "send", "sha256:a", searches=True, acts_for=may_act)

    await begin()
    first = clock.now
    for _ in range(3):
        assert (await begin()).attempted == Attempted(first, first + may_act), "the first was cut off, and may act"
    async with UnitOfWork(database) as work:
        await Effects(work).mark_unknown(KEY, {"status": 504}, 4)
    over = clock.now
    for _ in range(2):
        assert (await begin()).attempted == Attempted(first, over), "it said what it knows"
    async with UnitOfWork(database) as work:
        await Effects(work).acts(KEY, 6)
    acted = clock.now
    clock.advance(minutes=1)
    async with UnitOfWork(database) as work:
        await Effects(work).mark_unknown(KEY, {"status": 504}, 6)
    assert (await begin()).attempted == Attempted(acted, acted + timedelta(minutes=1)), "earlier ones did nothing"
    async with UnitOfWork(database) as work:
        await Effects(work).acts(KEY, 7)
    acted = clock.now
    assert (await begin()).attempted == Attempted(acted, acted + may_act), "cut off after it began to act"


async def test_an_attempt_that_was_overtaken_neither_acts_nor_says_what_became_of_it(database: Database) -> None:
    await _begin(database)
    await _begin(database)
    with pytest.raises(ConflictProblem, match="next attempt"):
        async with UnitOfWork(database) as work:
            await Effects(work).acts(KEY, 1)
    async with UnitOfWork(database) as work:
        await Effects(work).fail(KEY, {"status": 503}, 1)
    assert (await _begin(database)).standing == "resumed", "the second may have done it"
    async with UnitOfWork(database) as work:
        await Effects(work).fail(KEY, {"status": 503}, 3)
    assert (await _begin(database)).standing == "new"


async def test_what_certainly_failed_may_be_tried_anew(database: Database) -> None:
    await _begin(database)
    async with UnitOfWork(database) as work:
        await Effects(work).fail(KEY, {"status": 400}, 1)
    assert (await _begin(database, "sha256:other arguments")).standing == "new"
    # What is under way now belongs to the new arguments.
    with pytest.raises(ConflictProblem):
        await _begin(database)


async def test_a_finished_effect_stays_finished(database: Database) -> None:
    await _begin(database)
    async with UnitOfWork(database) as work:
        effects = Effects(work)
        await effects.finish(KEY, {"n": 1})
        await effects.mark_unknown(KEY, {"status": 504}, 1)
        await effects.finish(KEY, {"n": 2})
    assert (await _begin(database)).answer == {"n": 1}


@pytest.mark.parametrize(
    ("digest", "call"), [("sha256:b", "youzan.agree_refund"), ("sha256:a", "youzan.refuse_refund")]
)
async def test_a_key_belongs_to_one_request(database: Database, digest: str, call: str) -> None:
    await _begin(database)
    with pytest.raises(ConflictProblem, match="belongs to another request"):
        await _begin(database, digest, call)
