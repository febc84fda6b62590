"""Where things are, and how to be let in: endpoints and authentication."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from domain.dsl.model.base import BY_KIND, FIELDS_TAG, DslModel, TextBranch, require_one_of


class SecretReference(DslModel):
    """Credentials kept as a secret of that name."""

    use: str


class BasicCredentials(DslModel):
    username: str
    password: str


class BearerCredentials(DslModel):
    token: str


class OAuth2Client(DslModel):
    id: str | None = None
    secret: str | None = None
    assertion: str | None = None
    authentication: Literal[
        "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"
    ] = "client_secret_post"


class OAuth2Request(DslModel):
    encoding: Literal["application/x-www-form-urlencoded", "application/json"] = "application/x-www-form-urlencoded"


class OAuth2Endpoints(DslModel):
    token: str = "/oauth2/token"  # noqa: S105 - the specification's default path, not a secret
    revocation: str = "/oauth2/revoke"
    introspection: str = "/oauth2/introspect"


class OAuth2Token(DslModel):
    token: str
    type: str


class OpenIdConnect(DslModel):
    authority: str
    grant: Literal[
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    client: OAuth2Client | None = None
    request: OAuth2Request = OAuth2Request()
    issuers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = None
    subject: OAuth2Token | None = None
    actor: OAuth2Token | None = None


class OAuth2(OpenIdConnect):
    endpoints: OAuth2Endpoints = OAuth2Endpoints()


def _credentials_kind(value: Any) -> str:
    given = isinstance(value, SecretReference) or (isinstance(value, dict) and "use" in value)
    return "<secret>" if given else FIELDS_TAG


_BY_CREDENTIALS = Discriminator(_credentials_kind)
_Secret = Annotated[SecretReference, Tag("<secret>")]
BasicOrSecret = Annotated[Annotated[BasicCredentials, Tag(FIELDS_TAG)] | _Secret, _BY_CREDENTIALS]
BearerOrSecret = Annotated[Annotated[BearerCredentials, Tag(FIELDS_TAG)] | _Secret, _BY_CREDENTIALS]
OAuth2OrSecret = Annotated[Annotated[OAuth2, Tag(FIELDS_TAG)] | _Secret, _BY_CREDENTIALS]
OpenIdOrSecret = Annotated[Annotated[OpenIdConnect, Tag(FIELDS_TAG)] | _Secret, _BY_CREDENTIALS]


class AuthenticationPolicy(DslModel):
    """Exactly one scheme, or `use` with the name of a reusable policy."""

    use: str | None = None
    basic: BasicOrSecret | None = None
    bearer: BearerOrSecret | None = None
    digest: BasicOrSecret | None = None
    oauth2: OAuth2OrSecret | None = Field(default=None, alias="oauth2")
    oidc: OpenIdOrSecret | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "AuthenticationPolicy":
        require_one_of(self, "use", "basic", "bearer", "digest", "oauth2", "oidc")
        return self


class Endpoint(DslModel):
    uri: str
    authentication: AuthenticationPolicy | None = None


class ExternalResource(DslModel):
    name: str | None = None
    endpoint: Annotated[Annotated[Endpoint, Tag(FIELDS_TAG)] | TextBranch, BY_KIND]
