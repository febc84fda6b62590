"""The judge of `make journeys` holds the read model against Temporal, and asks that whoever was killed came back."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from storage.runs import RunRow
from tests.chaos.house import House
from tests.chaos.killer import Blow, Killer
from tests.journeys.quick import JOURNEYS
from tests.journeys.verdict import Account, Executions, departures

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
