"""Who may do what, on which rows.

A role is a set of permissions; a scope says on which rows they count; an actor is a person (or a token of a person)
with both. Money is kept apart from administration: who manages users cannot move money, who prepares a payout cannot
approve it, who audits reads everything and changes nothing.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.organisation import HEADQUARTERS, AccountId, Placement, UnitPath, within
from domain.problems import AuthorizationProblem, Text


class Permission(StrEnum):
    """One thing that a route or a service asks for. Those ending in `.read` change nothing."""

    DEFINITIONS_READ = "definitions.read"
    DEFINITIONS_DRAFT = "definitions.draft"
    DEFINITIONS_PUBLISH = "definitions.publish"
    DEFINITIONS_APPROVE = "definitions.approve"
    SCHEMES_DRAFT = "schemes.draft"
    SCHEMES_PUBLISH = "schemes.publish"
    RELEASES_MANAGE = "releases.manage"
    RUNS_READ = "runs.read"
    RUNS_START = "runs.start"
    RUNS_CONTROL = "runs.control"
    TASKS_READ = "tasks.read"
    TASKS_WORK = "tasks.work"
    TASKS_MANAGE = "tasks.manage"
    EVENTS_READ = "events.read"
    EVENTS_PUBLISH = "events.publish"
    SUBSCRIPTIONS_READ = "subscriptions.read"
    SUBSCRIPTIONS_MANAGE = "subscriptions.manage"
    CUSTOMERS_READ = "customers.read"
    CUSTOMERS_UNMASK = "customers.unmask"
    CUSTOMERS_MERGE = "customers.merge"
    CUSTOMERS_TAG = "customers.tag"
    CUSTOMERS_SUPPRESS = "customers.suppress"
    CUSTOMERS_EXPORT = "customers.export"
    CUSTOMERS_ERASE = "customers.erase"
    PAYEES_READ = "payees.read"
    PAYEES_MANAGE = "payees.manage"
    SETTLEMENTS_READ = "settlements.read"
    SETTLEMENTS_RUN = "settlements.run"
    PAYOUTS_PREPARE = "payouts.prepare"
    PAYOUTS_APPROVE = "payouts.approve"
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_MANAGE = "accounts.manage"
    SECRETS_READ = "secrets.read"
    SECRETS_MANAGE = "secrets.manage"
    ORGANISATION_READ = "organisation.read"
    ORGANISATION_MANAGE = "organisation.manage"
    USERS_READ = "users.read"
    USERS_MANAGE = "users.manage"
    AUDIT_READ = "audit.read"

    @property
    def changes_something(self) -> bool:
        return not self.value.endswith(".read")


class Role(StrEnum):
    """What a person is here for."""

    ADMIN = "admin"
    OPS = "ops"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    FINANCE = "finance"
    APPROVER = "approver"
    DIRECTOR = "director"
    AUDITOR = "auditor"


EVERY_QUEUE = "*"
"""Among a person's queues: whatever queues there are."""

# No user has such a login: a colon is not allowed there.
_SYSTEM = "system:"

_P = Permission
_AGENT = {_P.TASKS_READ, _P.TASKS_WORK, _P.RUNS_READ, _P.CUSTOMERS_READ, _P.DEFINITIONS_READ}
_FLOWS = {
    _P.DEFINITIONS_READ,
    _P.DEFINITIONS_DRAFT,
    _P.DEFINITIONS_PUBLISH,
    _P.RELEASES_MANAGE,
    _P.RUNS_READ,
    _P.RUNS_START,
    _P.RUNS_CONTROL,
    _P.EVENTS_READ,
    _P.EVENTS_PUBLISH,
    _P.SUBSCRIPTIONS_READ,
    _P.SUBSCRIPTIONS_MANAGE,
    _P.TASKS_READ,
    _P.ACCOUNTS_READ,
    _P.SECRETS_READ,
    _P.ORGANISATION_READ,
}

