"""Who calls, and what a route asks of them: every route declares it, and one test walks them all.

A route takes `actor: Annotated[Actor, requires(Permission.RUNS_READ)]`, or `requires_session()` for what concerns only
the caller, or says `dependencies=[PUBLIC]`. The declaration is found by `requirement_of`; a route without one does not
come into being (see `api.routing`).
"""

import re
from typing import Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from domain.access import Actor, Permission
from domain.problems import AuthenticationProblem, Text

_BEARER = re.compile(r"bearer +(\S{1,200})", re.IGNORECASE)


class Requirement:
    """What a route asks of its caller: one of these permissions; none: to be signed in. Gives the actor."""

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions

    async def __call__(self, request: Request) -> Actor:
        actor: Actor = request.state.actor
        return actor

    def check(self, actor: Actor) -> None:
        """Raises AuthorizationProblem when the actor holds none of the permissions."""
        if self.permissions and not any(actor.may(permission) for permission in self.permissions):
            actor.require(self.permissions[0])


class Open:
    """Marks a route that anybody may call: health, logging in, webhooks, monitoring, the API's description."""

    async def __call__(self) -> None:
        return None


PUBLIC = Depends(Open())


def requires(*permissions: Permission) -> Any:
    """The actor, who holds one of these permissions."""
    return Depends(Requirement(*permissions))


def requires_session() -> Any:
    """The actor, whoever it is: for what concerns only the caller."""
    return Depends(Requirement())


def requirement_of(dependant: Dependant) -> Requirement | None:
    """What a route asks of its caller, None for a public one. Raises TypeError when it declares nothing."""
    declared = [each.call for each in dependant.dependencies if isinstance(each.call, Requirement | Open)]
    if len(declared) != 1:
        raise TypeError(f"{dependant.path} must declare one permission, or PUBLIC; it declares {len(declared)}")
    return declared[0] if isinstance(declared[0], Requirement) else None


def bearer_token(request: Request) -> str:
    """The token of the `Authorization` header; raises AuthenticationProblem."""
    header = request.headers.get("authorization")
    if header is None:
        raise AuthenticationProblem(
            Text(
                "请先登录（POST /api/v1/session），并在 Authorization 头中带上令牌：Bearer tandem_…",
                "Log in first (POST /api/v1/session) and send the token as `Authorization: Bearer tandem_…`",
            )
        )
    match = _BEARER.fullmatch(header)
    if match is None:
        raise AuthenticationProblem(
            Text("Authorization 头应为：Bearer <令牌>", "The Authorization header must be: Bearer <token>")
        )
    return match[1]
