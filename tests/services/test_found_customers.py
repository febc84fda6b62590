"""Looking for a customer: by whatever is known of them, within one's scope, and no wider."""

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.canonical.keys import IdentityKey
from domain.problems import ValidationProblem
from services.identities import IdentityService, Sighting
from storage.encryption import Keyring
from storage.engine import Database
from storage.identities import Identities
from storage.nickname_digests import digest_anew
from storage.orders import OrderRow
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