# A director approves what goes beyond the approvers' limit, see `domain.settlement.approvals`.
_APPROVAL = _AGENT | {_P.PAYEES_READ, _P.SETTLEMENTS_READ, _P.PAYOUTS_APPROVE, _P.DEFINITIONS_APPROVE}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(
        _FLOWS
        | {
            _P.TASKS_MANAGE,
            _P.CUSTOMERS_READ,
            _P.CUSTOMERS_MERGE,
            _P.CUSTOMERS_TAG,
            _P.CUSTOMERS_SUPPRESS,
            _P.CUSTOMERS_EXPORT,
            _P.CUSTOMERS_ERASE,
            _P.ACCOUNTS_MANAGE,
            _P.SECRETS_MANAGE,
            _P.ORGANISATION_MANAGE,
            _P.USERS_READ,
            _P.USERS_MANAGE,
            _P.AUDIT_READ,
        }
    ),
    Role.OPS: frozenset(_FLOWS | {_P.CUSTOMERS_READ, _P.CUSTOMERS_TAG, _P.CUSTOMERS_SUPPRESS}),
    Role.AGENT: frozenset(_AGENT | {_P.CUSTOMERS_TAG, _P.CUSTOMERS_SUPPRESS}),
    Role.SUPERVISOR: frozenset(
        _AGENT
        | {
            _P.TASKS_MANAGE,
            _P.RUNS_CONTROL,
            _P.CUSTOMERS_UNMASK,
            _P.CUSTOMERS_MERGE,
            _P.CUSTOMERS_TAG,
            _P.CUSTOMERS_SUPPRESS,
            _P.USERS_READ,
            _P.ORGANISATION_READ,
        }
    ),
    Role.FINANCE: frozenset(
        _AGENT
        | {
            _P.PAYEES_READ,
            _P.SCHEMES_DRAFT,
            _P.SCHEMES_PUBLISH,
            _P.PAYEES_MANAGE,
            _P.SETTLEMENTS_READ,
            _P.SETTLEMENTS_RUN,
            _P.PAYOUTS_PREPARE,
            _P.ACCOUNTS_READ,
            _P.ORGANISATION_READ,
        }
    ),
    Role.APPROVER: frozenset(_APPROVAL),
    Role.DIRECTOR: frozenset(_APPROVAL),
    Role.AUDITOR: frozenset(permission for permission in Permission if not permission.changes_something),
}


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Everything that holders of these roles may do."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


