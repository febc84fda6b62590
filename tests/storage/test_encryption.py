import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from domain.access import Scope
from domain.problems import ConfigurationProblem, RuntimeProblem
from storage.customer_tags import CustomerTags
from storage.encryption import Keyring
from storage.engine import Database
from storage.rekey import rekey
from storage.secrets import Secrets
from storage.suppressions import Suppressions
from storage.unit_of_work import UnitOfWork
from tests.people import add_customers

OLD, NEW = b"1" * 32, b"2" * 32


@given(st.binary(max_size=200), st.text(max_size=30))
def test_what_goes_in_comes_out_and_never_looks_the_same(plaintext: bytes, context: str) -> None:
    keyring = Keyring({"k1": OLD})
    stored = keyring.encrypt(plaintext, context)
    assert keyring.decrypt(stored, context) == plaintext
    assert stored != keyring.encrypt(plaintext, context)
    assert len(plaintext) < 8 or plaintext not in stored


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_an_altered_value_is_never_read(place: int, change: int) -> None:
    keyring = Keyring({"k1": OLD})
    stored = bytearray(keyring.encrypt(b"13800000000", "customers.phone"))
    stored[place % len(stored)] ^= change
    with pytest.raises((RuntimeProblem, ConfigurationProblem)):
        keyring.decrypt(bytes(stored), "customers.phone")


def test_a_value_cannot_move_to_another_column() -> None:
    keyring = Keyring({"k1": OLD})
    with pytest.raises(RuntimeProblem, match=r"accounts\.settings"):
        keyring.decrypt(keyring.encrypt(b"secret", "accounts.credentials"), "accounts.settings")


def test_the_first_key_writes_and_all_of_them_read() -> None:
    before, during, after = Keyring({"k1": OLD}), Keyring({"k2": NEW, "k1": OLD}), Keyring({"k2": NEW})
    assert during.decrypt(before.encrypt(b"x", "a.b"), "a.b") == b"x"
    assert after.decrypt(during.encrypt(b"x", "a.b"), "a.b") == b"x"
    with pytest.raises(ConfigurationProblem, match="k1"):
        after.decrypt(before.encrypt(b"x", "a.b"), "a.b")


def test_a_key_under_a_wrong_value_is_noticed() -> None:
    with pytest.raises(RuntimeProblem):
        Keyring({"k1": NEW}).decrypt(Keyring({"k1": OLD}).encrypt(b"x", "a.b"), "a.b")


@pytest.mark.parametrize("keys", [{}, {"k1": b"short"}, {"k 1": OLD}, {"": OLD}])
def test_a_bad_keyring_is_refused_without_showing_it(keys: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationProblem, match="TANDEM_FIELD_KEYS") as refusal:
        Keyring(keys)
    assert "short" not in str(refusal.value.problem.as_dict())


async def test_no_plaintext_reaches_the_table_and_an_old_key_can_go(database_url: str) -> None:
    before = Database(database_url, Keyring({"k1": OLD}))
    async with UnitOfWork(before) as work:
        for number in range(3):
            await Secrets(work).set(f"youzan_{number}", {"app_secret": "in-the-clear"}, "li")
    await before.close()
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT value FROM secrets")
        assert all(b"in-the-clear" not in bytes(value) for (value,) in await cursor.fetchall())

    during = Database(database_url, Keyring({"k2": NEW, "k1": OLD}))
    async with UnitOfWork(during) as work:
        await Secrets(work).set("written_during", "new", "li")
    assert await rekey(during) == {"secrets.value": 3}
    assert await rekey(during) == {}
    await during.close()

    after = Database(database_url, Keyring({"k2": NEW}))
    async with UnitOfWork(after) as work:
        assert await Secrets(work).find("youzan_2") == {"app_secret": "in-the-clear"}
        assert await Secrets(work).find("written_during") == "new"
    await after.close()


async def test_what_people_write_about_customers_is_sealed_also_what_they_wrote_before_it_was(
    database_url: str,
) -> None:
    database = Database(database_url, Keyring({"k1": OLD}))
    async with UnitOfWork(database) as work:
        ((customer, identity),) = await add_customers(work, 1)
        await CustomerTags(work).mark(identity, "断粮", "exclude", "manual", "li", "宠物走失")
        await CustomerTags(work).mark(identity, "高价值", "add", "manual", "li", "门店老客")
        await Suppressions(work).silence([identity], None, "家中有丧事", "li", None)
    plain = "UPDATE {} SET {column} = decode('00', 'hex') || convert_to('从前写的', 'UTF8') WHERE {}"
    async with UnitOfWork(database) as work:
        # As 0070 of the schema left it.
        for table, column, where in (("tag_marks", "reason", "kind = 'add'"), ("suppressions", "note", "true")):
            await work.session.execute(text(plain.format(table, where, column=column)))
        (sealed,) = await work.session.scalars(text("SELECT reason FROM tag_marks WHERE kind = 'exclude'"))
        assert "宠物走失".encode() not in bytes(sealed)
        told = {mark.kind: mark.reason for mark in await CustomerTags(work).marks(customer)}
        assert told == {"exclude": "宠物走失", "add": "从前写的"}
        (row,) = await Suppressions(work).of(customer, Scope.everything())
        assert row.note == "从前写的"
    assert await rekey(database) == {"suppressions.note": 1, "tag_marks.reason": 1}
    async with UnitOfWork(database) as work:
        stored = await work.session.scalars(
            text("SELECT reason FROM tag_marks UNION ALL SELECT note FROM suppressions")
        )
        assert not any("从前写的".encode() in bytes(each) for each in stored)
        assert {mark.reason for mark in await CustomerTags(work).marks(customer)} == {"宠物走失", "从前写的"}
    await database.close()


def test_no_other_column_is_read_without_a_key() -> None:
    keyring = Keyring({"k1": OLD})
    assert keyring.decrypt(b"\x00" + "老客".encode(), "tag_marks.reason").decode() == "老客"
    with pytest.raises(RuntimeProblem, match=r"orders\.buyer"):
        keyring.decrypt(b'\x00{"phone": "13800000000"}', "orders.buyer")
