"""What a flow can ask of the web: one HTTP request, or one operation of an OpenAPI document.

The models describe a call that is ready to be sent: expressions are evaluated, URI templates filled, names under `use`
replaced by what they name, and secrets filled in. Credentials are `SecretStr`, so they show as stars wherever a model
is printed or dumped: build the model where the call is sent, never in a workflow.

Source: Serverless Workflow DSL 1.0.3 reference, "HTTP Call", "OpenAPI Call", "Authentication", "Endpoint", "External
Resource", "URI Template".
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field, RootModel, SecretStr, model_validator

from domain.calls import Arguments, Call
from domain.problems import ExpressionProblem, Text

Output = Literal["raw", "content", "response"]
GrantType = Literal[
    "authorization_code",
    "client_credentials",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
ClientAuthenticationMethod = Literal[
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"
]
TokenRequestEncoding = Literal["application/x-www-form-urlencoded", "application/json"]


def scalar_text(value: str | float | bool | None) -> str:
    """How a JSON scalar is written in a URI or a header: `true`, `12`, `0.5`; null is the empty string."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case _:
            return str(value)


def _headers(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: scalar_text(text) if _is_scalar(text) else text for name, text in value.items() if text is not None}


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


class BasicAuthentication(Arguments):
    """User name and password, sent with every request."""

    username: str
    password: SecretStr


class DigestAuthentication(Arguments):
    """User name and password, proven by a hash of the server's challenge."""

    username: str
    password: SecretStr


class BearerAuthentication(Arguments):
    """A token that was obtained elsewhere."""

    token: SecretStr

    @model_validator(mode="before")
    @classmethod
    def _token_alone(cls, value: Any) -> Any:
        return {"token": value} if isinstance(value, str | SecretStr) else value


class OAuth2Client(Arguments):
    """Who Tandem is to the authority. `assertion` is a signed JWT for `private_key_jwt` and `client_secret_jwt`."""

    id: str | None = None
    secret: SecretStr | None = None
    assertion: SecretStr | None = None
    authentication: ClientAuthenticationMethod = "client_secret_post"

    @model_validator(mode="after")
    def _complete(self) -> "OAuth2Client":
        if self.authentication != "none" and not self.id:
            raise ValueError(
                "除非 authentication 为 none，必须填写 id · `id` is required unless `authentication` is `none`"
            )
        if self.authentication in ("client_secret_basic", "client_secret_post") and self.secret is None:
            raise ValueError(f"{self.authentication} 需要 secret · `{self.authentication}` needs `secret`")
        if self.authentication == "client_secret_jwt" and self.secret is None and self.assertion is None:
            raise ValueError(
                "client_secret_jwt 需要 secret 或 assertion · `client_secret_jwt` needs `secret` or `assertion`"
            )
        if self.authentication == "private_key_jwt" and self.assertion is None:
            raise ValueError("private_key_jwt 需要 assertion · `assertion` is required for `private_key_jwt`")
        return self


class OAuth2Endpoints(Arguments):
    """Paths below the authority, or absolute addresses. `revocation` is accepted and never called."""

    token: str = Field(default="/oauth2/token", min_length=1)
    revocation: str = Field(default="/oauth2/revoke", min_length=1)
    introspection: str = Field(default="/oauth2/introspect", min_length=1)


class OAuth2Token(Arguments):
    """A security token and its type, such as `urn:ietf:params:oauth:token-type:access_token`."""

    token: SecretStr
    type: str


class OAuth2Request(Arguments):
    """How the token request is written."""

    encoding: TokenRequestEncoding = "application/x-www-form-urlencoded"


class OidcAuthentication(Arguments):
    """A token from an OpenID Connect provider, whose endpoints its discovery document names.

    authority: the issuer, with or without `/.well-known/openid-configuration`.
    subject: the party on whose behalf the call is made; for the grants `refresh_token` and `authorization_code`, for
        which the specification names no other place, its `token` is the refresh token or the code.
    issuers: who may have issued the token; empty means the authority itself.
    """

    authority: str = Field(min_length=1)
    grant: GrantType
    client: OAuth2Client = OAuth2Client(authentication="none")
    request: OAuth2Request = OAuth2Request()
    issuers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    username: str | None = None
    password: SecretStr | None = None
    subject: OAuth2Token | None = None
    actor: OAuth2Token | None = None

    @model_validator(mode="after")
    def _complete(self) -> "OidcAuthentication":
        if self.grant == "password" and (self.username is None or self.password is None):
            raise ValueError(
                "grant 为 password 时须有 username 与 password · the grant `password` needs `username` and `password`"
            )
        if self.grant not in ("client_credentials", "password") and self.subject is None:
            raise ValueError(f"grant 为 {self.grant} 时须有 subject · the grant `{self.grant}` needs `subject`")
        return self


