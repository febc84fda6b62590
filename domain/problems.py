"""One problem everywhere: from a connector's error code to a flow's `catch` to the API's answer, without translation.

`ProblemError` is the root of every error that Tandem raises on purpose::

    ProblemError
    ├── ConfigurationProblem   400  the definition or a setting is wrong
    ├── ValidationProblem      400  data does not have the promised shape
    ├── ExpressionProblem      400  an expression does not compile, or its evaluation failed
    ├── AuthenticationProblem  401  who are you?
    ├── AuthorizationProblem   403  you may not
    ├── NotFoundProblem        404  there is no such thing, or not for you
    ├── TimeoutProblem         408  the time was up
    ├── ConflictProblem        409  somebody was faster, or the state does not allow it
    ├── PreconditionProblem    412/428  a stale or missing `If-Match`
    ├── RateLimitProblem       429  too much at once
    ├── CommunicationProblem   5xx  the other side failed
    ├── RuntimeProblem         500  ours failed
    └── UnavailableProblem     503  cannot be served now, nothing was lost

Source: RFC 9457; Serverless Workflow DSL 1.0.3, "Standard Error Types".
"""

from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

STANDARD_TYPE_PREFIX = "https://serverlessworkflow.io/spec/1.0.0/errors/"
TANDEM_TYPE_PREFIX = "https://tandem-scrm.org/problems/"

# The specification moved its domain twice, and its conformance kit still uses an older path.
_TYPE_ALIASES = (
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://serverlessworkflow.io/spec/1.0.0/errors/",
    "https://openworkflowspec.org/spec/1.0.0/errors/",
    "https://open-workflow-specification.org/spec/1.0.0/errors/",
)


class Text(NamedTuple):
    """One sentence for a person, in Chinese and in English."""

    zh: str
    en: str

    def format(self, **values: object) -> "Text":
        """The same sentence with `{name}` places filled in both languages."""
        return Text(self.zh.format(**values), self.en.format(**values))

    def as_dict(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


def standard_type(name: str) -> str:
    """The URI of a standard error type, e.g. `timeout`."""
    return STANDARD_TYPE_PREFIX + name


def canonical_type(uri: str) -> str:
    """The one URI used for comparing error types: aliases of the standard family become the emitted one."""
    for prefix in _TYPE_ALIASES:
        if uri.startswith(prefix):
            return STANDARD_TYPE_PREFIX + uri.removeprefix(prefix)
    return uri


class Problem(BaseModel):
    """An RFC 9457 problem, with the sentence in both languages and whatever extra members its type defines.

    `instance` is a JSON pointer to the task that failed (`/do/0/getPet`) when the problem comes out of a flow.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    status: int = Field(ge=100, le=599)
    title: str | None = None
    detail: str | None = None
    instance: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready members, those without a value left out."""
        return self.model_dump(mode="json", exclude_none=True)


class ProblemError(Exception):
    """An error that carries a `Problem`; subclasses fix its type, status and title."""

    type: ClassVar[str] = standard_type("runtime")
    status: ClassVar[int] = 500
    title: ClassVar[Text] = Text("运行时错误", "Runtime error")

    def __init__(self, detail: Text | str | None = None, *, instance: str | None = None, **members: Any) -> None:
        detail_text = Text(detail, detail) if isinstance(detail, str) else detail
        if detail_text is not None:
            members = {"message": detail_text.as_dict(), **members}
        self.problem = Problem.model_validate(
            {
                "type": self.type,
                "status": self.status,
                "title": self.title.en,
                "detail": detail_text.en if detail_text else None,
                "instance": instance,
                **members,
            }
        )
        super().__init__(self.problem.detail or self.problem.title)

    @property
    def text(self) -> Text:
        """The sentence in both languages; what there is of it twice, when only one is known."""
        message = self.problem.as_dict().get("message")
        said = message if isinstance(message, dict) else {}
        return Text(str(said.get("zh", self)), str(said.get("en", self)))

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """An error that carries exactly this problem."""
        error = cls.__new__(cls)
        error.problem = problem
        Exception.__init__(error, problem.detail or problem.title or problem.type)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).of, (self.problem,))


class ConfigurationProblem(ProblemError):
    """The definition or a setting is wrong."""

    type = standard_type("configuration")
    status = 400
    title = Text("配置错误", "Configuration error")


class ValidationProblem(ProblemError):
    """Data does not have the promised shape."""

    type = standard_type("validation")
    status = 400
    title = Text("数据校验未通过", "Validation error")


class ExpressionProblem(ProblemError):
    """An expression does not compile, or its evaluation failed or went over its budget."""

    type = standard_type("expression")
    status = 400
    title = Text("表达式错误", "Expression error")


class AuthenticationProblem(ProblemError):
    """Nobody knows who is asking."""

    type = standard_type("authentication")
    status = 401
    title = Text("未通过身份认证", "Authentication required")


class AuthorizationProblem(ProblemError):
    """Whoever asks may not do this."""

    type = standard_type("authorization")
    status = 403
    title = Text("没有权限", "Not allowed")


class NotFoundProblem(ProblemError):
    """There is no such thing, or not within the asker's data scope."""

    type = TANDEM_TYPE_PREFIX + "not-found"
    status = 404
    title = Text("未找到", "Not found")


class TimeoutProblem(ProblemError):
    """The time was up."""

    type = standard_type("timeout")
    status = 408
    title = Text("已超时", "Timed out")


class ConflictProblem(ProblemError):
    """Somebody was faster, or the present state does not allow it."""

    type = TANDEM_TYPE_PREFIX + "conflict"
    status = 409
    title = Text("状态冲突", "Conflict")


class PreconditionProblem(ProblemError):
    """The `If-Match` version is stale or missing."""

    type = TANDEM_TYPE_PREFIX + "precondition"
    status = 412
    title = Text("版本已过期", "Stale version")


class RateLimitProblem(ProblemError):
    """Too much at once; `retry_after_s` says when to come back."""

    type = TANDEM_TYPE_PREFIX + "rate-limit"
    status = 429
    title = Text("请求过于频繁", "Too many requests")


class CommunicationProblem(ProblemError):
    """The other side failed or could not be reached."""

    type = standard_type("communication")
    status = 500
    title = Text("通信失败", "Communication error")


class RuntimeProblem(ProblemError):
    """Something of ours failed."""


class UnavailableProblem(ProblemError):
    """It cannot be served now; nothing was lost."""

    type = TANDEM_TYPE_PREFIX + "unavailable"
    status = 503
    title = Text("暂时无法提供服务", "Temporarily unavailable")
