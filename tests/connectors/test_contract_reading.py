"""The table's checks of what every connector that reads lists must do whatever the platform."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import rfc3339
from domain.problems import ProblemError
from tests.connectors.case import Case
from tests.connectors.cases import CASES
from tests.connectors.harness import CONNECTORS, Outside
from tests.connectors.pulls import events_of, pull_all

PULLING = tuple(case for case in CASES if hasattr(CONNECTORS[case.platform].client, "streams"))


@pytest.fixture(params=PULLING, ids=lambda case: case.platform)
def pulling(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


async def test_every_stream_is_read_to_its_end_and_no_further(world: Outside, pulling: Case) -> None:
    client, account = await world.open(pulling.platform), await world.account(pulling.platform)
    await pulling.subject(world)
    for stream in client.streams:
        since = datetime.now(UTC) - timedelta(hours=2)
        records, position = await pull_all(client, stream.name, since)
        assert {event.type for event in events_of(records, account)} <= set(KNOWN_EVENT_TYPES)
        # Nothing has changed: whatever comes again is known by its key.
        again, _ = await pull_all(client, stream.name, cursor=position)
        assert {record.dedupe_key for record in again} <= {record.dedupe_key for record in records}


async def test_a_stream_that_is_none_is_refused(world: Outside, pulling: Case) -> None:
    client = await world.open(pulling.platform)
    with pytest.raises(ProblemError, match="no such stream"):
        await client.pull("no such stream", {}, datetime.now(UTC))


@pytest.mark.parametrize("fault", ["429", "5xx", "quota", "concurrency", "busy"])
async def test_a_reading_that_is_turned_away_for_now_is_tried_again(world: Outside, pulling: Case, fault: str) -> None:
    client = await world.open(pulling.platform)
    await world.break_things({"match": {"platform": pulling.platform}, "fault": fault})
    since = {"since": rfc3339(datetime.now(UTC) - timedelta(hours=2))}
    for stream in client.streams:
        with pytest.raises(ProblemError) as refusal:
            await client.pull(stream.name, since, datetime.now(UTC))
        assert refusal.value.problem.as_dict()["retryable"] is True, stream.name
