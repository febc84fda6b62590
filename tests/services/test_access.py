import asyncio
import statistics
import time
from datetime import timedelta

import psycopg
import pytest

from domain.access import Actor, Permission, Role, Scope, system_actor
from domain.people import User
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    ValidationProblem,
)
from services.access import Access
from services.login_guard import PER_ADDRESS
from services.people import People
from services.retention import RetentionService
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import PASSWORD, a_user, quick_passwords
from tests.clock import SteppedClock

CLI = system_actor("cli")
ADDRESS = "203.0.113.7"


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database, "pepper" * 4, passwords=quick_passwords(), cache_s=0)


@pytest.fixture
def people(database: Database, access: Access) -> People:
    return People(database, access)


async def _user(people: People, login: str, *roles: Role, scope: Scope | None = None) -> User:
    return await people.create(CLI, a_user(login, *roles, scope=scope, queues={"warehouse"}), PASSWORD)


async def _session(access: Access, login: str) -> Actor:
    return await access.authenticate((await access.login(login, PASSWORD, ADDRESS)).text)


async def test_a_session_acts_with_the_rights_of_its_user(access: Access, people: People) -> None:
    user = await _user(people, "li", Role.AGENT, scope=Scope.of_own_customers("li"))
    issued = await access.login("li", PASSWORD, ADDRESS)
    actor = await access.authenticate(issued.text)
    assert (actor.user_id, actor.login, actor.roles) == (user.id, "li", user.roles)
    assert actor.scope == Scope.of_own_customers("li")
    assert actor.queues == {"warehouse"}
    assert actor.token_scopes is None
    assert actor.token_id == issued.token.id
    assert issued.text not in repr(issued)


async def test_a_token_is_nowhere_in_the_database(access: Access, people: People, database_url: str) -> None:
    await _user(people, "li")
    issued = await access.login("li", PASSWORD, ADDRESS)
    secret = issued.text.rsplit("_", 1)[1]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for table in ("tokens", "users", "audit_entries", "login_attempts"):
            cursor = await connection.execute(f"SELECT {table}::text FROM {table}")
            text = str(await cursor.fetchall())
            assert secret not in text
            assert PASSWORD not in text
            assert ADDRESS not in text


@pytest.mark.parametrize(
    ("login", "password"), [("li", "wrong password"), ("nobody", PASSWORD), ("' OR 1=1", PASSWORD)]
)
async def test_every_wrong_login_is_refused_in_the_same_words(
    access: Access, people: People, login: str, password: str
) -> None:
    await _user(people, "li")
    with pytest.raises(AuthenticationProblem) as refusal:
        await access.login(login, password, ADDRESS)
    assert refusal.value.problem.detail == "The login or the password is wrong"


async def test_an_unknown_login_takes_as_long_as_a_known_one(database: Database, people: People) -> None:
    access = Access(database, "pepper" * 4)
    await People(database, access).create(CLI, a_user("li"), PASSWORD)
    with pytest.raises(AuthenticationProblem):
        await access.login("warm-up", PASSWORD, "198.51.100.1")

    async def seconds(login: str, number: int) -> float:
        began = time.perf_counter()
        with pytest.raises(AuthenticationProblem):
            await access.login(login, "wrong password", f"192.0.2.{number}")
        return time.perf_counter() - began

    known = statistics.median([await seconds("li", number) for number in range(5)])
    unknown = statistics.median([await seconds("nobody", number) for number in range(5, 10)])
    assert unknown > known / 3


async def test_guessing_is_slowed_down_also_with_the_right_password(
    access: Access, people: People, clock: SteppedClock
) -> None:
    await _user(people, "li")
    for _ in range(5):
        with pytest.raises(AuthenticationProblem):
            await access.login("li", "wrong password", ADDRESS)
    with pytest.raises(RateLimitProblem) as refusal:
        await access.login("li", PASSWORD, ADDRESS)
    assert 0 < refusal.value.problem.as_dict()["retry_after_s"] <= 900
    await access.login("li", PASSWORD, "198.51.100.1")
    clock.advance(minutes=16)
    await access.login("li", PASSWORD, ADDRESS)


async def test_guesses_at_once_are_counted_before_they_are_checked(access: Access, people: People) -> None:
    await _user(people, "li")
    tries = (access.login("li", f"wrong password {number}", ADDRESS) for number in range(12))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, AuthenticationProblem) for result in results) == 5
    assert sum(isinstance(result, RateLimitProblem) for result in results) == 7