class OAuth2Authentication(OidcAuthentication):
    """A token from an OAuth 2 authority, whose endpoints are given or at their default places.

    An authority that ends in `/.well-known/…` is read as a discovery document instead. Issuers are checked only when
    some are named.
    """

    endpoints: OAuth2Endpoints = OAuth2Endpoints()


class Authentication(Arguments):
    """Exactly one scheme."""

    basic: BasicAuthentication | None = None
    bearer: BearerAuthentication | None = None
    digest: DigestAuthentication | None = None
    oauth2: OAuth2Authentication | None = None
    oidc: OidcAuthentication | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Authentication":
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(
                "认证方式只能写一种：basic、bearer、digest、oauth2、oidc · an authentication names exactly one of them"
            )
        return self


class Endpoint(Arguments):
    """An address and how to authenticate there."""

    uri: str = Field(min_length=1, max_length=8000)
    authentication: Authentication | None = None

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, value: Any) -> Any:
        return {"uri": value} if isinstance(value, str) else value


class ExternalResource(Arguments):
    """A document at an address."""

    name: str | None = None
    endpoint: Endpoint


class HttpRequest(Arguments):
    """The arguments of `call: http`.

    body: a mapping, list, number or boolean is sent as JSON unless the `content-type` header says form or multipart;
        text is sent as it is, but for a binary content type it is base64, as `raw` returns it.
    query: appended to what the address already has; a list repeats the parameter, null leaves it out.
    output: `content` (deserialised), `raw` (base64) or `response` (request, statusCode, headers, content).
    redirect: follow redirections, each checked like a request of its own; otherwise a 3xx answer is an error.
    """

    method: str = Field(pattern=r"^(?i:get|head|post|put|patch|delete|options)$")
    endpoint: Endpoint
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = {}
    body: Any = None
    query: dict[str, Any] = {}
    output: Output = "content"
    redirect: bool = False


class OpenApiRequest(Arguments):
    """The arguments of `call: openapi`.

    parameters: by name, wherever the document puts them. What no parameter of an OpenAPI 3 operation is called goes
        into the body: `body` alone is the whole body, other names are its fields.
    """

    document: ExternalResource
    operation_id: str = Field(alias="operationId", min_length=1)
    parameters: dict[str, Any] = {}
    authentication: Authentication | None = None
    output: Output = "content"
    redirect: bool = False


class WebOutput(RootModel[Any]):
    """What the service answered, in the form `output` asks for."""


HTTP_CALL: Call[HttpRequest, WebOutput] = Call(
    name="http",
    title=Text("HTTP 请求", "HTTP request"),
    input=HttpRequest,
    output=WebOutput,
    effect="keyed",
    example={},
)

OPENAPI_CALL: Call[OpenApiRequest, WebOutput] = Call(
    name="openapi",
    title=Text("OpenAPI 操作", "OpenAPI operation"),
    input=OpenApiRequest,
    output=WebOutput,
    effect="keyed",
    example={},
)

WEB_CALLS = (HTTP_CALL, OPENAPI_CALL)

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_OPERATORS = frozenset("+#./;?&=,!@|")


def expand_uri(template: str, values: Mapping[str, Any]) -> str:
    """The address with each `{name}` replaced by the top-level value of that name, percent-encoded.

    A name without a value becomes the empty string, as the specification says. Names are taken as they stand: `{a.b}`
    is the property called `a.b`. Raises ExpressionProblem when a value is an object or a list, when the expansion uses
    an operator of a higher level of RFC 6570, or when a value would stand as `.` or `..` between slashes and so change
    the path around it.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name[:1] in _OPERATORS and name not in values:
            raise ExpressionProblem(
                Text(
                    f"地址模板 {{{name}}} 用了不支持的写法，只支持 {{变量名}}；其他情况请改用 ${{ }} 表达式",
                    f"The URI template uses {{{name}}}; only plain {{name}} is supported, use a ${{ }} expression for "
                    "anything else",
                )
            )
        value = values.get(name)
        if not _is_scalar(value):
            raise ExpressionProblem(
                Text(
                    f"地址模板中的 {{{name}}} 是列表或对象，只能填入文本、数字、布尔值或空值",
                    f"{{{name}}} in the URI template is a list or an object; only text, a number, a boolean or null "
                    "can stand there",
                )
            )
        text = scalar_text(value)
        if text in (".", "..") and template[: match.start()].endswith("/"):
            raise ExpressionProblem(
                Text(
                    f"地址模板中的 {{{name}}} 的值是“{text}”，会改变请求路径，请检查数据",
                    f"The value of {{{name}}} in the URI template is '{text}', which would change the path; check the "
                    "data",
                )
            )
        try:
            return quote(text, safe="")
        except UnicodeEncodeError:
            raise ExpressionProblem(
                Text(
                    f"地址模板中的 {{{name}}} 含有不完整的字符",
                    f"The value of {{{name}}} in the URI template has half a character in it",
                )
            ) from None

    return _VARIABLE.sub(replace, template)
