"""The flow language as typed models: what an author may write, and nothing else.

One class per construct of Serverless Workflow DSL 1.0.3, under the specification's own words; a Python keyword gets a
trailing underscore (`do_`, `for_`, `with_`). The models check shape only: what a schema can say. Everything that needs
more than shape is the linter's. They also generate the JSON Schema for editors.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StrictBool,
    StrictInt,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"
SEMVER_PATTERN = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$"
)


TEXT_TAG, FIELDS_TAG, FALSE_TAG = "<text>", "<fields>", "<false>"
"""Tags of unions whose branch the kind of value decides; in brackets, so that no key of an author is one of them."""


def _keyword(name: str) -> str:
    return to_camel(name.removesuffix("_"))


def kind_tag(value: Any) -> str | None:
    """The tag of the branch that a value of a union belongs to."""
    if isinstance(value, str):
        return TEXT_TAG
    if value is False:
        return FALSE_TAG
    return FIELDS_TAG if isinstance(value, dict | BaseModel) else None


_BY_KIND = Discriminator(kind_tag)
_Text = Annotated[str, Tag(TEXT_TAG)]


_Model = TypeVar("_Model", bound=BaseModel)


class DslModel(BaseModel):
    """Base of every construct: unknown keys are refused, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_keyword, populate_by_name=True)


def _something(model: _Model) -> _Model:
    """The model itself. Raises PydanticCustomError when nothing at all is given."""
    if not model.model_fields_set:
        keys = ", ".join(field.alias or name for name, field in type(model).model_fields.items())
        raise PydanticCustomError("nothing_given", "give at least one of {keys}", {"keys": keys})
    return model


def _require_one_of(model: BaseModel, *names: str) -> None:
    """Raises PydanticCustomError unless exactly one of the fields has a value."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        keys = ", ".join(name.removesuffix("_") for name in names)
        raise PydanticCustomError("exactly_one", "give exactly one of {keys}", {"keys": keys, "given": len(given)})


class DurationFields(DslModel):
    """A duration by its parts; they add up."""

    days: StrictInt = Field(default=0, ge=0)
    hours: StrictInt = Field(default=0, ge=0)
    minutes: StrictInt = Field(default=0, ge=0)
    seconds: StrictInt = Field(default=0, ge=0)
    milliseconds: StrictInt = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _says_something(self) -> "DurationFields":
        return _something(self)


_NUMBER = r"\d+(?:\.\d+)?"
DURATION_TEXT_PATTERN = (
    rf"^\s*(?:P(?=\d|T\d)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?|\$\{{[\s\S]*\}})\s*$"
)
"""For editors; `durations.parse_duration` decides."""

_DurationText = Annotated[
    str, Tag(TEXT_TAG), WithJsonSchema({"type": "string", "pattern": DURATION_TEXT_PATTERN, "examples": ["PT15M"]})
]
Duration = Annotated[Annotated[DurationFields, Tag(FIELDS_TAG)] | _DurationText, _BY_KIND]
"""Parts, an ISO 8601 duration, or an expression that yields either."""


class Timeout(DslModel):
    after: Duration


TimeoutOrName = Annotated[Annotated[Timeout, Tag(FIELDS_TAG)] | _Text, _BY_KIND]
"""A timeout, or the name of one under `use.timeouts`."""


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
        _require_one_of(self, "use", "basic", "bearer", "digest", "oauth2", "oidc")
        return self


class Endpoint(DslModel):
    uri: str
    authentication: AuthenticationPolicy | None = None


class ExternalResource(DslModel):
    name: str | None = None
    endpoint: Annotated[Annotated[Endpoint, Tag(FIELDS_TAG)] | _Text, _BY_KIND]


class Schema(DslModel):
    """A JSON Schema, inline or at an address."""

    format: str = "json"
    document: Any = None
    resource: ExternalResource | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Schema":
        if ("document" in self.model_fields_set) == (self.resource is not None):
            given = 2 if self.resource is not None else 0
            keys = {"keys": "document, resource", "given": given}
            raise PydanticCustomError("exactly_one", "give exactly one of {keys}", keys)
        return self


Transformation = Annotated[Annotated[dict[str, Any], Tag(FIELDS_TAG)] | _Text, _BY_KIND]
"""An expression, or an object that holds some."""


class Input(DslModel):
    schema_: Schema | None = None
    from_: Transformation | None = None


class Output(DslModel):
    schema_: Schema | None = None
    as_: Transformation | None = None


class Export(DslModel):
    schema_: Schema | None = None
    as_: Transformation | None = None


class ErrorDefinition(DslModel):
    """An RFC 7807 error as its author describes it; members may be expressions."""

    type: str
    status: StrictInt
    title: str | None = None
    detail: str | None = None
    instance: str | None = None


class ErrorFilter(DslModel):
    type: str | None = None
    status: StrictInt | None = None
    title: str | None = None
    detail: str | None = None
    instance: str | None = None


class CatchErrors(DslModel):
    with_: Annotated[ErrorFilter, AfterValidator(_something)] | None = None


class Backoff(DslModel):
    constant: dict[str, Any] | None = None
    linear: dict[str, Any] | None = None
    exponential: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Backoff":
        _require_one_of(self, "constant", "linear", "exponential")
        return self


class AttemptLimit(DslModel):
    count: StrictInt | None = Field(default=None, ge=1)
    duration: Duration | None = None


class RetryLimit(DslModel):
    attempt: AttemptLimit | None = None
    duration: Duration | None = None


class Jitter(DslModel):
    from_: Duration
    to: Duration


class RetryPolicy(DslModel):
    when: str | None = None
    except_when: str | None = None
    delay: Duration | None = None
    backoff: Backoff | None = None
    limit: RetryLimit | None = None
    jitter: Jitter | None = None


class EventProperties(DslModel):
    """Attributes of a CloudEvent to emit or to match; extension attributes are allowed."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None


