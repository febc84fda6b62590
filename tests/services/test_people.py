import asyncio

import pytest

from domain.access import Actor, Permission, Role, Scope, system_actor
from domain.organisation import Unit
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ValidationProblem,
)
from services.access import Access
from services.audit import AuditTrail, keep_sealed
from services.people import People
from storage.engine import Database
from storage.organisation import Units
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import PASSWORD, a_user, an_actor, quick_passwords
from tests.clock import SteppedClock

CLI = system_actor("cli")
NEW_PASSWORD = "another horse battery"
ADDRESS = "203.0.113.7"


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database, "pepper" * 4, passwords=quick_passwords())


@pytest.fixture
async def people(database: Database, access: Access) -> People:
    async with UnitOfWork(database) as work:
        for path in ("/east/", "/east/store-1/", "/east/store-2/", "/west/"):
            await Units(work).add(Unit(path=path, name=path))
    people = People(database, access)
    await people.create(CLI, a_user("root", Role.ADMIN), PASSWORD)
    return people


async def _session(access: Access, login: str, password: str = PASSWORD) -> Actor:
    return await access.authenticate((await access.login(login, password, ADDRESS)).text)


async def test_every_change_is_in_the_audit_log(
    people: People, access: Access, database: Database, clock: SteppedClock
) -> None:
    root = await _session(access, "root")
    for change in (
        people.create(root, a_user("li"), PASSWORD),
        people.change_rights(root, "li", roles=frozenset({Role.OPS}), queues=frozenset({"finance"})),
        people.set_password(root, "li", NEW_PASSWORD),
        people.disable(root, "li"),
        people.enable(root, "li"),
    ):
        clock.advance(seconds=1)
        await change
    entries = (await AuditTrail(database).list(root, PageRequest(), target="user:li")).items
    assert [entry.action for entry in reversed(entries)] == [
        "user.create",
        "user.rights",
        "user.password",
        "user.disable",
        "user.enable",
    ]
    assert {(entry.actor, entry.token_id) for entry in entries} == {("root", root.token_id)}
    rights = next(entry.detail for entry in entries if entry.action == "user.rights")
    assert rights["before"]["roles"] == ["agent"]
    assert rights["after"]["roles"] == ["ops"]


async def test_a_login_is_never_given_twice(people: People) -> None:
    await people.create(CLI, a_user("li"))
    await people.disable(CLI, "li")
    with pytest.raises(ConflictProblem):
        await people.create(CLI, a_user("li"))


async def test_without_a_password_nobody_logs_in(people: People, access: Access) -> None:
    await people.create(CLI, a_user("robot"))
    with pytest.raises(AuthenticationProblem):
        await access.login("robot", "", ADDRESS)


async def test_disabling_ends_sessions_and_tokens_for_good(people: People, access: Access) -> None:
    await people.create(CLI, a_user("li"), PASSWORD)
    session = (await access.login("li", PASSWORD, ADDRESS)).text
    token = (await access.issue_token(CLI, "import", login="li")).text
    await access.authenticate(session)
    await people.disable(CLI, "li")
    for text in (session, token):
        with pytest.raises(AuthenticationProblem):
            await access.authenticate(text)
    with pytest.raises(AuthenticationProblem):
        await access.login("li", PASSWORD, ADDRESS)
    await people.enable(CLI, "li")
    await access.login("li", PASSWORD, ADDRESS)
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(token)


async def test_changed_rights_count_at_once(people: People, access: Access) -> None:
    await people.create(CLI, a_user("li", Role.AGENT), PASSWORD)
    text = (await access.login("li", PASSWORD, ADDRESS)).text
    assert not (await access.authenticate(text)).may(Permission.DEFINITIONS_PUBLISH)
    await people.change_rights(CLI, "li", roles=frozenset({Role.OPS}))
    assert (await access.authenticate(text)).may(Permission.DEFINITIONS_PUBLISH)


async def test_nobody_raises_the_own_rights(people: People, access: Access) -> None:
    root = await _session(access, "root")
    with pytest.raises(AuthorizationProblem):
        await people.change_rights(root, "root", roles=frozenset({Role.ADMIN, Role.APPROVER}))
    with pytest.raises(AuthorizationProblem):
        await people.change_rights(root, "root", queues=frozenset({"finance"}))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_administrators_touch_users(people: People, role: Role) -> None:
    actor = an_actor("li", role)
    await people.create(CLI, a_user("wang"))
    attempts = (
        people.create(actor, a_user("zhao")),
        people.disable(actor, "wang"),
        people.enable(actor, "wang"),
        people.set_password(actor, "wang", NEW_PASSWORD),
        people.change_rights(actor, "wang", roles=frozenset({Role.ADMIN})),
    )
    for attempt in attempts:
        with pytest.raises(AuthorizationProblem):
            await attempt


