"""Every case of the language on the virtual clock."""

from datetime import timedelta

import pytest

from domain.catalog import CATALOG
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import Scenario, TimedEvent, dry_run
from domain.dsl.program import Program
from domain.events import Event
from tests.dsl.case import Answers, Case, all_cases, check


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_case_ends_as_it_says(case: Case) -> None:
    definition = parse_definition(case.text)
    events = tuple(
        TimedEvent(
            timedelta(seconds=event["after"]),
            Event.model_validate(
                {"id": str(number), "source": "/case", **{key: event[key] for key in event if key != "after"}}
            ),
        )
        for number, event in enumerate(case.events)
    )
    answers = Answers(case)
    children = [parse_definition(text) for text in case.other_texts]
    scenario = Scenario(
        input=case.input,
        events=events,
        subject="case:1",
        perform=lambda request: answers.of(request.call.name),
        flows={f"{each.namespace}/{each.name}": Program(each.flow, each.data) for each in children},
    )
    result = dry_run(Program(definition.flow, definition.data), CATALOG, scenario)
    check(case, result.status, result.output, result.error, result.tasks)
    if case.took is not None:
        assert result.virtual_s == pytest.approx(case.took, abs=0.01)
    if case.called is not None:
        assert [call["call"] for call in result.calls] == case.called
    if case.calls is not None:
        assert [{"call": call["call"], "arguments": call["arguments"]} for call in result.calls] == case.calls
    if case.emitted is not None:
        assert [event["type"] for event in result.emitted] == case.emitted
