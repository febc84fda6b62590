"""The judge of `make journeys` counts runs and messages of each person, holds the read model against Temporal and asks
that faults struck and whoever was killed came back."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage.runs import RunRow
from tests.chaos.house import House
from tests.chaos.killer import Blow, Killer
from tests.journeys.crowd import Person
from tests.journeys.quick import JOURNEYS, PATCH
from tests.journeys.verdict import Account, Executions, departures, of_people, spared, told

AT = datetime(2026, 11, 1, tzinfo=UTC)


def row(name: str, number: str, *, waits: bool = False, started: bool = True) -> RunRow:
    return RunRow(
        id=number,
        namespace="journeys",
        name=name,
        version="1.0.0",
        digest="",
        subject="",
        subjects=[],
        listens=[],
        phase="waiting" if waits else "completed",
        started_by="trigger",
        input_digest="",
        created_at=AT,
        hears_from=AT,
        started_at=AT if started else None,
        ended_at=None if waits else AT,
    )


def account(*rows: RunRow) -> Account:
    waiting = frozenset(each.id for each in rows if each.ended_at is None)
    return Account({}, {"somebody": rows}, [], Counter(), {}, {}, waiting)


ROWS = tuple(row(name, f"{name}-{state}", waits=state == "waits") for name in JOURNEYS for state in ("left", "waits"))
TEMPORAL: Mapping[str, Executions] = {
    name: Executions(frozenset({f"{name}-left", f"{name}-waits"}), frozenset({f"{name}-left"})) for name in JOURNEYS
}
RUN_OUT = TEMPORAL["run-out"]


def found(*rows: RunRow, **temporal: Executions) -> list[str]:
    changed = {name.replace("_", "-"): each for name, each in temporal.items()}
    return departures(account(*rows), {**TEMPORAL, **changed})


def test_what_is_all_right_is_not_complained_of() -> None:
    assert found(*ROWS) == []


def test_a_run_that_the_read_model_lost_is_a_complaint() -> None:
    without = [each for each in ROWS if each.id != "run-out-left"]
    assert "run-out: run-out-left began in Temporal and is not recorded" in found(*without)
    without = [each for each in ROWS if each.id != "run-out-waits"]
    assert "run-out: 2 entered, 1 left, 0 wait in the read model" in found(*without)


def test_a_run_that_temporal_never_had_is_a_complaint_unless_it_was_called_off_before() -> None:
    assert found(*ROWS, row("run-out", "other")) == ["run-out: other is recorded and never began in Temporal"]
    assert found(*ROWS, row("run-out", "other", started=False)) == []
    assert found(*ROWS, row("run-out", "other", waits=True, started=False))


def test_an_end_that_only_one_of_them_knows_is_a_complaint() -> None:
    ended = Executions(RUN_OUT.begun, RUN_OUT.begun)
    assert "run-out: run-out-waits is closed in Temporal and waits in the read model" in found(*ROWS, run_out=ended)
    running = Executions(RUN_OUT.begun, frozenset())
    assert "run-out: run-out-left runs in Temporal and has ended in the read model" in found(*ROWS, run_out=running)


def test_a_journey_that_nobody_entered_is_a_complaint() -> None:
    nobody = Executions(frozenset(), frozenset())
    others = [each for each in ROWS if each.name != "run-out"]
    assert found(*others, run_out=nobody) == ["run-out: nobody ever entered"]


async def test_a_server_that_stayed_away_and_a_killer_that_broke_are_complaints() -> None:
    killer = Killer(House(), [], time.monotonic(), 7)
    assert killer.findings(None) == ["nobody was killed"]
    killer.blows += [Blow(5.0, ("worker",), None, 3.0), Blow(11.0, ("Temporal", "api"), None)]
    away = "Temporal, api, killed at 11 s, did not come back"
    assert killer.findings(None) == [away]
    assert killer.findings(OSError("no such process")) == ["the killer broke: OSError: no such process", away]
    assert killer.findings(asyncio.CancelledError()) == ["the killer broke: CancelledError: ", away]


def person(number: int) -> Person:
    """In `run-out`: 0 does nothing, 1 buys again, 3 turns out to be two, 7 is silenced."""
    return Person("run-out", number, f"c{number}", f"u{number}", f"x{number}")


PEOPLE = tuple(person(number) for number in (0, 1, 3, 7))
QUIET, BUYER, TWO, SILENCED = (each.name for each in PEOPLE)
RUNS: Mapping[str, Sequence[RunRow]] = {each.name: [row("run-out", each.name)] for each in PEOPLE}
RIGHT = Account(
    {},
    RUNS,
    [],
    Counter({QUIET: 1, TWO: 1}),
    {QUIET: [AT], TWO: [AT]},
    {SILENCED: AT},
    frozenset(),
)
ENTERED, AGREE, ONE, LATE = (
    "everybody entered once for their cause",
    "sends at the simulator = sends recorded",
    "one message to whom it is for, none to others",
    "no message after somebody was silenced",
)


def broken(judged: Account) -> set[str]:
    return {claim for claim, _, bad in of_people(PEOPLE, judged) if bad}


def sent(*messages: tuple[str, datetime]) -> Account:
    """What is right, and these messages beside."""
    recorded: dict[str, list[datetime]] = {name: list(times) for name, times in RIGHT.recorded.items()}
    for name, at in messages:
        recorded.setdefault(name, []).append(at)
    return replace(RIGHT, sent=Counter({name: len(times) for name, times in recorded.items()}), recorded=recorded)


def test_a_crowd_that_was_served_once_is_not_complained_of() -> None:
    assert broken(RIGHT) == set()
    before = AT - timedelta(seconds=1)
    assert broken(sent((SILENCED, before))) == set(), "who was written to before they were silenced"
    two = replace(RIGHT, runs={**RUNS, TWO: [row("run-out", "a"), row("run-out", "b")]})
    assert broken(two) == set(), "two who turn out to be one may both have entered"


@pytest.mark.parametrize(
    ("judged", "claims"),
    [
        (sent((QUIET, AT)), {ONE}),
        (sent((BUYER, AT)), {ONE}),
        (sent((SILENCED, AT)), {ONE, LATE}),
        (replace(RIGHT, sent=Counter({TWO: 1}), recorded={TWO: [AT]}), {ONE}),
        (replace(RIGHT, sent=Counter({QUIET: 2, TWO: 1})), {AGREE, ONE}),
        (replace(RIGHT, recorded={QUIET: [AT]}), {AGREE}),
        (replace(RIGHT, sent=RIGHT.sent + Counter({"run-out to nobody": 1})), {AGREE}),
        (replace(RIGHT, runs={**RUNS, QUIET: []}), {ENTERED}),
        (replace(RIGHT, runs={**RUNS, QUIET: [row("run-out", "a"), row("run-out", "b")]}), {ENTERED}),
    ],
    ids=[
        "one got two",
        "one that bought was reminded",
        "one was written to after they were silenced",
        "one got nothing",
        "a message is not recorded",
        "a record has no message",
        "a stranger was written to",
        "one did not enter",
        "one entered twice",
    ],
)
def test_whoever_got_too_much_or_too_little_is_a_complaint(judged: Account, claims: set[str]) -> None:
    assert broken(judged) == claims


def test_a_run_of_nobody_and_one_that_failed_are_complaints() -> None:
    stray = row("run-out", "stray")
    assert broken(replace(RIGHT, unclaimed=[stray])) == set(), "of a shipped version, from before the drill"
    stray.version = f"1.3{PATCH}"
    assert broken(replace(RIGHT, unclaimed=[stray])) == {ENTERED}
    failed = row("run-out", "failed")
    failed.phase = "faulted"
    assert broken(replace(RIGHT, runs={**RUNS, QUIET: [failed]})) == {"no run failed"}


def fault(seen: int, hit: int, probability: float = 0.01) -> dict[str, Any]:
    return {"fault": "busy", "match": {"api": "*"}, "seen": seen, "hit": hit, "probability": probability}


def test_a_fault_that_struck_nobody_is_a_complaint_unless_few_came_by() -> None:
    assert spared([fault(1_000, 9), fault(100, 0)]) == []
    assert spared([fault(1_000, 0)]) == ["busy of * met 1000 and struck nobody"]
    assert spared([fault(0, 0)]) == ["busy of * met 0 and struck nobody"]
    assert spared([]) == ["no fault was set"]


def test_only_a_run_that_a_suppression_ended_may_leave_an_effect_that_nobody_knows_of() -> None:
    suppressed, completed = row("third-order", "suppressed"), row("third-order", "completed")
    suppressed.output, completed.output = {"result": "suppressed"}, {"result": "sent"}
    assert told(account(suppressed, completed), ["suppressed", "completed", "elsewhere"]) == ["suppressed"]
    assert told(account(suppressed, completed), []) == [], "what is not listed is not told"