async def test_a_branch_administrator_manages_and_sees_the_branch_only(people: People) -> None:
    east = an_actor("east-admin", Role.ADMIN, scope=Scope.of_branch("/east/"))
    store = a_user("li", scope=Scope.of_branch("/east/store-1/"), unit_path="/east/store-1/")
    await people.create(east, store)
    await people.create(CLI, a_user("wang", scope=Scope.of_branch("/west/"), unit_path="/west/"))
    for attempt in (
        people.create(east, a_user("zhao", scope=Scope.of_branch("/west/"), unit_path="/west/")),
        people.create(east, a_user("zhao")),
        people.disable(east, "wang"),
        people.disable(east, "root"),
        people.set_password(east, "root", NEW_PASSWORD),
        people.change_rights(east, "li", scope=Scope.everything()),
        people.change_rights(east, "wang", scope=Scope.of_branch("/east/")),
    ):
        with pytest.raises(AuthorizationProblem):
            await attempt
    assert [user.login for user in (await people.list(east, PageRequest())).items] == ["li"]


async def test_one_administrator_of_everything_always_remains(people: People) -> None:
    await people.create(CLI, a_user("east-admin", Role.ADMIN, scope=Scope.of_branch("/east/")))
    for attempt in (
        people.disable(CLI, "root"),
        people.change_rights(CLI, "root", roles=frozenset({Role.OPS})),
        people.change_rights(CLI, "root", scope=Scope.of_branch("/east/")),
    ):
        with pytest.raises(ConflictProblem, match="last administrator"):
            await attempt
    await people.create(CLI, a_user("root-2", Role.ADMIN))
    results = await asyncio.gather(people.disable(CLI, "root"), people.disable(CLI, "root-2"), return_exceptions=True)
    assert sum(isinstance(result, ConflictProblem) for result in results) == 1


async def test_a_scope_names_what_exists_and_oneself(people: People) -> None:
    with pytest.raises(NotFoundProblem, match="/north/"):
        await people.create(CLI, a_user("li", scope=Scope.of_branch("/north/")))
    with pytest.raises(NotFoundProblem, match="youzan/none"):
        await people.create(CLI, a_user("li", scope=Scope.of_accounts("youzan/none")))
    with pytest.raises(NotFoundProblem, match="/north/"):
        await people.create(CLI, a_user("li", unit_path="/north/"))
    with pytest.raises(ValidationProblem):
        await people.create(CLI, a_user("li", scope=Scope.of_own_customers("wang")))


async def test_the_own_password_needs_the_present_one(people: People, access: Access) -> None:
    await people.create(CLI, a_user("li"), PASSWORD)
    li = await _session(access, "li")
    other_session = (await access.login("li", PASSWORD, ADDRESS)).text
    with pytest.raises(AuthenticationProblem):
        await people.change_password(li, "not the password", NEW_PASSWORD)
    with pytest.raises(ValidationProblem):
        await people.change_password(li, PASSWORD, "short")
    await people.change_password(li, PASSWORD, NEW_PASSWORD)
    with pytest.raises(AuthenticationProblem):
        await access.authenticate(other_session)
    await _session(access, "li", NEW_PASSWORD)


async def test_a_limited_token_is_no_way_up(people: People) -> None:
    await people.create(CLI, a_user("boss", Role.ADMIN), PASSWORD)
    limited = an_actor("bot", token_scopes=frozenset({Permission.USERS_MANAGE, Permission.USERS_READ}))
    for attempt in (
        people.create(limited, a_user("mole", Role.ADMIN), PASSWORD),
        people.set_password(limited, "boss", NEW_PASSWORD),
    ):
        with pytest.raises(AuthorizationProblem):
            await attempt


async def test_the_audit_log_is_sealed_while_the_house_runs(people: People, database: Database) -> None:
    auditor = an_actor("auditor", Role.AUDITOR)
    sealing = asyncio.create_task(keep_sealed(database, 0.02))
    trail = AuditTrail(database)
    await people.create(CLI, a_user("li"))
    for _ in range(100):
        report = await trail.verify(auditor)
        if report.sealed == 2:
            break
        await asyncio.sleep(0.05)
    sealing.cancel()
    assert (report.sealed, report.pending, report.intact) == (2, 0, True)


async def test_only_who_audits_reads_the_log(people: People, database: Database) -> None:
    trail = AuditTrail(database)
    for role in (Role.OPS, Role.AGENT, Role.FINANCE):
        with pytest.raises(AuthorizationProblem):
            await trail.list(an_actor("li", role), PageRequest())
        with pytest.raises(AuthorizationProblem):
            await trail.verify(an_actor("li", role))
