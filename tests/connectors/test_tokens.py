"""Token care: renewed early, fetched once, never fetched when a colleague already has."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.connection_report import ConnectionFault
from connectors.errors import TokenDied
from connectors.tokens import MemoryTokenStore, Token, TokenCare, TokenName, grant_of
from domain.problems import AuthenticationProblem
from simulator.tokens import TokenDesk
from tests.connectors.harness import Outside, connector, perform

NAME = TokenName("youzan", "shop")
START = datetime(2026, 11, 23, tzinfo=UTC)


class Platform:
    """Hands out numbered tokens that live an hour, and knows which ones it still takes."""

    def __init__(self) -> None:
        self.now = START
        self.issued = 0
        self.dead: set[str] = set()

    async def fetch(self, _old: Token | None) -> Token:
        self.issued += 1
        await asyncio.sleep(0)
        return Token(f"token-{self.issued}", self.now, self.now + timedelta(hours=1), f"refresh-{self.issued}")

    async def call(self, token: str) -> str:
        if token in self.dead:
            raise TokenDied
        return token

    def care(self, store: MemoryTokenStore) -> TokenCare:
        return TokenCare(store, NAME, self.fetch, lambda: self.now)


async def test_a_token_is_used_until_shortly_before_its_end() -> None:
    platform, store = Platform(), MemoryTokenStore()
    care = platform.care(store)
    assert await care.use(platform.call) == "token-1"
    platform.now = START + timedelta(minutes=54)
    assert await care.use(platform.call) == "token-1"
    platform.now = START + timedelta(minutes=56)
    assert await care.use(platform.call) == "token-2"


@given(life_s=st.integers(min_value=1, max_value=10**7))
def test_every_life_is_renewed_before_its_end_but_is_used_for_most_of_it(life_s: int) -> None:
    token = Token("t", START, START + timedelta(seconds=life_s))
    assert START + timedelta(seconds=life_s) * 0 < token.renew_at < token.expires_at
    assert (token.renew_at - START).total_seconds() >= life_s * 0.9 - 0.001


async def test_two_processes_with_one_store_fetch_once() -> None:
    platform, store = Platform(), MemoryTokenStore()
    cares = [platform.care(store) for _ in range(2)]
    used = await asyncio.gather(*(care.use(platform.call) for care in cares for _ in range(10)))
    assert set(used) == {"token-1"}


async def test_a_dead_token_is_replaced_once_for_all() -> None:
    platform, store = Platform(), MemoryTokenStore()
    care = platform.care(store)
    await care.use(platform.call)
    platform.dead.add("token-1")
    used = await asyncio.gather(*(care.use(platform.call) for _ in range(10)))
    assert set(used) == {"token-2"}
    assert platform.issued == 2


async def test_a_colleagues_newer_token_is_taken_without_asking() -> None:
    platform, store = Platform(), MemoryTokenStore()
    care = platform.care(store)
    known = await care.current()
    await store.save(NAME, Token("from-a-colleague", START, START + timedelta(hours=1)))
    assert (await care.replace(known)).value == "from-a-colleague"
    assert platform.issued == 1


async def test_two_dead_tokens_in_a_row_are_said_and_worth_a_retry() -> None:
    platform = Platform()
    platform.dead |= {"token-1", "token-2"}
    with pytest.raises(AuthenticationProblem) as error:
        await platform.care(MemoryTokenStore()).use(platform.call)
    problem = error.value.problem.as_dict()
    assert (problem["retryable"], problem["outcome"]) == (True, "not_done")
    assert platform.issued == 2


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_while_a_token_is_fetched_leaves_it_for_the_next(times: int) -> None:
    platform, store, asked, answer = Platform(), MemoryTokenStore(), asyncio.Event(), asyncio.Event()

    async def fetch(old: Token | None) -> Token:
        fresh = await platform.fetch(old)
        asked.set()
        await answer.wait()
        return fresh

    first = asyncio.create_task(TokenCare(store, NAME, fetch, lambda: START).current())
    await asked.wait()
    second = asyncio.create_task(platform.care(store).current())
    for _ in range(times):
        first.cancel()
        await asyncio.sleep(0.01)
    assert not second.done(), "nobody else spends the refresh token meanwhile"
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).value == "token-1"
    assert platform.issued == 1


async def test_who_is_cancelled_is_cancelled_although_the_fetch_fails_then() -> None:
    answer, asked = asyncio.Event(), asyncio.Event()

    async def refuse(_old: Token | None) -> Token:
        asked.set()
        await answer.wait()
        raise AuthenticationProblem("refused")

    waiting = asyncio.create_task(TokenCare(MemoryTokenStore(), NAME, refuse, lambda: START).current())
    await asked.wait()
    waiting.cancel()
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_failed_fetch_lets_the_next_one_try() -> None:
    platform, store = Platform(), MemoryTokenStore()

    async def refuse(_old: Token | None) -> Token:
        raise AuthenticationProblem("refused")

    with pytest.raises(AuthenticationProblem):
        await TokenCare(store, NAME, refuse, lambda: START).current()
    assert (await platform.care(store).current()).value == "token-1"


def test_a_token_does_not_show_itself() -> None:
    token = Token("very-secret", START, START, "also-secret")
    assert "secret" not in repr(token)


def test_a_name_tells_grants_apart_and_nothing_of_the_secret() -> None:
    names = {TokenName("jd", "a", grant=grant_of("app", SecretStr(secret))).key for secret in ("one-shop", "another")}
    assert len(names) == 2
    assert not any("shop" in name for name in names)
    assert TokenName("pinduoduo", "a", "decryptions").key == "pinduoduo/a/decryptions"


OTHER_SHOPS: dict[str, dict[str, Any]] = {
    "douyin": {"refresh_token": "of-another-shop"},
    "jd": {"refresh_token": "of-another-shop"},
    "pinduoduo": {"authorization_code": None, "refresh_token": "of-another-shop"},
    "taobao": {"session": None, "refresh_token": "of-another-shop"},
    "youzan": {"refresh_token": "of-another-shop"},
}


@pytest.mark.parametrize("platform", OTHER_SHOPS)
async def test_new_credentials_are_tried_however_long_the_former_token_lives(world: Outside, platform: str) -> None:
    former = await world.account(platform)
    refund = await world.sim.refund(shop=former.slug)
    await perform(await world.open(platform), f"{platform}.get_refund", refund_id=refund["id"])
    others = await connector(platform).test_connection(
        await world.account(platform, **OTHER_SHOPS[platform]), world.link
    )
    assert (others.ok, others.fault) == (False, ConnectionFault.CREDENTIALS)
    assert (await connector(platform).test_connection(former, world.link)).ok, "the chain of the former goes on"


@pytest.mark.parametrize(("platform", "setting"), [("douyin", "shop_id"), ("youzan", "kdt_id")])
async def test_a_token_of_another_shop_is_not_used_and_waits_for_its_own(
    world: Outside, platform: str, setting: str
) -> None:
    right = await world.account(platform)
    given = TokenDesk(world.sim.app.state.world, platform, 3600).issue(right.slug, "app").refresh_token
    settings = {**right.settings, "refresh_token": given}
    wrong = await connector(platform).test_connection(replace(right, settings={**settings, setting: 17}), world.link)
    assert wrong.fault is ConnectionFault.SETTINGS
    for said in (setting, "17", str(right.settings[setting])):
        assert said in wrong.message.en
    corrected = await connector(platform).test_connection(replace(right, settings=settings), world.link)
    assert corrected.ok, "although the refresh token was spent before"


@pytest.mark.parametrize(("platform", "setting"), [("douyin", "shop_id"), ("youzan", "kdt_id")])
async def test_a_chain_that_worked_goes_on_whatever_shop_the_platform_calls_it(
    world: Outside, platform: str, setting: str
) -> None:
    right = await world.account(platform)
    given = TokenDesk(world.sim.app.state.world, platform, 3600).issue(right.slug, "app")
    client = connector(platform).open(
        replace(right, settings={**right.settings, "refresh_token": "the-first", setting: 17}), world.link
    )
    name, now = client.gateway.token_of(17), world.link.now()
    ended = Token(given.id, now - timedelta(hours=2), now - timedelta(hours=1), given.refresh_token)
    await world.link.tokens.save(name, ended)
    refund = await world.sim.refund(shop=right.slug)
    await perform(client, f"{platform}.get_refund", refund_id=refund["id"])
    renewed = await world.link.tokens.load(name)
    assert renewed is not None
    assert renewed.refresh_value not in (None, given.refresh_token)
