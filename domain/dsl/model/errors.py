"""Errors, which of them are caught, and how often to try again."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictInt, model_validator

from domain.dsl.model.base import DslModel, Duration, require_one_of, something_given


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
    with_: Annotated[ErrorFilter, AfterValidator(something_given)] | None = None


class Backoff(DslModel):
    constant: dict[str, Any] | None = None
    linear: dict[str, Any] | None = None
    exponential: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Backoff":
        require_one_of(self, "constant", "linear", "exponential")
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