class Correlation(DslModel):
    from_: str
    expect: str | None = None


class EventFilter(DslModel):
    with_: Annotated[EventProperties, AfterValidator(_something)]
    correlate: dict[str, Correlation] = {}


class EventConsumption(DslModel):
    """`one` event, `all` of several, or `any` of several, the last one perhaps `until` something."""

    one: EventFilter | None = None
    all: tuple[EventFilter, ...] | None = None
    any: tuple[EventFilter, ...] | None = None
    until: "Until | None" = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "EventConsumption":
        _require_one_of(self, "one", "all", "any")
        if self.until is not None and self.any is None:
            raise PydanticCustomError("until_without_any", "until belongs to any")
        return self

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """Every filter in declaration order, `until` left out."""
        return ((self.one,) if self.one else ()) + (self.all or ()) + (self.any or ())


Until = Annotated[
    _Text | Annotated[EventConsumption, Tag(FIELDS_TAG)] | Annotated[Literal[False], Tag(FALSE_TAG)], _BY_KIND
]
"""A condition over the events so far, or further events; `false` means nothing ends it."""


class TaskBase(DslModel):
    """What every task may carry besides its own keyword."""

    keyword: ClassVar[str]

    if_: str | None = None
    input: Input | None = None
    output: Output | None = None
    export: Export | None = None
    timeout: TimeoutOrName | None = None
    then: str | None = None
    metadata: dict[str, Any] = {}


class CallTask(TaskBase):
    keyword = "call"
    call: str
    with_: dict[str, Any] = {}


class DoTask(TaskBase):
    keyword = "do"
    do_: "TaskList" = Field(alias="do")


class EmittedProperties(EventProperties):
    """What an emitted event needs at least."""

    source: str
    type: str


class EmitEvent(DslModel):
    with_: EmittedProperties


class Emit(DslModel):
    event: EmitEvent


class EmitTask(TaskBase):
    keyword = "emit"
    emit: Emit


