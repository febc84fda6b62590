"""Looking for a customer: by whatever is known of them, within one's scope, and no wider."""

from typing import Any

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.canonical.announcing import announce
from domain.canonical.keys import IdentityKey
from domain.canonical.records import parse_record
from domain.problems import ValidationProblem
from services.customer_search import CustomerSearch, Wanted
from services.identities import IdentityService, Sighting
from services.intake import Arrival, Intake
from services.tag_book import StoredTags
from storage.encryption import Keyring
from storage.engine import Database
from storage.erasing import Erasing
from storage.identities import Identities
from storage.interactions import InteractionRow
from storage.nickname_digests import digest_anew, name_digests
from storage.orders import OrderRow
from storage.paging import PageRequest
from storage.profile import Profiles
from storage.rekey import rekey
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_profiles import ELSEWHERE, NOW, PHONE, QUESTIONS, SCOPES, SUPERVISOR, _found, a_person


@pytest.mark.parametrize(("wanted", "name"), QUESTIONS)
async def test_a_customer_is_found(database: Database, wanted: dict[str, str], name: str) -> None:
    person = await a_person(database)
    assert await _found(database, an_actor("r", Role.AGENT, scope=SCOPES[name][0]), **wanted) == [person.customer]
    for scope in ELSEWHERE:
        assert await _found(database, an_actor("r", Role.AGENT, scope=scope), **wanted) == []


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({"order": "E1"}, "the corp"),
        ({"nickname": "张三丰"}, "the shop"),
        ({"nickname": "张三"}, "everything"),
        ({"nickname": "小张"}, "the corp"),
        ({"phone": "13900139000"}, "everything"),
        ({"tag": "none"}, "everything"),
    ],
)
async def test_nobody_is_found(database: Database, wanted: dict[str, str], name: str) -> None:
    await a_person(database)
    assert await _found(database, an_actor("r", Role.AGENT, scope=SCOPES[name][0]), **wanted) == []


async def test_a_question_is_one_thing_and_a_whole_number(database: Database) -> None:
    for wrong in ({}, {"phone": PHONE, "order": "E1"}, {"phone": "138****8000"}, {"nickname": " "}):
        with pytest.raises(ValidationProblem):
            await _found(database, SUPERVISOR, **wrong)


async def test_names_are_found_under_a_new_key(database: Database, database_url: str) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE interactions SET names = NULL"))
        await work.session.execute(text("UPDATE orders SET names = NULL"))
    for name in ("张三丰", "小张"):
        assert await _found(database, SUPERVISOR, nickname=name) == []
    assert await digest_anew(database) == {"interactions.names": 1, "orders.names": 1}
    assert await digest_anew(database) == {}
    newer = Database(database_url, Keyring({"k2": b"2" * 32, "k1": b"1" * 32}))
    for name in ("张三丰", "小张"):
        assert await _found(newer, SUPERVISOR, nickname=name) == [person.customer]
    rewritten = await rekey(newer)
    assert (rewritten["interactions.names"], rewritten["orders.names"]) == (1, 1)
    await newer.close()
    only = Database(database_url, Keyring({"k2": b"2" * 32}))
    for name in ("张三丰", "小张"):
        assert await _found(only, SUPERVISOR, nickname=name) == [person.customer]
    await only.close()


async def bought(database: Database, account_id: str, number: str, nickname: str | None, version: int = 1) -> None:
    """Take in an order of a buyer called so."""
    platform, _, account = account_id.partition("/")
    data: dict[str, Any] = {
        "platform": platform, "account": account, "version": version, "order_id": number, "status": "paid",
        "paid_minor": 100, "occurred_at": NOW.isoformat(),
        "buyer": {"buyer_id": f"buyer-{number}", **({"nickname": nickname} if nickname else {})},
    }  # fmt: skip
    event = announce(parse_record("order", data, platform=platform, account=account, received_at=NOW), NOW)
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(event, NOW)])


async def test_a_buyer_is_found_by_the_nickname_under_which_they_bought(database: Database) -> None:
    await bought(database, "taobao/a", "T1", "旺旺小猫")
    (found,) = await _found(database, SUPERVISOR, nickname="旺旺 小猫")
    assert await _found(database, SUPERVISOR, key="buyer/taobao/buyer-T1") == [found]
    for shop, seen in (("taobao/a", [found]), ("taobao/b", [])):
        actor = an_actor("a", Role.AGENT, scope=Scope.of_accounts(shop))
        assert await _found(database, actor, nickname="旺旺小猫") == seen
    await bought(database, "taobao/a", "T1", "新的名字", version=3)
    await bought(database, "taobao/a", "T1", "更老的名字", version=2)
    assert await _found(database, SUPERVISOR, nickname="新的名字") == [found]
    for older in ("旺旺小猫", "更老的名字"):
        assert await _found(database, SUPERVISOR, nickname=older) == [], "as the order says it now"
    await bought(database, "taobao/a", "T1", "新**", version=4)
    assert await _found(database, SUPERVISOR, nickname="新的名字") == []