async def test_a_whole_office_behind_one_address_logs_in(access: Access, people: People, database: Database) -> None:
    await _user(people, "li")
    for _ in range(PER_ADDRESS + 5):
        await access.guard.count("li", ADDRESS)
        async with UnitOfWork(database) as work:
            await access.guard.succeeded(work, "li", ADDRESS)
    await access.login("li", PASSWORD, ADDRESS)


async def test_one_address_does_not_try_every_login(access: Access) -> None:
    for number in range(PER_ADDRESS):
        await access.guard.count(f"login-{number}", ADDRESS)
    with pytest.raises(RateLimitProblem):
        await access.guard.count("one-more", ADDRESS)


async def test_a_success_forgets_the_failures_of_its_address(access: Access, people: People) -> None:
    await _user(people, "li")
    for _ in range(3):
        for _ in range(3):
            with pytest.raises(AuthenticationProblem):
                await access.login("li", "wrong password", ADDRESS)
        await access.login("li", PASSWORD, ADDRESS)


@pytest.mark.parametrize(
    "token",
    ["", "tandem", "tandem_abcdefghijkl_" + "x" * 43, "Bearer x", "tandem_' OR 1=1 --_" + "x" * 43, "令牌" * 4000],
)
async def test_a_made_up_token_is_refused(access: Access, token: str) -> None:
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(token)


async def test_the_right_prefix_with_another_secret_is_refused(access: Access, people: People) -> None:
    await _user(people, "li")
    text = (await access.login("li", PASSWORD, ADDRESS)).text
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(text[:-3] + ("aaa" if text[-3:] != "aaa" else "bbb"))


async def test_a_stolen_table_under_another_pepper_opens_nothing(
    access: Access, people: People, database: Database
) -> None:
    await _user(people, "li")
    text = (await access.login("li", PASSWORD, ADDRESS)).text
    with pytest.raises(AuthenticationProblem):
        await Access(database, "another pepper").authenticate(text)


async def test_sessions_and_tokens_end(access: Access, people: People, clock: SteppedClock, database: Database) -> None:
    await _user(people, "li")
    session = (await access.login("li", PASSWORD, ADDRESS)).text
    token = (await access.issue_token(CLI, "nightly import", login="li", life=timedelta(days=30))).text
    clock.advance(hours=13)
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(session)
    await access.authenticate(token)
    clock.advance(days=30)
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(token)
    clock.advance(days=100)
    await RetentionService(database).purge(CLI)
    assert not (await access.list_tokens(CLI, PageRequest())).items


async def test_logout_ends_this_session_and_no_other(access: Access, people: People) -> None:
    await _user(people, "li")
    first, second = [(await access.login("li", PASSWORD, ADDRESS)).text for _ in range(2)]
    await access.logout(await access.authenticate(first))
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(first)
    await access.authenticate(second)


async def test_a_revoked_token_ends_at_once_here_and_soon_elsewhere(database: Database, people: People) -> None:
    here, elsewhere = (Access(database, "pepper", passwords=quick_passwords(), cache_s=0.3) for _ in range(2))
    await _user(people, "li")
    issued = await here.issue_token(CLI, "import", login="li")
    await here.authenticate(issued.text)
    await elsewhere.authenticate(issued.text)
    await here.revoke_token(CLI, issued.token.prefix)
    with pytest.raises(AuthenticationProblem):
        await here.authenticate(issued.text)
    await elsewhere.authenticate(issued.text)
    await asyncio.sleep(0.35)
    with pytest.raises(AuthenticationProblem):
        await elsewhere.authenticate(issued.text)


async def test_a_remembered_token_ends_when_it_expires(database: Database, people: People, clock: SteppedClock) -> None:
    remembering = Access(database, "pepper", passwords=quick_passwords(), cache_s=60)
    await _user(people, "li")
    issued = await remembering.issue_token(CLI, "import", login="li", life=timedelta(minutes=1))
    clock.advance(seconds=59.8)
    await remembering.authenticate(issued.text)
    clock.advance(seconds=1)
    await asyncio.sleep(0.25)
    with pytest.raises(AuthenticationProblem):
        await remembering.authenticate(issued.text)


