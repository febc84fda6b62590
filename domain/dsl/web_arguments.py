"""The arguments of `call: http` and `call: openapi` as an author writes them: names under `use` are still names.

What is sent in the end is `domain.catalog.web`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, StrictBool, Tag, WithJsonSchema

from domain.calls import AnyCall
from domain.catalog.web import HTTP_CALL, OPENAPI_CALL
from domain.dsl.model import FIELDS_TAG, TEXT_TAG, AuthenticationPolicy, DslModel, Endpoint, ExternalResource, kind_tag

_BY_KIND = Discriminator(kind_tag)
_Address = Annotated[Annotated[Endpoint, Tag(FIELDS_TAG)] | Annotated[str, Tag(TEXT_TAG)], _BY_KIND]
_Texts = Annotated[Annotated[dict[str, str], Tag(FIELDS_TAG)] | Annotated[str, Tag(TEXT_TAG)], _BY_KIND]
_Output = Literal["raw", "content", "response"]


_METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


class HttpArguments(DslModel):
    """One HTTP request."""

    method: Annotated[
        str,
        Field(pattern=r"^(?i:get|head|post|put|patch|delete|options)$"),
        WithJsonSchema({"type": "string", "enum": [*_METHODS, *map(str.upper, _METHODS)]}),
    ]
    endpoint: _Address
    headers: _Texts | None = None
    body: Any = None
    query: _Texts | None = None
    output: _Output = "content"
    redirect: StrictBool = False


class OpenApiArguments(DslModel):
    """One operation of an OpenAPI document."""

    document: ExternalResource
    operation_id: str
    parameters: dict[str, Any] | None = None
    authentication: AuthenticationPolicy | None = None
    output: _Output = "content"
    redirect: StrictBool = False


def arguments_model(call: AnyCall) -> type[BaseModel]:
    """The model of what an author may write under `with` for a call."""
    written: dict[str, type[BaseModel]] = {HTTP_CALL.name: HttpArguments, OPENAPI_CALL.name: OpenApiArguments}
    model: type[BaseModel] = written.get(call.name, call.input)
    return model