async def test_nobody_is_found_by_a_masked_nickname_or_a_consignees_name(database: Database) -> None:
    masked = [("taobao/a", "旺**猫"), ("taobao/a", "旺＊＊"), ("taobao/a", None)]
    for number, (account, name) in enumerate([*masked, ("meituan/a", "王小明"), ("eleme/a", "王小明")]):
        await bought(database, account, f"T{number}", name)
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM orders WHERE names IS NOT NULL")) == 0
    for name in ("旺**猫", "旺**", "王小明"):
        assert await _found(database, SUPERVISOR, nickname=name) == []
    await digest_anew(database)
    assert await _found(database, SUPERVISOR, nickname="王小明") == [], "nor by one that was stored before"


async def test_an_erased_buyer_is_not_found_by_what_their_orders_called_them(database: Database) -> None:
    for number in ("T1", "T2"):
        await bought(database, "taobao/a", number, "旺旺小猫")
    erased, left = await _found(database, SUPERVISOR, nickname="旺旺小猫")
    async with UnitOfWork(database) as work:
        identities = list(await work.session.scalars(text("SELECT id FROM identities")))
        rows = await Identities(work).rows(identities)
        theirs = [each.id for each in rows.values() if each.customer_id == erased]
        await Erasing(work).empty_records(theirs, 10)
    assert await _found(database, SUPERVISOR, nickname="旺旺小猫") == [left]
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM orders WHERE names IS NOT NULL")) == 1


async def test_many_orders_of_one_buyer_leave_room_for_others_of_their_name(database: Database) -> None:
    for number in range(4):
        await bought(database, "taobao/a", f"T{number}", "旺旺小猫")
    async with UnitOfWork(database) as work:
        one = await work.session.scalar(text("SELECT min(identity_id) FROM orders"))
        await work.session.execute(text("UPDATE orders SET identity_id = :one WHERE order_id <> 'T3'"), {"one": one})
        assert len(await Profiles(work).customers_named("旺旺小猫", Scope.everything(), 2)) == 2


async def test_a_phone_that_two_people_share_finds_both(database: Database) -> None:
    phone = IdentityKey("phone", "", PHONE)
    buyers = [IdentityKey("buyer", "taobao", f"tb-{number}") for number in (1, 2)]
    async with UnitOfWork(database) as work:
        sightings = [
            Sighting((each, phone), f"taobao/{place}", f"order:{each.value}", NOW)
            for place, each in zip("ab", buyers, strict=True)
        ]
        owners = (await IdentityService().assign(work, sightings)).customers
        owned = (await Identities(work).find(buyers)).items()
        for number, (key, stored) in enumerate(owned):
            shop = "taobao/a" if key == buyers[0] else "taobao/b"
            work.session.add(
                OrderRow(
                    account_id=shop, order_id=f"S{number}", identity_id=stored.id, version=1, detail_version=1,
                    status="paid", told_at=NOW, recorded_at=NOW,
                )
            )  # fmt: skip
    both = {owners[each] for each in buyers}
    assert both <= set(await _found(database, SUPERVISOR, phone="13800138000"))
    assert both <= set(await _found(database, SUPERVISOR, key=f"phone//{PHONE}"))
    one = an_actor("a", Role.AGENT, scope=Scope.of_accounts("taobao/a"))
    assert await _found(database, one, phone=PHONE) == [owners[buyers[0]]]


async def test_many_of_one_name_are_paged_through(database: Database) -> None:
    async with UnitOfWork(database) as work:
        keys = [IdentityKey("external_userid", "wecom/main", f"wm-{number}") for number in range(5)]
        seen = [Sighting((key,), "wecom/main", f"contact:{key.value}", NOW) for key in keys]
        stored = await IdentityService().assign(work, seen)
        named = name_digests(database.keyring, {"name": "微信用户"})
        fixed: dict[str, Any] = {"account_id": "wecom/main", "unit_path": "/west/", "kind": "contact", "version": 1}
        work.session.add_all(
            InteractionRow(
                **fixed,
                recorded_at=NOW,
                occurred_at=NOW,
                key=key.value,
                identity_id=stored.identities[key],
                names=named,
            )
            for key in keys
        )
    search, found, cursor = CustomerSearch(database, StoredTags()), [], None
    for _ in range(3):
        page = await search.find(SUPERVISOR, Wanted(nickname="微信用户"), PageRequest(2, cursor))
        found += [each.customer for each in page.items]
        cursor = page.next_cursor
    assert cursor is None
    assert sorted(found) == sorted(set(stored.customers.values()))
