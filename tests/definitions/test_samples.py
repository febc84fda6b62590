"""The sample definitions: clean, complete, and the ninety days in no time."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from domain.catalog import CATALOG
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import Scenario, TimedEvent, dry_run
from domain.dsl.lint import lint
from domain.dsl.program import Program
from domain.events import Event

FILES = sorted(Path("definitions").rglob("*.yaml"))
ORDER = [{"data": {"external_userid": "wm1", "order_id": "O1"}}]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_sample_has_neither_errors_nor_warnings(file: Path) -> None:
    findings = [found for found in lint(file.read_text(encoding="utf-8")) if found.severity != "info"]
    assert findings == []


def ninety_days(*events: TimedEvent) -> object:
    definition = parse_definition(Path("definitions/care/ninety-days.yaml").read_text(encoding="utf-8"))
    scenario = Scenario(input=ORDER, events=events, subject="customer:wm1")
    return dry_run(Program(definition.flow, definition.data), CATALOG, scenario).output


def test_a_silent_customer_gets_every_reminder_of_the_season() -> None:
    output = ninety_days()
    assert isinstance(output, dict)
    assert output["result"] == "season-over"
    assert output["reminders"] >= 4


def test_a_late_purchase_ends_the_season_in_under_a_second() -> None:
    bought = Event(id="1", source="/shop", type="tandem.order.paid", data={"external_userid": "wm1", "order_id": "O2"})
    started = time.process_time()
    assert ninety_days(TimedEvent(timedelta(days=40), bought)) == {"result": "repurchased", "order_id": "O2"}
    assert time.process_time() - started < 5


def test_who_asks_to_be_left_alone_is_not_waited_for() -> None:
    def silenced(data: dict[str, str | None]) -> TimedEvent:
        told = Event(id="1", source="/tandem", type="tandem.customer.suppressed", data=data)
        return TimedEvent(timedelta(days=20), told)

    assert ninety_days(silenced({"item_id": None, "reason": "manual"})) == {"result": "suppressed", "reason": "manual"}
    assert ninety_days(silenced({"item_id": "1", "reason": "refund"})) == ninety_days(), "of these goods only"
