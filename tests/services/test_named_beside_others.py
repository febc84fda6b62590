"""A person who is named beside others: of what is theirs as well only the person is shown, and only the person goes."""

import json
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from domain.accounts import NewAccount
from domain.canonical.keys import IdentityKey
from domain.events import Event
from services.accounts import PlatformAccounts
from services.erasure import ErasureService
from services.export import ExportService
from services.identities import IdentityService, Sighting
from storage.engine import Database
from storage.events import EventRow, Events
from storage.identities import Identities
from storage.inbox import InboxRow
from storage.orders import OrderRow
from storage.runs import RunRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.house import House
from tests.services.test_erasure import ADMIN, OTHER_PHONE, everything, house, worked_off
from tests.services.test_profiles import CONTACT, NOW, PHONE, Person, a_person

__all__ = ["house"]

OPENED, JOINED = "251111-000000000000001", "251111-000000000000002"
OTHER = "0199aa00-0000-7000-8000-0000000000ff"
TILL = "generic/pos"
OTHERS = (
    IdentityKey("phone", "", OTHER_PHONE),
    IdentityKey("openid", TILL, "oOTHER1"),
    IdentityKey("buyer", TILL, "7"),
)
"""Keys of other customers."""


def a_run(name: str, **given: Any) -> RunRow:
    fixed = {"namespace": "brief", "version": "1", "digest": "d", "subject": "", "listens": [], "phase": "completed"}
    told = {"started_by": "x", "input_digest": "", "created_at": NOW, "hears_from": NOW, "ended_at": NOW}
    return RunRow(**{"id": f"flow/brief/{name}/1", "name": name, "subjects": [], **fixed, **told, **given})


async def planted(database: Database) -> Person:
    person = await a_person(database)
    many = {"people": [{"phone": PHONE, "name": "张三丰"}, {"phone": OTHER_PHONE, "name": "李四"}]}
    joined = {"order_id": JOINED, "parent_order_id": OPENED, "buyer": {"buyer_id": "joiner-000001"}, "paid_minor": 990}
    event = Event(
        id="joined",
        source="/pinduoduo/mall",
        type="tandem.order.paid",
        time=NOW,
        subject=f"order:{JOINED}",
        data=joined,
    )
    row = {"order_sn": JOINED, "parent_order_sn": OPENED, "open_uid": "joiner-000001"}
    async with UnitOfWork(database) as work:
        work.session.add(
            OrderRow(
                account_id="pinduoduo/mall", unit_path="/", recorded_at=NOW, version=1, detail_version=1,
                order_id=OPENED, identity_id=person.keys["buyer"], status="paid", created_at=NOW, told_at=NOW,
            )
        )  # fmt: skip
        work.session.add(
            InboxRow(
                platform="pinduoduo", account="mall", dedupe_key="j", kind="x", received_at=NOW, changed_at=NOW,
                state="done", payload=json.dumps(row).encode(),
            )
        )  # fmt: skip
        work.session.add_all(
            [
                a_run("many", input=many),
                a_run("other", input={"told_by": PHONE}, customer=OTHER, subjects=[f"customer:{OTHER}"]),
                a_run("mine", input={"phone": PHONE}),
                a_run("joined", trigger={"data": joined}),
            ]
        )
        await Events(work).add([event])
    async with UnitOfWork(database) as work:
        sightings = [Sighting((each,), "generic/pos", each.value, NOW) for each in OTHERS]
        await IdentityService().assign(work, sightings)
    return person


@pytest.fixture
async def person(house: House, database: Database) -> Person:
    return await planted(database)


async def test_an_export_shows_nobody_else(house: House, database: Database, person: Person) -> None:
    export = await ExportService(database, house.orchestrator).export(ADMIN, person.customer, "本人申请")
    lines = [json.loads(line) async for line in export.lines]
    runs = {each["data"]["name"]: each["data"] for each in lines if each.get("table") == "runs"}
    assert runs["mine"]["input"] == {"phone": PHONE}
    assert runs["many"]["input"] == {"people": [{"phone": PHONE, "name": "张三丰"}]}
    assert "joined" not in runs
    told = json.dumps(lines, ensure_ascii=False)
    for others in (OTHER_PHONE, "李四", "joiner-000001", JOINED):
        assert others not in told, others
    assert OPENED in told


