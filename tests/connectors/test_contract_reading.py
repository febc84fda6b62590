"""The table's checks of what every connector that reads lists must do whatever the platform."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import Event, rfc3339
from domain.problems import ProblemError
from simulator import trade
from tests.connectors.case import Case
from tests.connectors.cases import CASES
from tests.connectors.harness import CONNECTORS, Outside, connector
from tests.connectors.pulls import events_of, pull_all

PULLING = tuple(case for case in CASES if hasattr(CONNECTORS[case.platform].client, "streams"))


SENDING = tuple(case for case in PULLING if case.parcels)


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


def test_every_platform_that_is_told_parcels_tells_them() -> None:
    shipping = {name.removesuffix(".ship_order") for name in CATALOG if name.endswith(".ship_order")}
    assert {case.platform for case in SENDING} == (shipping - {"erp"}) | {"youzan"}


@pytest.mark.parametrize("case", SENDING, ids=lambda case: case.platform)
async def test_the_parcel_of_an_order_is_told_once_and_as_of_when_it_was_sent(world: Outside, case: Case) -> None:
    # Later, so that what was made a moment ago is listed already.
    now = datetime.now(UTC) + timedelta(minutes=3)
    account, state = await world.account(case.platform), world.sim.app.state.world
    client = connector(case.platform).open(account, replace(world.link, now=lambda: now))
    stream = next(each.name for each in client.streams if each.name.startswith("order"))

    async def told() -> list[Event]:
        records, _ = await pull_all(client, stream, now - timedelta(minutes=15), until=now + timedelta(minutes=5))
        return [event for event in events_of(records, account) if event.type == "tandem.shipment.updated"]

    waits = trade.pay(state, trade.place_order(state, account.slug))
    sent = trade.ship(state, trade.pay(state, trade.place_order(state, account.slug)), "SF1234567890123")
    (parcel,) = (each for each in await told() if each.data["order_id"] in (waits.id, sent.id))
    assert [parcel.data[name] for name in ("order_id", "waybill", "state")] == [sent.id, "SF1234567890123", "shipped"]
    assert sent.shipped_at is not None
    assert datetime.fromisoformat(parcel.data["occurred_at"]) == sent.shipped_at.replace(microsecond=0)
    trade.complete(state, sent)
    (again,) = (each for each in await told() if each.data["order_id"] == sent.id)
    assert (again.id, again.data["version"]) == (parcel.id, parcel.data["version"]), "an order that is told once more"
