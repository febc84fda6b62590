"""`python -m tests.journeys [--customers 10000]`: a crowd through the six journeys, while servers die.

A Tandem of its own runs the shipped journeys with short waits. What people do is told by signed records, in several
versions, twice, late and out of order; contacts come by the simulated corp's pushes, doubled and reordered, and its API
times out after doing the work. Some pay, use their coupon, are silenced, take their consent back, ask for a refund, or
turn out to be two known as one. Meanwhile worker, API, Temporal and PostgreSQL are killed. Exit code 1 tells of
exceptions.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

from tests.chaos.house import House, HouseProblem
from tests.chaos.killer import Killer
from tests.chaos.table import table
from tests.journeys.crowd import RUNS_OUT_AFTER, Person, acted_by, muddled, now, regulars, told_of
from tests.journeys.quick import JOURNEYS
from tests.journeys.stage import FAULTS, Stage
from tests.journeys.verdict import Account, judge, silenced_within, take_stock

WAVE = 250
_LONGEST_EACH_S = 0.2
"""What a customer's way through a journey may take of all servers on two cores, the simulator's work included."""
_SETTINGS = {
    # What people of the crowd bought elsewhere would count among their orders.
    "TANDEM_SIMULATOR_YEARS": "0",
    # Caps would hide a message that is sent twice, and the hour of the night is no matter here.
    "TANDEM_REACH_POLICY": '{"quiet_hours": null, "caps": []}',
}


async def prove(customers: int, pause_s: int, seed: int, *, kills: bool) -> int:
    """0 when everybody was served once."""
    began = time.monotonic()
    settings = {**_SETTINGS, "TANDEM_SIMULATOR_CUSTOMERS": str(int(customers * 1.6) + 50)}
    async with House(settings) as house, Stage(house, seed) as stage:
        _say(began, f"Tandem runs at {house.api_url}")
        await stage.prepare(pause_s)
        await stage.tell(list(regulars(60 + customers // 30, now())))
        world = await stage.people()
        people = _people(world, customers)
        known = sum(each["external_userid"] is not None for each in world)
        await _until(lambda: _enough(stage, known), 600, "the corp's contacts")
        _say(began, f"{len(people)} customers; the corp's contacts are known, waits are {pause_s} s")
        await stage.sim("PUT", "/faults", json={"rules": list(FAULTS)})
        killer = Killer(house, [], time.monotonic(), seed)
        killing = asyncio.create_task(_kill(killer, house)) if kills else None
        struck: list[str] = []
        try:
            halfway = await _live(stage, people, pause_s, seed, began)
        finally:
            if killing is not None:
                killer.stop()
                (broke,) = await asyncio.gather(killing, return_exceptions=True)
                struck = killer.findings(broke)
        _say(began, f"everything is told, {len(killer.blows)} kills; now everybody must come to the end")
        await stage.read_contacts("compare")
        patience_s = 300 + 3 * pause_s + customers * _LONGEST_EACH_S
        await _until(lambda: _over(stage, people), patience_s, "the journeys", fatal=False)
        account = await take_stock(stage, people)
        claims = await judge(stage, people, account)
        if kills:
            claims.append(("whoever was killed came back", max(len(killer.blows), 1), struck))
    _show("halfway", halfway, people)
    _show("in the end", account, people)
    print(f"\ntold: {stage.told} records; requests sent again: {dict(stage.repeats)}")
    if kills:
        back = [blow.back_after_s for blow in killer.blows if blow.back_after_s is not None] or [float("nan")]
        print(
            f"kills: {len(killer.blows)}, back after {statistics.median(back):.1f} s (median), {max(back):.1f} s (most)"
        )
    if took := silenced_within(account, people):
        print(
            f"from silenced to ended: {statistics.median(took):.2f} s (median), {took[int(len(took) * 0.99)]:.2f} s "
            f"(99 %), of {len(took)}"
        )
    print()
    print(table(["claim", "holds", "of"], [[claim, max(of - len(bad), 0), of] for claim, of, bad in claims]))
    exceptions = [f"{claim}: {each}" for claim, _, bad in claims for each in bad]
    for exception in exceptions[:40]:
        print(f"EXCEPTION {exception}")
    if exceptions:
        print(
            f"\nFAILED ({len(exceptions)}) in {time.monotonic() - began:.0f} s; data and logs stay in {house.data_dir}"
        )
        return 1
    house.forget()
    print(f"\nPASSED in {time.monotonic() - began:.0f} s")
    return 0


def _people(world: Sequence[dict[str, Any]], customers: int) -> list[Person]:
    """A sixth of the corp's contacts in each journey."""
    contacts = [each for each in world if each["external_userid"] is not None]
    share = customers // len(JOURNEYS)
    if len(contacts) < share * len(JOURNEYS):
        raise HouseProblem(f"the simulated corp has {len(contacts)} contacts only")
    return [
        Person(journey, number, each["id"], each["unionid"], each["external_userid"])
        for place, journey in enumerate(JOURNEYS)
        for number, each in enumerate(contacts[place * share : (place + 1) * share])
    ]