async def test_an_erasure_leaves_what_is_somebody_elses(
    house: House, database: Database, clock: SteppedClock, person: Person
) -> None:
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    async with UnitOfWork(database) as work:
        runs = {row.name: row.input for row in await work.session.scalars(select(RunRow))}
        pushed = await work.session.scalar(select(col(InboxRow.payload)).where(col(InboxRow.dedupe_key) == "j"))
        events = list(await work.session.scalars(select(col(EventRow.event_id))))
    assert runs["many"] == {"people": [{"phone": OTHER_PHONE, "name": "李四"}]}
    assert runs["other"] == {}
    assert "mine" not in runs
    assert "joined" in runs, "who joined a group has their runs still"
    assert pushed is not None
    assert b"joiner-000001" in pushed
    assert events == ["joined"]


async def test_of_lists_in_what_a_run_was_told_only_those_that_name_another_customer_keep_it(
    house: House, database: Database, clock: SteppedClock, person: Person
) -> None:
    await PlatformAccounts(database).connect(
        ADMIN, NewAccount(platform="generic", slug="pos", name="till", credentials={"secret": "x"})
    )
    async with UnitOfWork(database) as work:
        other = (await Identities(work).find(OTHERS))[OTHERS[0]].customer_id
    form = [
        {"name": "手机", "value": "13800138000"},
        {"name": "姓名", "value": "张三丰"},
        {"name": "地址", "value": "杭州市西湖区文三路1号"},
        {"name": "备用手机", "value": "13700137000"},
    ]
    postcode = [*form, {"name": "邮编", "value": "310000"}]
    theirs = (
        {"form": form},
        {"form": postcode},
        {"keys": [CONTACT, "vip-gold"], "name": "张三丰"},
        {"keys": [PHONE, str(person.customer)]},
    )
    named = (
        "13900139000", {"phone": 13900139000}, ["oOTHER1"], str(other), f"customer:{other}", "customer:generic/pos/7",
        "key:buyer/generic/pos/7", JOINED, f"order:{JOINED}",
    )  # fmt: skip
    async with UnitOfWork(database) as work:
        work.session.add(
            OrderRow(
                account_id="pinduoduo/mall", unit_path="/", recorded_at=NOW, version=1, detail_version=1,
                order_id=JOINED, status="paid", created_at=NOW, told_at=NOW,
            )
        )  # fmt: skip
        work.session.add(
            OrderRow(
                account_id=TILL, unit_path="/", recorded_at=NOW, version=1, detail_version=1,
                order_id="310000", status="paid", created_at=NOW, told_at=NOW,
            )
        )  # fmt: skip
        work.session.add_all([a_run(f"theirs-{place}", input=given) for place, given in enumerate(theirs)])
        work.session.add_all(
            [a_run(f"shared-{place}", input={"told": [PHONE, each]}) for place, each in enumerate(named)]
        )
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    await worked_off(house, clock)
    async with UnitOfWork(database) as work:
        runs = {row.name: row.input for row in await work.session.scalars(select(RunRow))}
    assert [name for name in runs if name.startswith("theirs")] == []
    assert "文三路" not in await everything(database)
    for place, each in enumerate(named):
        assert runs[f"shared-{place}"] == {"told": [each]}, each


async def test_a_run_about_a_till_s_buyer_goes_with_them(house: House, database: Database, clock: SteppedClock) -> None:
    buyer, till = IdentityKey("buyer", TILL, "1001"), IdentityKey("openid", TILL, "oPERSON1")
    async with UnitOfWork(database) as work:
        assigned = await IdentityService().assign(work, [Sighting((buyer, till), TILL, "1", NOW)])
        named = buyer.customer_subject
        work.session.add(a_run("till", input={"openid": "oPERSON1"}, customer=f"{TILL}/1001", subjects=[named]))
    await ErasureService(database).erase(ADMIN, assigned.customers[buyer], "本人要求")
    await worked_off(house, clock)
    async with UnitOfWork(database) as work:
        assert list(await work.session.scalars(select(col(RunRow.name)))) == []
