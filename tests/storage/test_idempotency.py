import asyncio

import pytest

from domain.problems import ConflictProblem
from domain.retention import Kind
from storage.engine import Database
from storage.idempotency import LEASE, IdempotencyKeys, ReusedKeyProblem, StoredAnswer
from storage.retention import Retention
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock

ANSWER = StoredAnswer(201, {"id": "run-1", "phone": "13800000000"})


async def _begin(database: Database, digest: str = "sha256:a", login: str = "li") -> StoredAnswer | None:
    async with UnitOfWork(database) as work:
        return await IdempotencyKeys(work).begin(login, "key-1", digest)


async def _complete(database: Database) -> None:
    async with UnitOfWork(database) as work:
        await IdempotencyKeys(work).complete("li", "key-1", ANSWER)


async def test_a_repeated_request_gets_the_first_answer(database: Database) -> None:
    assert await _begin(database) is None
    await _complete(database)
    assert await _begin(database) == ANSWER


async def test_another_request_under_the_same_key_is_refused(database: Database) -> None:
    await _begin(database)
    with pytest.raises(ReusedKeyProblem) as refusal:
        await _begin(database, "sha256:b")
    assert refusal.value.problem.status == 422


async def test_keys_of_two_people_are_apart(database: Database) -> None:
    assert await _begin(database) is None
    assert await _begin(database, "sha256:b", "wang") is None


async def test_of_many_at_once_one_does_the_work(database: Database) -> None:
    results = await asyncio.gather(*(_begin(database) for _ in range(8)), return_exceptions=True)
    assert results.count(None) == 1
    assert sum(isinstance(result, ConflictProblem) for result in results) == 7


async def test_a_request_whose_process_died_can_be_repeated(database: Database, clock: SteppedClock) -> None:
    await _begin(database)
    clock.advance(seconds=LEASE.total_seconds() - 1)
    with pytest.raises(ConflictProblem):
        await _begin(database)
    clock.advance(seconds=2)
    with pytest.raises(ReusedKeyProblem):
        await _begin(database, "sha256:b")
    assert await _begin(database) is None


async def test_an_abandoned_key_is_free_at_once_but_an_answer_stays(database: Database) -> None:
    await _begin(database)
    async with UnitOfWork(database) as work:
        await IdempotencyKeys(work).abandon("li", "key-1")
    assert await _begin(database) is None
    await _complete(database)
    async with UnitOfWork(database) as work:
        await IdempotencyKeys(work).abandon("li", "key-1")
    assert await _begin(database) == ANSWER


async def test_keys_expire(database: Database, clock: SteppedClock) -> None:
    await _begin(database)
    await _complete(database)
    clock.advance(hours=25)
    assert await _begin(database, "sha256:b") is None
    clock.advance(hours=25)
    async with UnitOfWork(database) as work:
        assert await Retention(work).delete(Kind.IDEMPOTENCY_KEYS, work.now, 10) == 1
        await IdempotencyKeys(work).complete("li", "key-1", ANSWER)
    assert await _begin(database) is None
