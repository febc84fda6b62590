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
        await Effects(work).mark_unknown(KEY, {"status": 504})
    assert (await _begin(database)).standing == "resumed"


async def test_an_effect_knows_when_those_attempts_were_at_work_that_may_have_done_it(
    database: Database, clock: SteppedClock
) -> None:
    assert (await _begin(database)).attempted is None
    clock.advance(minutes=1)
    async with UnitOfWork(database) as work:
        await Effects(work).fail(KEY, {"status": 400})
    clock.advance(hours=1)
    second = clock.now
    assert (await _begin(database)).standing == "new"
    clock.advance(minutes=1)
    async with UnitOfWork(database) as work:
        await Effects(work).mark_unknown(KEY, {"status": 504})
    clock.advance(hours=1)
    assert (await _begin(database)).attempted == Attempted(second, second + timedelta(minutes=1))


async def test_what_certainly_failed_may_be_tried_anew(database: Database) -> None:
    await _begin(database)
    async with UnitOfWork(database) as work:
        await Effects(work).fail(KEY, {"status": 400})
    assert (await _begin(database, "sha256:other arguments")).standing == "new"
    # What is under way now belongs to the new arguments.
    with pytest.raises(ConflictProblem):
        await _begin(database)


async def test_a_finished_effect_stays_finished(database: Database) -> None:
    await _begin(database)
    async with UnitOfWork(database) as work:
        effects = Effects(work)
        await effects.finish(KEY, {"n": 1})
        await effects.mark_unknown(KEY, {"status": 504})
        await effects.finish(KEY, {"n": 2})
    assert (await _begin(database)).answer == {"n": 1}


@pytest.mark.parametrize(
    ("digest", "call"), [("sha256:b", "youzan.agree_refund"), ("sha256:a", "youzan.refuse_refund")]
)
async def test_a_key_belongs_to_one_request(database: Database, digest: str, call: str) -> None:
    await _begin(database)
    with pytest.raises(ConflictProblem, match="belongs to another request"):
        await _begin(database, digest, call)
