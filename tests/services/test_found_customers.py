"""Looking for a customer: by whatever is known of them, within one's scope, and no wider."""

from typing import Any

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.canonical.keys import IdentityKey
from domain.problems import ValidationProblem
from services.customer_search import CustomerSearch, Wanted
from services.identities import IdentityService, Sighting
from services.tag_book import StoredTags
from storage.encryption import Keyring
from storage.engine import Database
from storage.identities import Identities
from storage.interactions import InteractionRow
from storage.nickname_digests import digest_anew, name_digests
from storage.orders import OrderRow
from storage.paging import PageRequest
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
    assert await _found(database, SUPERVISOR, nickname="张三丰") == []
    assert await digest_anew(database) == 1
    newer = Database(database_url, Keyring({"k2": b"2" * 32, "k1": b"1" * 32}))
    assert await _found(newer, SUPERVISOR, nickname="张三丰") == [person.customer]
    await rekey(newer)
    await newer.close()
    only = Database(database_url, Keyring({"k2": b"2" * 32}))
    assert await _found(only, SUPERVISOR, nickname="张三丰") == [person.customer]
    await only.close()


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