async def _live(stage: Stage, people: Sequence[Person], pause_s: int, seed: int, began: float) -> Account:
    """Waves of people enter; a while later they act. What was counted when half of the waves were in."""
    pick = Random(f"crowd:{seed}")
    mixed = list(people)
    pick.shuffle(mixed)
    waves = [mixed[start : start + WAVE] for start in range(0, len(mixed), WAVE)]
    later: list[asyncio.Task[None]] = []
    halfway = None
    for number, wave in enumerate(waves):
        records = [record for person in wave for record in told_of(person, pause_s, now())]
        await stage.tell(muddled(records, pick))
        await asyncio.gather(*(_befriend(stage, person) for person in wave if person.journey == "new-customer-gift"))
        later.append(asyncio.create_task(_act(stage, wave, records, pick, pause_s)))
        if number == len(waves) // 2:
            halfway = await take_stock(stage, people)
            _say(began, "half of them are in")
    await asyncio.gather(*later)
    return halfway or await take_stock(stage, people)


async def _befriend(stage: Stage, person: Person) -> None:
    """Somebody becomes the contact of an employee, every fourth of a second one as well."""
    for userid in ("ZhaoQiang", "SunYing") if person.number % 4 == 0 else ("ZhaoQiang",):
        wanted = {"customer_id": person.customer_id, "does": "befriend", "userid": userid}
        await stage.sim("POST", "/doings", json=wanted)


async def _act(
    stage: Stage, wave: Sequence[Person], told: Sequence[dict[str, Any]], pick: Random, pause_s: int
) -> None:
    """What a wave does while its journeys wait, among late repeats of what was told."""
    slow = [person for person in wave if person.journey == "run-out"]
    await asyncio.sleep(6)
    await _do(stage, [person for person in wave if person.journey != "run-out"], told, pick)
    # The tag of who ran out comes when so much time has passed; its check looks every five seconds.
    await asyncio.sleep(RUNS_OUT_AFTER * pause_s + 12 - 6)
    await _do(stage, slow, told, pick)


async def _do(stage: Stage, people: Sequence[Person], told: Sequence[dict[str, Any]], pick: Random) -> None:
    late = pick.sample(list(told), len(told) // 5)
    acts = [record for person in people for record in acted_by(person, now())]
    await stage.tell(muddled([*acts, *late], pick))
    silenced = [person for person in people if person.act == "silenced"]
    customers = await stage.customers(silenced)
    for person in silenced:
        if person.name in customers:
            await stage.silence(customers[person.name])


async def _kill(killer: Killer, house: House) -> None:
    await asyncio.sleep(5)
    await killer.rounds(for_s=3600, pause_s=6)
    if not house.running:
        raise HouseProblem(f"Tandem ended by itself\n{house.tail()}")


async def _enough(stage: Stage, wanted: int) -> bool:
    return await stage.contacts_known() >= wanted


async def _over(stage: Stage, people: Sequence[Person]) -> bool:
    """Runs of the shipped versions, which began before the quick ones were published, wait their half hour."""
    account = await take_stock(stage, people)
    return not account.open_quick_runs and all(person.name in account.runs for person in people if person.must_enter)


async def _until(done: Callable[[], Awaitable[bool]], for_s: float, what: str, *, fatal: bool = True) -> None:
    end = time.monotonic() + for_s
    while not await done():
        if time.monotonic() > end:
            if fatal:
                raise HouseProblem(f"{what} did not end within {for_s:.0f} s")
            return
        await asyncio.sleep(3)


def _show(when: str, account: Account, people: Sequence[Person]) -> None:
    rows: list[list[object]] = []
    for name, standing in account.standings.items():
        own = [person.name for person in people if person.journey == name]
        sent = sum(account.sent[each] for each in own)
        recorded = sum(len(account.recorded.get(each, ())) for each in own)
        results = ", ".join(f"{count} {result}" for result, count in sorted(standing.results.items()))
        rows.append([name, len(own), standing.entered, standing.left, standing.waiting, sent, recorded, results])
    print(f"\n{when}")
    print(table(["journey", "customers", "entered", "left", "waiting", "sent", "recorded", "ended as"], rows))


def _say(began: float, what: str) -> None:
    print(f"[{time.monotonic() - began:6.1f}s] {what}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--customers", type=int, default=10_000, help="how many; a sixth in each journey")
    parser.add_argument("--pause", type=int, default=0, help="seconds that mornings and days last; by the number if 0")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-kills", action="store_true")
    chosen = parser.parse_args()
    pause_s = chosen.pause or 45 + chosen.customers // 100
    return asyncio.run(prove(chosen.customers, pause_s, chosen.seed, kills=not chosen.no_kills))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The Temporal client's threads may abort an interpreter that ends in the ordinary way.
    os._exit(code)
