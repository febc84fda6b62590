"""Secrets for flows: people set and name them, only the activity that makes a call reads one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domain.access import Actor, Permission
from domain.dsl.secrets import reveal
from domain.problems import AuthorizationProblem, Text, ValidationProblem
from storage.audit import AuditLog
from storage.engine import Database
from storage.secrets import SecretDescription, Secrets, SecretValue
from storage.unit_of_work import UnitOfWork

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_LONGEST_VALUE = 64 * 1024
_MOST_MEMBERS = 50


class SecretStore:
    """What people do with secrets; a value is never given back. Raises AuthorizationProblem when it is not allowed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, actor: Actor, name: str, value: SecretValue) -> None:
        """Store a string or named members, over what was there; raises ValidationProblem for a bad name or value."""
        actor.require(Permission.SECRETS_MANAGE)
        _require_valid(name, value)
        async with UnitOfWork(self._database) as work:
            await Secrets(work).set(name, value, actor.login)
            members = None if isinstance(value, str) else sorted(value)
            await AuditLog(work).record(actor, "secret.set", f"secret:{name}", {"members": members})

    async def list(self, actor: Actor) -> Sequence[SecretDescription]:
        """Names, member names, when and by whom; no values."""
        actor.require(Permission.SECRETS_READ)
        async with UnitOfWork(self._database) as work:
            return await Secrets(work).describe()

    async def remove(self, actor: Actor, name: str) -> None:
        """Raises NotFoundProblem when there is none."""
        actor.require(Permission.SECRETS_MANAGE)
        async with UnitOfWork(self._database) as work:
            await Secrets(work).remove(name)
            await AuditLog(work).record(actor, "secret.remove", f"secret:{name}")


class SecretReader:
    """What a run needs of secrets.

    A flow that names a secret which is not there gets the specification's authorization error (403).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve(self, name: str) -> SecretValue:
        """The value, a string or its members; raises AuthorizationProblem when there is none."""
        async with UnitOfWork(self._database) as work:
            value = await Secrets(work).find(name)
        if value is None:
            raise _missing(name)
        return value

    async def describe(self) -> Mapping[str, tuple[str, ...] | None]:
        """The member names of each secret, None for a plain string."""
        async with UnitOfWork(self._database) as work:
            return {secret.name: secret.members for secret in await Secrets(work).describe()}

    async def reveal(self, value: Any) -> Any:
        """The same JSON value with every placeholder of a secret replaced; raises AuthorizationProblem."""
        wanted: dict[str, SecretValue] = {}

        def note(name: str, _: str | None) -> str:
            wanted.setdefault(name, "")
            return ""

        reveal(value, note)
        if not wanted:
            return value
        for name in wanted:
            wanted[name] = await self.resolve(name)
        return reveal(value, lambda name, member: _member(wanted[name], name, member))


def _member(value: SecretValue, name: str, member: str | None) -> str:
    if member is None and isinstance(value, str):
        return value
    if member is not None and not isinstance(value, str) and member in value:
        return value[member]
    raise _missing(name if member is None else f"{name}.{member}")


def _missing(name: str) -> AuthorizationProblem:
    return AuthorizationProblem(
        Text(
            f"流程使用的密钥 {name} 不存在，请先执行：tandem secret set {name.partition('.')[0]}",
            f"The flow uses the secret {name}, which does not exist. First: tandem secret set {name.partition('.')[0]}",
        ),
        secret=name,
    )


def _require_valid(name: str, value: SecretValue) -> None:
    if not _NAME.fullmatch(name):
        raise ValidationProblem(
            Text(
                f"密钥名“{name}”应以字母或下划线开头，由最多 64 个字母、数字、下划线、连字符组成",
                f"The secret name “{name}” must start with a letter or underscore and have at most 64 letters, digits, "
                "underscores and hyphens",
            )
        )
    texts = [value] if isinstance(value, str) else list(value.values())
    if not texts or not all(texts) or len(texts) > _MOST_MEMBERS or sum(map(len, texts)) > _LONGEST_VALUE:
        raise ValidationProblem(
            Text(
                f"密钥的值不能为空，最多 {_MOST_MEMBERS} 个成员，总长不超过 {_LONGEST_VALUE} 个字符",
                f"A secret has a value, at most {_MOST_MEMBERS} members and {_LONGEST_VALUE} characters in all",
            )
        )
