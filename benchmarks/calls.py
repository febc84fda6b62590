"""Calls and definitions that exist for measuring only: three steps that do next to nothing, so that what is around
them shows."""

from collections.abc import Mapping

from temporalio import activity

from domain.calls import Arguments, Call, Result
from domain.catalog import CATALOG
from domain.dsl.definition import Definition, parse_definition
from domain.problems import Text
from workflows.messages import REPORT_RUN_ACTIVITY, CallEnvelope, RunReport


class Note(Arguments):
    text: str


class Noted(Result):
    text: str


INSIDE = Call(
    name="bench.inside", title=Text("内部步骤", "An inner step"), input=Note, output=Noted, kind="inside", timeout_s=10
)
OUTSIDE = Call(
    name="bench.outside", title=Text("外部步骤", "An outside step"), input=Note, output=Noted, kind="outside"
)

FLOW_INPUT = {"customer": "customer:42", "order": {"id": "E2026112300001", "amount_minor": 12_900}}


def register_calls() -> None:
    """Make the calls known to this process; doing it twice changes nothing."""
    CATALOG.register(INSIDE, OUTSIDE)


def three_steps(call: Call[Note, Noted]) -> Definition:
    """Three calls in a row, each with an argument from the data, as authors write them."""
    kind = call.name.rpartition(".")[2]
    steps = "\n".join(
        f"  - {name}:\n      call: {call.name}\n      with:\n        text: {text}"
        for name, text in (
            ("first", "${ .order.id }"),
            ("second", "${ .text }"),
            ("third", "${ $workflow.input.customer }"),
        )
    )
    return parse_definition(
        f"document:\n  dsl: '1.0.3'\n  namespace: bench\n  name: three-{kind}\n  version: '1.0.0'\ndo:\n{steps}\n"
    )


WAITING = parse_definition(
    "document:\n  dsl: '1.0.3'\n  namespace: bench\n  name: waiting\n  version: '1.0.0'\n"
    "do:\n  - rest:\n      wait: P30D\n"
)
"""A run that waits for thirty days."""
THREE_INSIDE = three_steps(INSIDE)
THREE_OUTSIDE = three_steps(OUTSIDE)
DEFINITIONS: Mapping[str, Definition] = {each.digest: each for each in (WAITING, THREE_INSIDE, THREE_OUTSIDE)}


@activity.defn(name=INSIDE.name)
async def inside(envelope: CallEnvelope) -> dict[str, str]:
    return {"text": envelope.arguments["text"]}


@activity.defn(name=OUTSIDE.name)
async def outside(envelope: CallEnvelope) -> dict[str, str]:
    return {"text": envelope.arguments["text"]}


@activity.defn(name=REPORT_RUN_ACTIVITY)
async def report(report: RunReport) -> None:
    """The read model, left out: its database is measured elsewhere."""


ACTIVITIES = (inside, outside, report)