async def test_use_is_written_once_a_minute(
    access: Access, people: People, clock: SteppedClock, database_url: str
) -> None:
    await _user(people, "li")
    issued = await access.issue_token(CLI, "import", login="li")

    async def versions() -> str:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            row = await (await connection.execute("SELECT xmin::text FROM tokens")).fetchone()
        assert row is not None
        return str(row[0])

    await access.authenticate(issued.text)
    written = await versions()
    clock.advance(seconds=50)
    await access.authenticate(issued.text)
    assert await versions() == written
    clock.advance(seconds=20)
    await access.authenticate(issued.text)
    assert await versions() != written
    assert (await access.list_tokens(CLI, PageRequest())).items[0].last_used_at == clock.now


async def test_a_token_never_holds_more_than_who_issues_it(access: Access, people: People) -> None:
    await _user(people, "li", Role.OPS)
    session = await _session(access, "li")
    narrow = await access.issue_token(session, "starter", scopes=frozenset({Permission.RUNS_START}))
    through_narrow = await access.authenticate(narrow.text)
    assert through_narrow.permissions == {Permission.RUNS_START}
    for scopes in (None, frozenset({Permission.RUNS_START, Permission.DEFINITIONS_PUBLISH})):
        with pytest.raises(AuthorizationProblem):
            await access.issue_token(through_narrow, "wider", scopes=scopes)
    with pytest.raises(AuthorizationProblem, match=r"payouts\.approve"):
        await access.issue_token(session, "money", scopes=frozenset({Permission.PAYOUTS_APPROVE}))
    whole = await access.issue_token(session, "everything of mine")
    assert (await access.authenticate(whole.text)).permissions == session.permissions


async def test_an_administrator_cannot_take_the_rights_of_others_by_token(access: Access, people: People) -> None:
    await _user(people, "admin", Role.ADMIN)
    await _user(people, "fin", Role.FINANCE)
    admin = await _session(access, "admin")
    for scopes in (None, frozenset({Permission.PAYOUTS_PREPARE})):
        with pytest.raises(AuthorizationProblem):
            await access.issue_token(admin, "borrowed", login="fin", scopes=scopes)
    await access.issue_token(admin, "fine", login="fin", scopes=frozenset({Permission.RUNS_READ}))


async def test_a_limited_token_shrinks_when_its_user_loses_rights(access: Access, people: People) -> None:
    await _user(people, "li", Role.OPS)
    issued = await access.issue_token(CLI, "starter", login="li", scopes=frozenset({Permission.RUNS_START}))
    await people.change_rights(CLI, "li", roles=frozenset({Role.AGENT}))
    assert (await access.authenticate(issued.text)).permissions == frozenset()


async def test_tokens_of_others_are_seen_and_revoked_only_by_who_may(access: Access, people: People) -> None:
    await _user(people, "li")
    await _user(people, "wang")
    issued = await access.issue_token(CLI, "import", login="li")
    wang, li = await _session(access, "wang"), await _session(access, "li")
    refused = (
        access.revoke_token(wang, issued.token.prefix),
        access.list_tokens(wang, PageRequest(), login="li"),
        access.list_tokens(wang, PageRequest()),
        access.issue_token(wang, "borrowed", login="li", scopes=frozenset({Permission.TASKS_READ})),
    )
    for attempt in refused:
        with pytest.raises(AuthorizationProblem):
            await attempt
    assert [token.name for token in (await access.list_tokens(li, PageRequest(), login="li")).items] == ["import"]
    await access.revoke_token(li, issued.token.prefix)
    with pytest.raises(NotFoundProblem):
        await access.revoke_token(li, "unknownprefi")


@pytest.mark.parametrize(("name", "life"), [("", timedelta(days=1)), ("x", timedelta(days=400)), ("x", timedelta(0))])
async def test_a_token_has_a_name_and_an_end(access: Access, people: People, name: str, life: timedelta) -> None:
    await _user(people, "li")
    with pytest.raises(ValidationProblem):
        await access.issue_token(CLI, name, login="li", life=life)


async def test_a_refusal_never_says_why_in_detail(access: Access, people: People) -> None:
    await _user(people, "li")
    text = (await access.login("li", PASSWORD, ADDRESS)).text
    await people.create(CLI, a_user("root", Role.ADMIN))
    await people.disable(CLI, "li")

    async def words(token: str) -> str | None:
        with pytest.raises(ProblemError) as refusal:
            await access.authenticate(token)
        return refusal.value.problem.detail

    assert await words(text) == await words("nonsense")
