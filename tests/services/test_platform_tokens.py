"""Platform tokens as all processes share them: on the real database, with pools of a real size."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.tokens import Token, TokenCare, TokenName
from domain.accounts import NewAccount
from domain.problems import AuthenticationProblem, UnavailableProblem
from services.accounts import PlatformAccounts
from services.platform_tokens import StoredTokens
from storage.encryption import Keyring
from storage.engine import Database
from tests.actors import an_actor

NAME = TokenName("youzan", "demo-apparel")
KEYS = Keyring({"k1": b"1" * 32})


class Desk:
    """A platform's token desk; asking it takes a while, and it counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0

    async def fetch(self, _old: Token | None) -> Token:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.2)
        self.at_once -= 1
        now = datetime.now(UTC)
        return Token(f"token-{self.asked}", now, now + timedelta(hours=2), f"refresh-{self.asked}", "proof")

    def care(self, database: Database, name: TokenName = NAME, store: StoredTokens | None = None) -> TokenCare:
        return TokenCare(store or StoredTokens(database), name, self.fetch, lambda: datetime.now(UTC))


@pytest.fixture
async def workers(database_url: str) -> AsyncIterator[list[Database]]:
    """The pools of two processes."""
    databases = [Database(database_url, KEYS) for _ in range(2)]
    yield databases
    for database in databases:
        await database.close()


async def test_hundreds_of_calls_of_two_workers_fetch_one_token(workers: list[Database]) -> None:
    """As when a token ends in the middle of a rush: many more calls than a pool has connections."""
    desk = Desk()
    cares = [desk.care(database, store=store) for database in workers for store in [StoredTokens(database)]]
    async with asyncio.timeout(5):
        tokens = await asyncio.gather(*(care.current() for care in cares for _ in range(100)))
    assert {token.value for token in tokens} == {"token-1"}
    assert desk.asked == 1


async def test_more_shops_than_connections_renew_at_once_and_none_waits_for_ever(database_url: str) -> None:
    desk, small = Desk(), Database(database_url, KEYS, pool_size=4)
    store = StoredTokens(small)
    cares = [desk.care(small, TokenName("youzan", f"shop-{number}"), store) for number in range(12)]
    try:
        async with asyncio.timeout(9):
            await asyncio.gather(*(care.current() for care in cares for _ in range(10)))
    finally:
        await small.close()
    assert (desk.asked, desk.most_at_once) == (12, 3)


async def test_what_one_worker_fetched_the_other_takes_when_the_token_dies_early(workers: list[Database]) -> None:
    desk = Desk()
    first, second = (desk.care(database) for database in workers)
    dead = await first.current()
    assert await second.current() == dead
    fresh = await asyncio.gather(*(care.replace(dead) for care in (first, second) for _ in range(20)))
    assert {token.value for token in fresh} == {"token-2"}
    assert {token.refresh_value for token in fresh} == {"refresh-2"}
    assert desk.asked == 2


async def test_a_refused_renewal_lets_the_next_one_try(workers: list[Database]) -> None:
    async def refuse(_old: Token | None) -> Token:
        raise AuthenticationProblem("refused")

    store = StoredTokens(workers[0])
    with pytest.raises(AuthenticationProblem):
        await TokenCare(store, NAME, refuse, lambda: datetime.now(UTC)).current()
    assert (await Desk().care(workers[0], store=store).current()).value == "token-1"


async def test_a_desk_that_never_answers_keeps_nobody_waiting_for_ever(
    workers: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.platform_tokens.PATIENCE_S", 0.1)
    monkeypatch.setattr("connectors.tokens.WAITED_WHEN_CANCELLED_S", 0.1)
    store, silent = StoredTokens(workers[0]), asyncio.Event()

    async def hang(_old: Token | None) -> Token:
        await silent.wait()
        raise AssertionError("nobody let it go on")

    holder = asyncio.create_task(TokenCare(store, NAME, hang, lambda: datetime.now(UTC)).current())
    await asyncio.sleep(0.2)
    with pytest.raises(UnavailableProblem):
        await Desk().care(workers[0], store=store).current()
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    assert (await Desk().care(workers[0], store=store).current()).value == "token-1"


async def test_a_token_from_before_grants_were_told_apart_goes_on_and_ends_with_its_credentials(
    workers: list[Database],
) -> None:
    desk, now = Desk(), datetime.now(UTC)
    database = workers[0]
    accounts, admin = PlatformAccounts(database), an_actor("root")
    new = NewAccount(platform="jd", slug="flagship", name="-", credentials={"refresh_token": "first"})
    await accounts.connect(admin, new)
    older = TokenName("jd", "flagship")
    await StoredTokens(database).save(older, Token("chain", now, now + timedelta(hours=2), "refresh"))
    first, second = (older._replace(grant=grant) for grant in ("first", "second"))
    assert (await desk.care(database, first).current()).value == "chain"
    await accounts.rotate(admin, new.id, {"refresh_token": "second"})
    assert (await desk.care(database, second).current()).value == "token-1"
    assert (await desk.care(database, first).current()).value == "chain", "whoever goes back has the chain of before"


@pytest.mark.parametrize("app", ["", "contact", "agent"])
@pytest.mark.parametrize("way", ["rotate", "change"])
async def test_a_token_from_before_grants_were_told_apart_is_not_used_for_what_is_set_now(
    workers: list[Database], way: str, app: str
) -> None:
    desk, now, database = Desk(), datetime.now(UTC), workers[0]
    accounts, admin = PlatformAccounts(database), an_actor("root")
    new = NewAccount(platform="wecom", slug="corp", name="-", credentials={"contact_secret": "first"})
    await accounts.connect(admin, new)
    store, older = StoredTokens(database), TokenName("wecom", "corp", app)
    book = TokenName("wecom", "corp", "decryptions")
    for name in (older, book):
        await store.save(name, Token("another's", now, now + timedelta(hours=2)))
    await accounts.change(admin, new.id, name="集团", settings={})
    assert (await desk.care(database, older._replace(grant="first")).current()).value == "another's"
    if way == "rotate":
        await accounts.rotate(admin, new.id, {"contact_secret": "second"})
    else:
        await accounts.change(admin, new.id, settings={"corp_id": "second"})
    assert (await desk.care(database, older._replace(grant="second")).current()).value == "token-1"
    assert await store.load(book) is not None, "what is no token stays"
