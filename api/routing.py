"""The one kind of route: who calls is known before anything of the request is read, a body is read strictly, and no
personal data leaves it in clear unless a use case decided so."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api import bodies, idempotency
from api.auth import Requirement, bearer_token, requirement_of
from api.deps import ApiDependencies, dependencies_of
from api.limits import RateLimiter
from api.masking import AUTHORED, is_authored, masked_answer
from domain.access import Actor

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose JSON is read by `bodies.parse_json`."""

    _value: Any = None

    async def json(self) -> Any:
        return self._value

    async def parse(self) -> None:
        """Read the JSON now, so that what is wrong with it is told as a problem."""
        self._value = bodies.parse_json(await self.body())


class ApiRoute(APIRoute):
    """Signs the caller in, counts the token's requests, checks the permission, then the body; then the handler runs,
    and its answer is masked."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        requirement = requirement_of(self.dependant)
        reads_json = self.body_field is not None
        repeatable = "POST" in (self.methods or ()) and requirement is not None
        unmasked = is_authored(self.dependant)
        shown_once = (self.openapi_extra or {}).get(idempotency.SHOWN_ONCE)

        async def answer(plain: Request) -> Response:
            request = StrictRequest(plain.scope, plain.receive)
            deps = dependencies_of(request)
            actor = await _sign_in(request, deps, requirement) if requirement else None

            async def work() -> Response:
                if reads_json and await request.body():
                    if not bodies.is_json(bodies.media_type_of(request.headers)):
                        bodies.require_media_type(request, ("application/json",))
                    await request.parse()
                response = await handle(request)
                if unmasked:
                    return response
                return masked_answer(request, response, deps.masking, public=requirement is None)

            if actor is None or not repeatable:
                return await work()
            return await idempotency.once(request, actor.login, deps.repeated_requests, work, shown_once)

        return answer


async def _sign_in(request: Request, deps: ApiDependencies, requirement: Requirement) -> Actor:
    actor = await deps.access.authenticate(bearer_token(request))
    limiter: RateLimiter = request.app.state.limiter
    limiter.count("caller", str(actor.token_id))
    structlog.contextvars.bind_contextvars(user=str(actor.user_id))
    requirement.check(actor)
    request.state.actor = actor
    return actor


def router(prefix: str, tag: str, *, authored: bool = False) -> APIRouter:
    """A router whose routes are `ApiRoute`s; prefix: the whole path up to its own.

    authored: its answers are texts of operators, byte by byte, and are not masked.
    """
    return APIRouter(prefix=prefix, tags=[tag], route_class=ApiRoute, dependencies=[AUTHORED] if authored else None)