class Scope(BaseModel):
    """On which rows a person's permissions count: everything, named shops, a branch of the tree, or own customers."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["everything", "accounts", "branch", "own"]
    accounts: frozenset[AccountId] = Field(default=frozenset(), max_length=1000)
    branch: UnitPath | None = None
    owner: str | None = None

    @model_validator(mode="after")
    def _only_what_belongs(self) -> Self:
        present = {
            "accounts": bool(self.accounts),
            "branch": self.branch is not None,
            "own": self.owner is not None,
        }
        if any(given != (name == self.kind) for name, given in present.items()):
            raise ValueError(
                "数据范围应为其一：everything；accounts 与账号；branch 与路径；own 与本人 · "
                "a scope is one of: everything; accounts with their names; a branch with its path; own with its owner"
            )
        return self

    @classmethod
    def everything(cls) -> "Scope":
        return cls(kind="everything")

    @classmethod
    def of_accounts(cls, *accounts: str) -> "Scope":
        """Named shops (`youzan/flagship`)."""
        return cls(kind="accounts", accounts=frozenset(accounts))

    @classmethod
    def of_branch(cls, path: str) -> "Scope":
        """A unit and all below it."""
        return cls(kind="branch", branch=path)

    @classmethod
    def of_own_customers(cls, login: str) -> "Scope":
        """The customers of one person."""
        return cls(kind="own", owner=login)

    @property
    def key(self) -> str:
        """The same text for equal scopes, another one for others."""
        named = ",".join(sorted(self.accounts)) or self.branch or self.owner
        return f"{self.kind}:{named}" if named else self.kind

    def allows(self, placement: Placement) -> bool:
        """Whether a record that belongs there is visible. The same rule in SQL: `storage.scoping.visible`."""
        if self.kind == "accounts":
            return placement.account_id in self.accounts
        if self.kind == "branch":
            return within(placement.unit_path, self.branch or HEADQUARTERS)
        if self.kind == "own":
            return placement.customer_owner == self.owner
        return True

    def covers(self, other: "Scope") -> bool:
        """Whether the other scope can never show a row that this one does not."""
        if self.kind == "everything" or self == other:
            return True
        if self.kind != other.kind:
            return False
        if self.kind == "accounts":
            return self.accounts >= other.accounts
        return self.kind == "branch" and within(other.branch or "", self.branch or HEADQUARTERS)


EVERYTHING = Scope.everything()


class Actor(BaseModel):
    """Whoever acts: a person, through a session or through one of their tokens.

    token_scopes: the permissions a token is limited to, None for all of the person's. queues: the work queues the
    person serves. Raises AuthorizationProblem from every `require…`.
    """

    model_config = ConfigDict(frozen=True)

    user_id: UUID | None
    login: str
    roles: frozenset[Role]
    scope: Scope
    queues: frozenset[str] = frozenset()
    token_id: UUID | None = None
    token_scopes: frozenset[Permission] | None = None

    @property
    def is_system(self) -> bool:
        """Whether this is the program itself or its command line, and no user."""
        return self.user_id is None and self.login.startswith(_SYSTEM)

    @property
    def permissions(self) -> frozenset[Permission]:
        granted = permissions_of(self.roles)
        return granted if self.token_scopes is None else granted & self.token_scopes

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        if not self.may(permission):
            raise AuthorizationProblem(
                Text(
                    f"用户 {self.login} 没有“{permission.value}”权限。请由管理员授予相应角色，或换用包含该权限的令牌。",
                    f"{self.login} does not hold the permission “{permission.value}”. An administrator can grant a "
                    "role that has it, or use a token that includes it.",
                ),
                permission=permission.value,
            )

    def require_everything(self) -> None:
        """For records that belong to no place and may be about anybody: only who sees everything sees them."""
        if self.scope.kind != "everything":
            raise AuthorizationProblem(
                Text(
                    "这些记录不属于任何店铺或组织，只对数据范围为“全部”的用户开放",
                    "These records belong to no shop or unit: they are open to those who see everything",
                ),
                rule="data-scope",
            )

    def sees(self, placement: Placement) -> bool:
        return self.scope.allows(placement)

    def serves(self, queue: str) -> bool:
        """Whether tasks of this queue are this person's to take; `*` serves all. Managing tasks is another right:
        who hands out the finance queue's work does not thereby approve it."""
        return queue in self.queues or EVERY_QUEUE in self.queues

    def may_grant(self, role: Role) -> bool:
        """Whether this actor may give a role away: a limited token never gives more than it holds."""
        if not self.may(Permission.USERS_MANAGE):
            return False
        return self.token_scopes is None or ROLE_PERMISSIONS[role] <= self.permissions


def require_second_person(actor: Actor, first: Iterable[str], what: Text) -> None:
    """Four eyes: whoever proposed, wrote or prepared something is not the one who approves it.

    first: logins of everybody who had a hand in it. Raises AuthorizationProblem.
    """
    if actor.login in set(first):
        raise AuthorizationProblem(
            Text(
                f"{what.zh}需要由另一人确认：{actor.login} 参与了提交，不能自行批准",
                f"{what.en} needs a second person: {actor.login} took part in proposing it and cannot approve it",
            ),
            rule="four-eyes",
        )


def system_actor(name: str, role: Role = Role.ADMIN) -> Actor:
    """The program itself, or a person at the server's command line: `system:cli`, `system:migrate`."""
    return Actor(user_id=None, login=_SYSTEM + name, roles=frozenset({role}), scope=Scope.everything())
