"""`python -m tests.payouts [--runs 10] [--payees 1000]`: a month is settled and paid while everything fails.

A Tandem of its own settles a month of seeded sales by a scheme for each run, and pays it by the simulator's WeChat Pay,
asked for and approved over HTTP by two people. The rail times out before and after it has paid, refuses and is slow;
payees let transfers lapse, call them off or confirm late; parts are repeated, die half-way and come late; worker, API,
Temporal and PostgreSQL are killed. What failed is paid by a second batch. The exit code is 1 unless every digest is
that of a calm preview, every sum ties from order lines to WeChat Pay's own ledger, and nobody is paid twice.
"""

import argparse
import asyncio
import logging
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import structlog

from connectors.http import Link, open_client
from connectors.tokens import MemoryTokenStore
from domain.settlement.approvals import ApprovalPolicy, ApprovalStep
from tests.chaos.house import House, HouseProblem
from tests.chaos.killer import Blow, Killer
from tests.chaos.table import table
from tests.chaos.verdict import audit_findings, bugs
from tests.journeys.verdict import spared
from tests.payouts.crowd import Crowd
from tests.payouts.facts import Computed, Facts, computed, facts_of, strangers
from tests.payouts.people import people
from tests.payouts.stage import Stage
from tests.payouts.trouble import Repeats, Stillness, faults
from tests.payouts.verdict import Claim, of_journal, of_run

ACCOUNT = "demo-wechat-pay"
BATCHES = 2
POLICY = ApprovalPolicy(steps=(ApprovalStep(),))
_LONGEST_EACH_S = 0.5
"""What a payee's payout may take of all servers on two cores, what goes wrong included."""
_KILLS_PAUSE_S = 8
_SETTINGS = {
    "TANDEM_SIMULATOR_YEARS": "0.001",
    "TANDEM_SIMULATOR_CUSTOMERS": "20",
    "TANDEM_PAYOUT_LONGEST_PAUSE_S": "15",
    # One approver, however much it is: several are no matter here.
    "TANDEM_SETTLEMENT_APPROVALS": POLICY.model_dump_json(),
}


@dataclass
class Run:
    """One run and how it went."""

    facts: Facts
    claims: Sequence[Claim]
    blows: Sequence[Blow]
    took_s: float


@dataclass
class Drill:
    """Everything that goes on beside the runs."""

    house: House
    stage: Stage
    crowd: Crowd
    repeats: Repeats
    stillness: Stillness
    seed: int
    kills: bool
    began: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        print(f"[{time.monotonic() - self.began:6.1f}s] {what}", flush=True)

    async def run(self, number: int, calm: Computed) -> Run:
        """One month settled and paid twice: what failed the first time is paid by a second batch."""
        began, stage = time.monotonic(), self.stage
        patience_s = 900 + _LONGEST_EACH_S * len(stage.everybody)
        killer = Killer(self.house, [], began, 100 * self.seed + number)
        leaving = [each for each in stage.everybody if each.leaves]
        broke: BaseException | None = None
        async with AsyncExitStack() as stack:
            if self.kills:
                killing = asyncio.create_task(killer.rounds(for_s=7200, pause_s=_KILLS_PAUSE_S))
                await stack.enter_async_context(_beside(self.stillness.rounds(), self.repeats.rounds()))
            settled = await stage.ask_for_settlement(number)
            self.repeats.calculation = UUID(settled["calculations"][0]["id"])
            self.repeats.run = UUID(settled["run"]["id"])
            booked = await stage.book(settled["run"]["id"], patience_s)
            await stage.be(leaving, active=False)
            for self.crowd.batch in range(1, BATCHES + 1):
                self.crowd.run = number
                batch = await stage.ask_for_payouts(number)
                self.repeats.batch = UUID(batch)
                await stage.release(batch, patience_s)
                if not await stage.until_paid(batch, patience_s):
                    self.say(f"run {number}: batch {self.crowd.batch} did not end within {patience_s:.0f} s")
            if self.kills:
                killer.stop()
                (broke,) = await asyncio.gather(killing, return_exceptions=True)
        self.repeats.forget()
        await stage.be(leaving, active=True)
        facts = await facts_of(stage, number, calm, booked["calculations"][0])
        claims = of_run(stage.everybody, facts)
        if self.kills:
            claims.append(("whoever was killed came back", max(len(killer.blows), 1), killer.findings(broke)))
        return Run(facts, claims, killer.blows, time.monotonic() - began)


async def prove(runs: int, payees: int, seed: int, *, kills: bool) -> int:
    """0 when every sum ties."""
    everybody, month = people(payees), _last_month()
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(House(_SETTINGS))
        stage = await stack.enter_async_context(Stage(house, everybody, month))
        link = Link(await stack.enter_async_context(open_client()), MemoryTokenStore())
        repeats = Repeats(stage.database, link, POLICY, seed)
        drill = Drill(house, stage, Crowd(stage, ACCOUNT, seed), repeats, Stillness(house, seed), seed, kills)
        drill.say(f"Tandem runs at {house.api_url}; {payees} payees, {month:%Y-%m}, {runs} runs")
        await stage.prepare(runs)
        previews = [await stage.preview(number) for number in range(1, runs + 1)]
        calm = [await computed(stage, each) for each in previews]
        drill.say(f"in calm it comes to {calm[0].total_minor / 100:,.2f} for {len(calm[0].earned)} payees")
        await stage.sim("PUT", "/faults", json={"rules": faults(payees)})
        done: list[Run] = []
        async with _beside(drill.crowd.live()):
            for number in range(1, runs + 1):
                done.append(await drill.run(number, calm[number - 1]))
                wrong = sum(len(bad) for _, _, bad in done[-1].claims)
                drill.say(f"run {number}: {len(done[-1].blows)} kills, {wrong} departures, {done[-1].took_s:.0f} s")
        struck = (await stage.sim("GET", "/faults"))["rules"]
        claims = [
            of_journal(await stage.trial_balance(), done[-1].facts.moved),
            ("WeChat Pay took no transfer that nobody here knows", 1, await strangers(stage)),
            ("every fault struck", len(struck), spared(struck)),
            ("parts done again say nothing unexpected", 1, repeats.surprises),
            ("the audit chain verifies", 1, await audit_findings(house)),
            ("no bug in the logs, no answer that a client should never get", 1, [*bugs(house), *stage.surprises]),
        ]
        if kills and not repeats.done:
            claims.append(("parts were done again", 1, ["none was"]))
    if house.leftovers or house.exit_code != 0:
        claims.append(("it stops as asked", 1, [f"exit code {house.exit_code}, left behind {house.leftovers}"]))
    _show_runs(done)
    _show_trouble(drill, struck, done)
    return _told(drill, [*_together(done), *claims])


