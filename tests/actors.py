"""Actors and users for tests."""

from typing import Any
from uuid import UUID, uuid4

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.access import Actor, Permission, Role, Scope
from domain.people import NewUser
from services.passwords import Passwords

PASSWORD = "correct horse battery"


def an_actor(
    login: str = "someone",
    *roles: Role,
    scope: Scope | None = None,
    queues: frozenset[str] = frozenset(),
    token_scopes: frozenset[Permission] | None = None,
    user_id: UUID | None = None,
) -> Actor:
    """A person; an administrator of everything unless told otherwise."""
    return Actor(
        user_id=user_id or uuid4(),
        login=login,
        roles=frozenset(roles or {Role.ADMIN}),
        scope=scope or Scope.everything(),
        queues=queues,
        token_scopes=token_scopes,
    )


def a_user(login: str, *roles: Role, scope: Scope | None = None, **more: Any) -> NewUser:
    """A user to be created; an agent of everything unless told otherwise."""
    return NewUser(
        login=login,
        name=f"Name of {login}",
        roles=frozenset(roles or {Role.AGENT}),
        scope=scope or Scope.everything(),
        **more,
    )


def quick_passwords() -> Passwords:
    """The real hashing with the smallest parameters."""
    return Passwords(PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
