"""The last look at every answer: what is personal leaves the API masked, whatever a route forgot.

`api.routing` applies it to each route. A use case that decided for clear text says so by a view whose `masked` is
false, and the route hands that on by `disclose`; `AUTHORED` marks routes whose answers are texts of operators.
"""

import json
from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse

from domain.privacy import Masking


class View(Protocol):
    """What a use case answers when it decides about clear text."""

    @property
    def masked(self) -> bool: ...


class Authored:
    """Marks routes that show definitions, forms and declarations: written by operators, about no customer."""

    async def __call__(self) -> None:
        return None


AUTHORED = Depends(Authored())

Shown = TypeVar("Shown", bound=View)


def is_authored(dependant: Dependant) -> bool:
    """Whether a route says that its answers are texts of operators."""
    return any(isinstance(each.call, Authored) for each in dependant.dependencies)


def disclose(request: Request, view: Shown) -> Shown:
    """The view; when its use case left it in clear, the answer to this request is not masked."""
    request.state.in_clear = not view.masked
    return view


def masked_answer(request: Request, response: Response, masking: Masking, *, public: bool = False) -> Response:
    """The response with the personal data in its JSON masked, unless it was disclosed.

    :raises TypeError: it is no JSON, so nobody can tell what it shows; only a public route may answer so.
    """
    body = getattr(response, "body", None)
    if getattr(request.state, "in_clear", False) or body == b"":
        return response
    kind = response.headers.get("content-type", "a stream")
    if body is None or not kind.startswith("application/json"):
        if public:
            return response
        raise TypeError(
            f"{request.url.path} answers with {kind}: mask it and `disclose` it, or say that it is AUTHORED"
        )
    content = json.loads(body)
    shown = masking.mask(content)
    if shown != content:
        response.body = JSONResponse(shown).body
        response.headers["content-length"] = str(len(response.body))
    return response


def _asking(zh: str, en: str) -> Callable[..., str | None]:
    """A dependency that reads whether clear text is asked for, and why. zh, en: which permissions it takes."""

    def wanted_in_clear(
        unmask: Annotated[
            bool,
            Query(description=f"查看明文，需要{zh}权限与原因 · show personal data in clear; needs {en} and a reason"),
        ] = False,
        reason: Annotated[
            str | None, Query(max_length=500, description="为什么需要明文，写入审计 · why; kept in the audit log")
        ] = None,
    ) -> str | None:
        return (reason or "") if unmask else None

    return wanted_in_clear


UnmaskFor = Annotated[str | None, Depends(_asking(" customers.unmask ", "`customers.unmask`"))]
"""The reason that was given for seeing clear text, perhaps an empty one; None when it was not asked for."""
UnmaskPayeesFor = Annotated[
    str | None,
    Depends(_asking(" payouts.prepare 或 payouts.approve ", "`payouts.prepare` or `payouts.approve`")),
]
"""As `UnmaskFor`, of payees: whoever pays or approves may see them."""
