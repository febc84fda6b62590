"""An account is asked no faster than it may be, by all processes together; who reads in bulk waits for the others."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from connectors.pacing import Pace
from domain.problems import RateLimitProblem
from services.pacing import AccountPacer
from storage.encryption import Keyring
from storage.engine import Database
from storage.figures import Figures
from storage.unit_of_work import UnitOfWork

SHOP = "wechat_store/demo"


@pytest.fixture
async def live(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    yield database
    await database.close()


async def asked_for(seconds: float, pacer: AccountPacer, rate: float, *, bulk: bool) -> list[float]:
    """How long each turn took, one after the other for some seconds."""
    waits: list[float] = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        try:
            await pacer.turn(SHOP, rate, bulk=bulk)
        except RateLimitProblem:
            continue
        waits.append(time.monotonic() - began)
    return waits


async def test_two_processes_together_ask_no_faster_than_one_may(live: Database) -> None:
    began = time.monotonic()
    turns = await asyncio.gather(
        *(asked_for(2.0, pacer, 10, bulk=False) for pacer in (AccountPacer(live), AccountPacer(live)) for _ in range(3))
    )
    made, took = sum(map(len, turns)), time.monotonic() - began
    # Four requests a call, a second's may be booked ahead, and six askers take one each while the time runs out.
    assert 40 * 1.5 <= made <= 40 * (took + 1) + 6, f"{made} requests in {took:.1f} s"
    async with UnitOfWork(live) as work:
        told = (await work.session.execute(text("SELECT account_id, requests, delays > 0 FROM request_paces"))).one()
    assert tuple(told)[0::2] == (SHOP, True)
    assert told[1] >= made


async def test_an_interface_is_asked_no_faster_than_it_may_be_whoever_asks(live: Database) -> None:
    paces = [Pace(AccountPacer(live), SHOP, 40, bulk) for bulk in (True, False, False, False)]
    made, began = 0, time.monotonic()

    async def ask(pace: Pace) -> None:
        nonlocal made
        while time.monotonic() < began + 2:
            await pace.turn()
            await pace.turn_at("externalcontact/get", 20)
            made += 1

    await asyncio.gather(*map(ask, paces))
    took = time.monotonic() - began
    assert 20 * 1.5 <= made <= 20 * (took + 1) + 4, f"{made} requests in {took:.1f} s, and 160 a second to the account"


async def test_a_request_that_took_a_turn_of_its_interface_too_is_counted_once(live: Database) -> None:
    pace = Pace(AccountPacer(live), SHOP, 0.25, bulk=False)
    await pace.turn()
    await pace.turn_at("externalcontact/get", 1)
    async with UnitOfWork(live) as work:
        assert (await Figures(work).collect()).requests == {"wechat_store": 1}


async def test_reading_in_bulk_takes_half_and_keeps_no_call_waiting(live: Database) -> None:
    bulk, calls = AccountPacer(live), AccountPacer(live)
    reading = [asyncio.create_task(asked_for(3.0, bulk, 40, bulk=True)) for _ in range(5)]
    await asyncio.sleep(1.5)
    waits = []
    for _ in range(10):
        began = time.monotonic()
        await calls.turn(SHOP, 40, bulk=False)
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    made = sum(len(each) for each in await asyncio.gather(*reading))
    assert 20 <= made <= 20 * (3 + 1) + 5
    assert max(waits) < 1.0, waits
    assert sorted(waits)[len(waits) // 2] < 0.1, waits


async def test_a_wait_for_a_turn_ends(live: Database) -> None:
    pacer = AccountPacer(live, patience_s=0.4, bulk_patience_s=0.2)
    for _ in range(2):
        await pacer.turn(SHOP, 0.25, bulk=False)
    for bulk in (False, True):
        with pytest.raises(RateLimitProblem, match="1 a second") as refused:
            await pacer.turn(SHOP, 0.25, bulk=bulk)
        told = refused.value.problem.as_dict()
        assert (told["retryable"], told["outcome"]) == (True, "not_done")


async def test_accounts_do_not_wait_for_each_other(live: Database) -> None:
    pacer = AccountPacer(live, patience_s=0.4)
    with pytest.raises(RateLimitProblem):
        await asyncio.gather(*(pacer.turn(SHOP, 2, bulk=False) for _ in range(20)))
    await pacer.turn("wechat_store/other", 2, bulk=False)


async def test_a_platform_that_was_asked_too_often_is_left_alone_but_for_calls(live: Database) -> None:
    pacer = AccountPacer(live, bulk_patience_s=0.3)
    await pacer.turn(SHOP, 20, bulk=True)
    await pacer.hold(SHOP, 30)
    with pytest.raises(RateLimitProblem):
        await asked(AccountPacer(live, bulk_patience_s=0.3))
    await pacer.turn(SHOP, 20, bulk=False)
    await pacer.hold(SHOP, 0.1)
    await asyncio.sleep(0.2)
    await asked(pacer)


async def asked(pacer: AccountPacer) -> None:
    await pacer.turn(SHOP, 20, bulk=True)


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(live: Database) -> None:
    pacer = AccountPacer(live)
    await pacer.turn(SHOP, 20, bulk=True)
    async with UnitOfWork(live) as work:
        await work.session.execute(
            text(
                "UPDATE request_paces SET busy_until = now() + interval '1 day', "
                "bulk_until = now() + interval '1 day', "
                "held_until = now() + interval '1 day'"
            )
        )
    for bulk in (False, True):
        async with asyncio.timeout(4):
            await AccountPacer(live).turn(SHOP, 20, bulk=bulk)
