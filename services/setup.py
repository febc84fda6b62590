"""A first installation that somebody can play with: an organisation, people, accounts, the sample definitions.

Everything is done by the ordinary services, so that the demo has an audit trail like the real thing; whatever is there
already is left as it is.
"""

import secrets as random_secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.access import Actor, Role, Scope
from domain.accounts import NewAccount
from domain.organisation import HEADQUARTERS, Unit
from domain.people import NewUser
from domain.problems import ConflictProblem
from services.access import Access
from services.accounts import PlatformAccounts
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.organisation import OrganisationTree
from services.people import People
from services.releases import ReleaseService

TOKEN_LIFE = timedelta(days=90)
EAST = "/east/"
STORE = "/east/sh-001/"
_SECRET_FIELDS = frozenset(
    {
        "client_secret",
        "contact_secret",
        "agent_secret",
        "archive_secret",
        "app_secret",
        "secret",
        "signing_secret",
        "previous_secret",
        "private_key",
        "apiv3_key",
        "token",
        "encoding_aes_key",
        "refresh_token",
        "session",
        "authorization_code",
    }
)
_NOT_SETTINGS = frozenset({"platform", "account", "name", "staff"})


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One of the demo's people."""

    login: str
    name: str
    role: Role
    queues: frozenset[str] = frozenset()


PEOPLE = (
    DemoPerson("admin", "管理员", Role.ADMIN),
    DemoPerson("ops", "运营小何", Role.OPS),
    DemoPerson("lin", "仓库小林", Role.AGENT, frozenset({"warehouse", "after-sale", "shipping"})),
    DemoPerson(
        "zhou", "主管老周", Role.SUPERVISOR, frozenset({"warehouse-lead", "warehouse", "after-sale", "shipping"})
    ),
    DemoPerson("qian", "财务小钱", Role.FINANCE, frozenset({"finance"})),
    DemoPerson("sun", "财务主管孙", Role.APPROVER, frozenset({"finance-lead", "finance"})),
    DemoPerson("audit", "审计", Role.AUDITOR),
)


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """What a new demo person needs to get in; told once, only hashes are kept."""

    login: str
    name: str
    role: str
    password: str
    token: str


class DemoSetup:
    """Fills an empty installation. `actor` is the program itself."""

    def __init__(
        self,
        actor: Actor,
        organisation: OrganisationTree,
        people: People,
        access: Access,
        accounts: PlatformAccounts,
        definitions: DefinitionService,
        releases: ReleaseService,
    ) -> None:
        self._actor = actor
        self._organisation = organisation
        self._people = people
        self._access = access
        self._accounts = accounts
        self._definitions = definitions
        self._releases = releases

    async def people(self) -> list[DemoLogin]:
        """The organisation and its people; the logins of those that are new."""
        for path, name in ((EAST, "华东大区"), (STORE, "上海一店")):
            await _unless_there(self._organisation.add(self._actor, Unit(path=path, name=name)))
        return [login for person in PEOPLE if (login := await self._person(person)) is not None]

    async def connect(self, offered: Sequence[Mapping[str, Any]]) -> int:
        """Connect the accounts a simulator offers (`GET /_sim/accounts`); how many are new."""
        new = 0
        for account in offered:
            place = STORE if account["platform"] == "youzan" else HEADQUARTERS
            credentials = {name: str(value) for name, value in account.items() if name in _SECRET_FIELDS}
            settings = {
                name: value
                for name, value in account.items()
                if name not in _SECRET_FIELDS and name not in _NOT_SETTINGS
            }
            added = await _unless_there(
                self._accounts.connect(
                    self._actor,
                    NewAccount(
                        platform=account["platform"],
                        slug=account["account"],
                        name=account["name"],
                        unit_path=place,
                        credentials=credentials,
                        settings=settings,
                    ),
                )
            )
            new += added is not None
        return new

    async def load(self, texts: Sequence[SourceText]) -> int:
        """Upload, publish and release definitions; how many versions are new."""
        uploaded = await self._definitions.upload(self._actor, texts)
        for each in uploaded:
            version = each.version
            if each.outcome == "unchanged":
                continue
            await self._definitions.publish(
                self._actor, (version.kind, version.namespace, version.name, version.version)
            )
            if version.kind == "flow":
                await self._releases.release(self._actor, version.namespace, version.name, version.version, 100)
        return sum(each.outcome == "created" for each in uploaded)

    async def _person(self, person: DemoPerson) -> DemoLogin | None:
        password = random_secrets.token_urlsafe(12)
        user = await _unless_there(
            self._people.create(
                self._actor,
                NewUser(
                    login=person.login,
                    name=person.name,
                    roles=frozenset({person.role}),
                    scope=Scope.everything(),
                    queues=person.queues,
                ),
                password,
            )
        )
        if user is None:
            return None
        issued = await self._access.issue_token(self._actor, "demo", login=person.login, life=TOKEN_LIFE)
        return DemoLogin(person.login, person.name, person.role.value, password, issued.text)


async def _unless_there(work: Any) -> Any:
    try:
        return await work
    except ConflictProblem:
        return None