class ForLoop(DslModel):
    each: str = "item"
    in_: str
    at: str = "index"


class ForTask(TaskBase):
    keyword = "for"
    for_: ForLoop
    while_: str | None = None
    do_: "TaskList" = Field(alias="do")


class Fork(DslModel):
    branches: "TaskList"
    compete: StrictBool = False


class ForkTask(TaskBase):
    keyword = "fork"
    fork: Fork


class Listen(DslModel):
    to: EventConsumption
    read: Literal["data", "envelope", "raw"] = "data"


class SubscriptionIterator(DslModel):
    item: str = "item"
    at: str = "index"
    do_: "TaskList" = Field(default=(), alias="do")
    output: Output | None = None
    export: Export | None = None


class ListenTask(TaskBase):
    keyword = "listen"
    listen: Listen
    foreach: SubscriptionIterator | None = None


class Raise(DslModel):
    error: Annotated[Annotated[ErrorDefinition, Tag(FIELDS_TAG)] | _Text, _BY_KIND]


class RaiseTask(TaskBase):
    keyword = "raise"
    raise_: Raise


class ChildFlow(DslModel):
    namespace: str
    name: str
    version: str
    input: dict[str, Any] | None = None


class Run(DslModel):
    workflow: ChildFlow | None = None
    script: Any = None
    shell: Any = None
    container: Any = None
    await_: StrictBool = True
    return_: Literal["stdout", "stderr", "code", "all", "none"] = "stdout"

    @model_validator(mode="after")
    def _exactly_one(self) -> "Run":
        _require_one_of(self, "workflow", "script", "shell", "container")
        return self


class RunTask(TaskBase):
    keyword = "run"
    run: Run


class SetTask(TaskBase):
    keyword = "set"
    set: Annotated[
        Annotated[Annotated[dict[str, Any], Field(min_length=1)], Tag(FIELDS_TAG)] | Annotated[str, Tag(TEXT_TAG)],
        _BY_KIND,
    ]


class SwitchCase(DslModel):
    when: str | None = None
    then: str


class SwitchItem(RootModel[Annotated[dict[str, SwitchCase], Field(min_length=1, max_length=1)]]):
    """One named case."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def case(self) -> SwitchCase:
        return next(iter(self.root.values()))


class SwitchTask(TaskBase):
    keyword = "switch"
    switch: Annotated[tuple[SwitchItem, ...], Field(min_length=1)]


class Catch(DslModel):
    errors: CatchErrors | None = None
    as_: str = "error"
    when: str | None = None
    except_when: str | None = None
    retry: Annotated[Annotated[RetryPolicy, Tag(FIELDS_TAG)] | _Text, _BY_KIND] | None = None
    do_: "TaskList | None" = Field(default=None, alias="do")


class TryTask(TaskBase):
    keyword = "try"
    try_: "TaskList" = Field(alias="try")
    catch: Catch


class WaitTask(TaskBase):
    keyword = "wait"
    wait: Duration


TASK_KEYWORDS = ("call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do")
"""Every task keyword, `do` last because `for` and `listen` carry a `do` of their own."""


def task_keyword(task: Any) -> str:
    """The keyword that says which of the twelve tasks a mapping is; empty when none does."""
    if isinstance(task, TaskBase):
        return task.keyword
    return next((word for word in TASK_KEYWORDS if isinstance(task, dict) and word in task), "")


def _task_tag(task: Any) -> str:
    return f"<{task_keyword(task)}>"


Task = Annotated[
    Annotated[CallTask, Tag("<call>")]
    | Annotated[EmitTask, Tag("<emit>")]
    | Annotated[ForTask, Tag("<for>")]
    | Annotated[ForkTask, Tag("<fork>")]
    | Annotated[ListenTask, Tag("<listen>")]
    | Annotated[RaiseTask, Tag("<raise>")]
    | Annotated[RunTask, Tag("<run>")]
    | Annotated[SetTask, Tag("<set>")]
    | Annotated[SwitchTask, Tag("<switch>")]
    | Annotated[TryTask, Tag("<try>")]
    | Annotated[WaitTask, Tag("<wait>")]
    | Annotated[DoTask, Tag("<do>")],
    Discriminator(
        _task_tag,
        custom_error_type="task_keyword",
        custom_error_message=f"a task needs one of the keywords {', '.join(TASK_KEYWORDS)}",
    ),
]


class TaskItem(RootModel[Annotated[dict[str, Task], Field(min_length=1, max_length=1)]]):
    """One named task of a list."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def task(self) -> TaskBase:
        return next(iter(self.root.values()))


