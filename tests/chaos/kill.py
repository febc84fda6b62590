"""`python -m tests.chaos.kill [--runs 200]`: kill -9 of everything, again and again, and nothing lost or done twice.

A Tandem of its own gets refunds from the simulator's shop, whose pushes come twice and out of order, and whose
platforms time out after doing the work. People work on the tasks through the API. Meanwhile worker, API, Temporal and
PostgreSQL are killed. In the end each refund must have been handled exactly once. Exit code 1 tells of exceptions.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.chaos.client import Client
from tests.chaos.house import House, HouseProblem
from tests.chaos.killer import Killer
from tests.chaos.outside import Outside, Refund
from tests.chaos.people import DESKS, Desk, WorkDone
from tests.chaos.plan import Plan, plans
from tests.chaos.table import table
from tests.chaos.verdict import Verdict, judge, until_ended

# By day the journeys of the shops' other customers write to them, too; here the messages of refunds are counted.
_SETTINGS = {"TANDEM_REACH_POLICY": '{"caps": [{"messages": 0, "days": 1}]}'}


@dataclass(frozen=True)
class Tempo:
    """How long the parts take, in seconds, for a number of runs.

    asking: buyers ask for refunds; killing: from the first kill on; ending: afterwards, until all runs must have ended.
    """

    asking: float
    killing: float
    ending: float
    think: float

    @classmethod
    def of(cls, runs: int) -> "Tempo":
        return cls(
            asking=8 + 0.4 * runs, killing=20 + 0.8 * runs, ending=90 + 0.6 * runs, think=0.5 if runs < 100 else 0.15
        )


async def prove(runs: int, seed: int) -> int:
    """0 when everything ended as it should."""
    began = time.monotonic()
    tempo, done = Tempo.of(runs), WorkDone()
    async with House(_SETTINGS) as house:
        _say(began, f"Tandem runs at {house.api_url}; {runs} buyers will ask for refunds")
        async with Outside(house.simulator_url) as outside, _people(house, outside, done, tempo) as observer:
            await outside.break_things()
            killer = Killer(house, outside.refunds, time.monotonic(), seed)
            buyers = asyncio.create_task(_buyers(outside, plans(runs, seed), tempo.asking))
            await asyncio.sleep(min(6.0, tempo.asking / 3))
            _say(began, "killing begins")
            await killer.rounds(for_s=tempo.killing, pause_s=1.5)
            if not house.running:
                raise HouseProblem(
                    f"Tandem ended by itself; its data and logs stay in {house.data_dir}\n{house.tail()}"
                )
            _say(began, f"{len(killer.blows)} kills; now everything must come to its end")
            await buyers
            ended = await until_ended(observer, outside, tempo.ending, partial(_say, began))
            verdict = await judge(house, observer, outside, done)
            if not ended:
                verdict.exceptions.insert(0, f"not every run had ended {tempo.ending:.0f} s after the last kill")
            hits, pushes = await outside.hits(), await outside.pushes()
            attempts = (await outside.truth()).attempts
        tail = house.tail()
    if house.leftovers or house.exit_code != 0:
        verdict.exceptions.append(f"stopping: exit code {house.exit_code}, left behind {house.leftovers}\n{tail}")
    _show_kills(killer)
    _show_work(done, {**hits, **{f"push {name}": count for name, count in pushes.items()}, **attempts})
    _show_verdict(verdict, killer)
    if verdict.exceptions:
        print(f"\nFAILED in {time.monotonic() - began:.0f} s; its data and logs stay in {house.data_dir}")
        return 1
    house.forget()
    print(f"\nPASSED in {time.monotonic() - began:.0f} s")
    return 0


async def _buyers(outside: Outside, wanted: Sequence[Plan], asking_s: float) -> None:
    """Buyers ask one after the other; some parcels arrive later, some buyers change their minds."""
    later: list[asyncio.Task[None]] = []
    began = time.monotonic()
    for number, plan in enumerate(wanted):
        await asyncio.sleep(max(0.0, began + asking_s * number / len(wanted) - time.monotonic()))
        refund = await outside.ask_for_refund(plan)
        later.append(asyncio.create_task(_afterwards(outside, refund)))
    await asyncio.gather(*later)


async def _afterwards(outside: Outside, refund: Refund) -> None:
    arrives, leaves = refund.plan.travels_s, refund.plan.withdrawn_after_s
    if arrives is not None:
        await asyncio.sleep(arrives + 0.5)
        await outside.tell_parcel_arrived(refund)
    if leaves is not None:
        await asyncio.sleep(max(0.0, refund.made_at + leaves - time.monotonic()))
        await outside.withdraw(refund)


@contextlib.asynccontextmanager
async def _people(house: House, outside: Outside, done: WorkDone, tempo: Tempo) -> AsyncIterator[Client]:
    """Everybody at work; gives a client that only looks."""
    tokens = house.tokens()
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            login: await stack.enter_async_context(Client(house.api_url, token, done.repeats, done.surprises))
            for login, token in tokens.items()
        }
        desks = [
            asyncio.create_task(Desk(clients[login], login, queue, outside, done, tempo.think * slowness).work())
            for login, queue, slowness in DESKS
        ]
        try:
            yield clients["admin"]
        finally:
            for desk in desks:
                desk.cancel()
            ended = await asyncio.gather(*desks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


def _show_kills(killer: Killer) -> None:
    rows = []
    for number, blow in enumerate(killer.blows, 1):
        stages = blow.stages
        names = "+".join(blow.names) + (
            " and its backends" if blow.with_children and "PostgreSQL" in blow.names else ""
        )
        where: list[object] = [None] * 9
        if stages is not None:
            where = [
                stages.made,
                stages.on_the_way_in,
                stages.to_start,
                stages.under_way,
                stages.inspection,
                stages.negotiation,
                stages.approval,
                stages.ended,
                stages.acting,
            ]
        rows.append([number, round(blow.at_s, 1), names, blow.back_after_s, *where])
    print("\nkills, and where the runs stood at each (times in seconds)")
    heading = ["#", "at", "killed", "back after", "asked", "coming", "to start", "under way"]
    print(table([*heading, "inspected", "negotiated", "approved", "ended", "acting"], rows))


def _show_work(done: WorkDone, outside: dict[str, int]) -> None:
    people = [[f"tasks completed: {name}", count] for name, count in sorted(done.completed.items())]
    people += [["outrun by somebody or by the run", done.outrun], ["mistaken forms refused", done.corrected]]
    people += [["finished commands sent again, same answer", done.repeated]]
    people += [[f"requests repeated: {why}", count] for why, count in done.repeats.most_common()]
    print("\npeople at work")
    print(table(["what", "times"], people))
    print("\nthe outside")
    print(table(["what", "times"], sorted(([name, count] for name, count in outside.items()), key=str)))


def _show_verdict(verdict: Verdict, killer: Killer) -> None:
    lost = [f"{'+'.join(blow.names)} did not come back" for blow in killer.blows if blow.back_after_s is None]
    verdict.check("every killed server came back by itself", lost, len(killer.blows))
    print("\nhow the runs ended")
    print(table(["result", "runs"], sorted([name, count] for name, count in verdict.results.items())))
    print("\nverdict")
    print(table(["claim", "held", "of"], [list(each) for each in verdict.checked]))
    for exception in verdict.exceptions:
        print(f"EXCEPTION {exception}")


def _say(began: float, sentence: str) -> None:
    print(f"[{time.monotonic() - began:6.1f}s] {sentence}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos.kill", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="how many refunds (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another story")
    chosen = parser.parse_args()
    try:
        return asyncio.run(prove(chosen.runs, chosen.seed))
    except HouseProblem as problem:
        print(problem)
        return 1


if __name__ == "__main__":
    sys.exit(main())
