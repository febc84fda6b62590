"""A corp's contacts as they are read: all of them page by page, one by one, and what callbacks tell of them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.lookups import KnownContact
from connectors.webhooks import Verified
from connectors.wecom.contacts import EVERY
from domain.canonical import ContactData, ScanData, keys_of
from domain.events import Event
from domain.problems import ProblemError
from tests.connectors.harness import Outside, connector
from tests.connectors.pulls import events_of, pull_all


async def do(world: Outside, customer: str, does: str, **more: Any) -> dict[str, Any]:
    done: dict[str, Any] = await world.sim.admin(
        "POST", "/doings", json={"customer_id": customer, "does": does, **more}
    )
    return done


async def told(world: Outside, count: int = 1) -> list[Event]:
    """The events of the newest callbacks."""
    account = await world.account("wecom")
    requests = await world.pushes("wecom", count)
    verified = [connector("wecom").verify(request, account) for request in requests]
    return events_of(verified, account)


def contact(event: Event) -> ContactData:
    return ContactData.model_validate(event.data)


async def test_every_contact_is_listed_with_the_keys_that_tell_them_apart(world: Outside) -> None:
    sim = world.sim.app.state.world
    records, _ = await pull_all(await world.open("wecom"), "contacts")
    events = events_of(records, await world.account("wecom"))
    assert {event.type for event in events} == {"tandem.contact.listed"}
    read = {contact(event).external_userid: contact(event) for event in events}
    living = [row for row in sim.contacts if not row.deleted]
    assert len(events) == len(living) > 20
    for row in living:
        customer, found = sim.customers.get(row.customer_id), read[row.id]
        assert (found.unionid, found.userid, found.state or "") == (customer.unionid, row.userid, row.state)
        assert found.phones == ((row.remark_mobile,) if row.remark_mobile else ())
        assert {key.kind for key in keys_of(found)} >= {"unionid", "external_userid"}
    assert any(found.phones for found in read.values())
    assert all(event.time == contact(event).occurred_at for event in events), "a corp's past sets nothing in motion"


async def test_a_list_of_many_pages_has_everybody_once_and_is_read_once_in_a_while(world: Outside) -> None:
    sim = world.sim.app.state.world
    person, row = next(iter(sim.customers)), next(iter(sim.contacts))
    for number in range(260):
        name = f"wmExtra{number:04d}"
        sim.customers.put(person.replaced(id=name, external_userid=name, unionid=f"oExtra{number}"))
        sim.contacts.put(row.replaced(id=name, customer_id=name))
    client = await world.open("wecom")
    records, position = await pull_all(client, "contacts")
    ids = [contact(event).external_userid for event in events_of(records, await world.account("wecom"))]
    assert sorted(ids) == sorted(row.external_userid for row in sim.contacts)
    rested = await client.pull("contacts", position, datetime.now(UTC))
    assert (rested.records, rested.more, rested.cursor) == ((), False, position)
    again = await client.pull("contacts", position, datetime.now(UTC) + EVERY + timedelta(minutes=1))
    assert again.records


async def test_a_cursor_that_the_platform_forgot_begins_its_members_anew(world: Outside) -> None:
    client = await world.open("wecom")
    page = await client.pull("contacts", {"pass": "2026-01-01T00:00:00.000Z", "page": "gone.40"}, datetime.now(UTC))
    assert len(page.records) > 20


async def test_a_contact_is_read_for_all_who_have_them_and_for_whom_not_any_more(world: Outside) -> None:
    friend = await world.sim.friend()
    client, account = await world.open("wecom"), await world.account("wecom")
    first = (await client.contacts.read(friend["external_userid"]))[1][0]["userid"]
    second = next(each.userid for each in next(iter(world.sim.app.state.world.corps)).staff if each.userid != first)
    await do(world, friend["id"], "befriend", userid=second, code="counter-7")
    await do(world, friend["id"], "note", userid=second, phone="13912345678")
    await do(world, friend["id"], "tag", userid=second, tag="孕妈", group="人群")
    record = (await client.look_up(friend["external_userid"], KnownContact([first, second, "LeftTheCorp"]))).record
    both = {contact(event).userid: event for event in events_of([record], account)}
    assert {userid: event.type for userid, event in both.items()} == {
        first: "tandem.contact.read",
        second: "tandem.contact.read",
        "LeftTheCorp": "tandem.contact.gone",
    }
    new = contact(both[second])
    assert (new.phones, new.tags, new.state) == (("13912345678",), ("孕妈",), "counter-7")
    assert both[second].time == record.received_at, "what was read for a callback is news"
    await do(world, friend["id"], "unfriend", userid=first)
    await do(world, friend["id"], "unfriend", userid=second, by="staff")
    nobodys = (await client.look_up(friend["external_userid"], KnownContact([first, second], 2**50))).record
    gone = [(event.type, contact(event).userid) for event in events_of([nobodys], account)]
    assert gone == [("tandem.contact.gone", userid) for userid in sorted((first, second))]
    assert contact(events_of([nobodys], account)[0]).version == 2**50 + 1, "whatever the platform's clock says"


async def test_reading_the_same_again_is_the_same_event(world: Outside) -> None:
    friend = await world.sim.friend()
    client, account = await world.open("wecom"), await world.account("wecom")
    first, second = [(await client.look_up(friend["external_userid"], KnownContact())).record for _ in range(2)]
    assert first.dedupe_key != second.dedupe_key
    one, other = events_of([first], account), events_of([second], account)
    assert [event.id for event in one] == [event.id for event in other]
    assert contact(one[0]).version <= contact(other[0]).version


async def test_callbacks_tell_who_came_by_which_code_and_who_left(world: Outside) -> None:
    friend = await world.sim.friend()
    await do(world, friend["id"], "unfriend")
    await do(world, friend["id"], "befriend", code="counter-9")
    await do(world, friend["id"], "tag", tag="孕妈", group="人群")
    await do(world, friend["id"], "unfriend", by="staff")
    events = await told(world, 4)
    by_type = {event.type: event for event in events}
    assert set(by_type) == {
        "tandem.contact.lost",
        "tandem.contact.added",
        "tandem.scan.made",
        "tandem.contact.updated",
        "tandem.contact.removed",
    }
    added, scan = contact(by_type["tandem.contact.added"]), ScanData.model_validate(by_type["tandem.scan.made"].data)
    assert (added.state, scan.code) == ("counter-9", "counter-9")
    assert keys_of(added) == keys_of(scan)


async def test_a_list_dates_a_contact_from_when_they_were_added_last(world: Outside) -> None:
    """Otherwise a lost callback of who came back could not be told from a contact of long ago."""
    friend = await world.sim.friend()
    await do(world, friend["id"], "befriend")
    [added] = await told(world)
    records, _ = await pull_all(await world.open("wecom"), "contacts")
    listed = [contact(event) for event in events_of(records, await world.account("wecom"))]
    mine = next(each for each in listed if each.external_userid == friend["external_userid"])
    assert added.time is not None
    assert mine.occurred_at is not None
    assert abs(mine.occurred_at - added.time) < timedelta(seconds=2)


@pytest.mark.parametrize(
    "change", [{"follow_user": "x"}, {"follow_user": [{"userid": ""}]}, {"external_contact": None}]
)
def test_what_is_no_contact_goes_to_quarantine(change: dict[str, Any]) -> None:
    said = {"external_contact": {"external_userid": "wm1"}, "follow_user": [], "left": []} | change
    record = Verified("contact.read", json.dumps(said).encode(), "k", datetime.now(UTC))
    with pytest.raises(ProblemError):
        connector("wecom").to_events(record, connector("wecom").nobody)


@pytest.mark.parametrize(
    "row", [None, "x", {"external_contact": None}, {"external_contact": {"external_userid": "wm1"}, "follow_info": 5}]
)
async def test_a_row_that_is_no_contact_stops_no_other(world: Outside, row: Any) -> None:
    corp = await world.open("wecom")
    record = await corp.contacts._listed(row, datetime.now(UTC))
    with pytest.raises(ProblemError):
        connector("wecom").to_events(record, connector("wecom").nobody)