TaskList = tuple[TaskItem, ...]


class Extension(DslModel):
    extend: Literal[
        "call",
        "composite",
        "emit",
        "for",
        "listen",
        "raise",
        "run",
        "set",
        "switch",
        "try",
        "wait",
        "all",
    ]
    when: str | None = None
    before: TaskList = ()
    after: TaskList = ()


class ExtensionItem(RootModel[Annotated[dict[str, Extension], Field(min_length=1, max_length=1)]]):
    """One named extension."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def extension(self) -> Extension:
        return next(iter(self.root.values()))


class Use(DslModel):
    """Reusable parts."""

    authentications: dict[str, AuthenticationPolicy] = {}
    errors: dict[str, ErrorDefinition] = {}
    extensions: tuple[ExtensionItem, ...] = ()
    functions: dict[str, Task] = {}
    retries: dict[str, RetryPolicy] = {}
    secrets: tuple[str, ...] = ()
    timeouts: dict[str, Timeout] = {}
    catalogs: dict[str, Any] = {}


class Schedule(DslModel):
    every: Duration | None = None
    cron: str | None = None
    after: Duration | None = None
    on: EventConsumption | None = None


class Evaluate(DslModel):
    language: Literal["jq"] = "jq"
    mode: Literal["strict", "loose"] = "strict"


class Document(DslModel):
    dsl: Annotated[str, Field(pattern=SEMVER_PATTERN)]
    namespace: Annotated[str, Field(pattern=NAME_PATTERN)]
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    version: Annotated[str, Field(pattern=SEMVER_PATTERN)]
    title: str | None = None
    summary: str | None = None
    tags: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class Flow(DslModel):
    """A whole definition."""

    document: Document
    input: Input | None = None
    use: Use = Use()
    do_: Annotated[TaskList, Field(alias="do", min_length=1)]
    timeout: TimeoutOrName | None = None
    output: Output | None = None
    schedule: Schedule | None = None
    evaluate: Evaluate = Evaluate()


for _model in (EventConsumption, DoTask, ForTask, ForkTask, Fork, SubscriptionIterator, TryTask, Catch, ListenTask):
    # They were written before what they hold; rebuilt, their fields can be read.
    _model.model_rebuild(force=True)


def walk_tasks(items: TaskList, pointer: str) -> Iterator[tuple[str, str, TaskBase]]:
    """`(reference, name, task)` of every task below a list, outer before inner, in the order they are written.

    The reference is the JSON pointer of the task in its document: `/do/0/tryGetPet/try/0/getPet`.
    """
    for index, item in enumerate(items):
        reference = f"{pointer}/{index}/{item.name}"
        yield reference, item.name, item.task
        for key, children in nested_lists(item.task):
            yield from walk_tasks(children, f"{reference}/{key}")


def nested_lists(task: TaskBase) -> Iterator[tuple[str, TaskList]]:
    """The task lists directly inside a task, each with its pointer relative to the task."""
    match task:
        case DoTask() | ForTask():
            yield "do", task.do_
        case ForkTask():
            yield "fork/branches", task.fork.branches
        case TryTask():
            yield "try", task.try_
            if task.catch.do_:
                yield "catch/do", task.catch.do_
        case ListenTask(foreach=SubscriptionIterator() as iterator):
            yield "foreach/do", iterator.do_
        case _:
            return