@asynccontextmanager
async def _beside(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """What goes on meanwhile; one that broke breaks it all."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        broken = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in broken:
        task.result()


def _last_month() -> date:
    """The first day of the last whole month in Shanghai."""
    today = (datetime.now(UTC) + timedelta(hours=8)).date()
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


def _together(runs: Sequence[Run]) -> list[Claim]:
    """The claims of all runs, each once."""
    found: dict[str, tuple[int, list[str]]] = {}
    for run in runs:
        for claim, of, bad in run.claims:
            count, known = found.get(claim, (0, []))
            found[claim] = count + of, [*known, *(f"run {run.facts.run}: {each}" for each in bad)]
    return [(claim, of, bad) for claim, (of, bad) in found.items()]


def _show_runs(runs: Sequence[Run]) -> None:
    rows: list[list[object]] = []
    for run in runs:
        facts, back = run.facts, [each.back_after_s or 0.0 for each in run.blows]
        states = [sum(each.state == state for each in facts.payouts) for state in ("paid", "failed", "cancelled")]
        paid = sum(each.amount_minor for each in facts.payouts if each.state == "paid")
        left = sum(facts.settled.earned.values()) - paid
        omitted = sum(each.batch == 1 for each in facts.omitted)
        same = "same" if facts.settled.digest == facts.calm.digest else "OTHER"
        rows.append(
            [
                facts.run,
                len(run.blows),
                round(statistics.median(back), 1) if back else None,
                round(max(back), 1) if back else None,
                f"{(facts.settled.digest or '-')[:10]} {same}",
                len(facts.payouts),
                *states,
                omitted,
                f"{paid / 100:,.2f}",
                f"{left / 100:,.2f}",
                round(run.took_s),
                sum(len(bad) for _, _, bad in run.claims),
            ]
        )
    print("\nruns (sums in yuan, times in seconds)")
    heading = ["run", "kills", "back median", "most", "digest", "payouts", "paid", "failed", "cancelled", "left out"]
    print(table([*heading, "sum paid", "sum left", "took", "wrong"], rows))
    reasons = Counter(each.reason for run in runs for each in run.facts.omitted if each.batch == 1)
    print("left out: " + ", ".join(f"{reason} {times}" for reason, times in sorted(reasons.items())))


def _show_trouble(drill: Drill, struck: Sequence[dict[str, object]], runs: Sequence[Run]) -> None:
    killed = Counter(name for run in runs for blow in run.blows for name in blow.names)
    repeats = drill.repeats
    rows: list[list[object]] = [[f"{name} killed", times] for name, times in sorted(killed.items())]
    rows += [["worker held until its parts were given away", drill.stillness.times]]
    rows += [[f"part done again: {name}", times] for name, times in sorted(repeats.done.items())]
    rows += [["part done again, refused: too early, too late, a server away", sum(repeats.refused.values())]]
    rows += [["part done again, died half-way or was too slow", repeats.died]]
    rows += [[f"request repeated: {why}", times] for why, times in drill.stage.repeats.most_common()]
    rows += [[f"payee at WeChat Pay: {event}", times] for event, times in sorted(drill.crowd.ends.items())]
    for rule in struck:
        match = rule["match"]
        api = match["api"] if isinstance(match, dict) else "*"
        rows.append([f"fault {rule['fault']} of {api}", rule["hit"]])
    print("\ntrouble")
    print(table(["what", "times"], rows))


def _told(drill: Drill, claims: Sequence[Claim]) -> int:
    print("\nverdict")
    print(table(["claim", "holds", "of"], [[claim, max(of - len(bad), 0), of] for claim, of, bad in claims]))
    exceptions = [f"{claim}: {each}" for claim, _, bad in claims for each in bad]
    for exception in exceptions[:40]:
        print(f"EXCEPTION {exception}")
    took_s = time.monotonic() - drill.began
    if exceptions:
        print(f"\nFAILED ({len(exceptions)}) in {took_s:.0f} s; data and logs stay in {drill.house.data_dir}")
        return 1
    drill.house.forget()
    print(f"\nPASSED in {took_s:.0f} s")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.payouts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="how many months are settled and paid (default 10)")
    parser.add_argument("--payees", type=int, default=1_000, help="how many payees (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another story")
    parser.add_argument("--no-kills", action="store_true", help="only the rail and its payees fail")
    chosen = parser.parse_args()
    # The parts that are done again here log as those of the house do, which has files for it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return asyncio.run(prove(chosen.runs, chosen.payees, chosen.seed, kills=not chosen.no_kills))
    except HouseProblem as problem:
        print(problem)
        return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The Temporal client's threads may abort an interpreter that ends in the ordinary way.
    os._exit(code)
