"""From a declared call to a Temporal activity: secrets filled in, the effect recorded, errors made into failures.

An implementation is `async (arguments, context) -> result`, typed as the call declares; a mismatch fails when the
worker starts. What every call needs happens here, once.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol, get_type_hints

import structlog
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from connectors.acting import LAST_REQUEST, acting_for
from connectors.errors import Outcome, nothing_sent, still_unknown
from domain.calls import AnyCall, Attempted
from domain.ids import canonical_json, content_digest
from domain.problems import ConfigurationProblem, Problem, ProblemError, Text, UnavailableProblem
from storage.effects import Begun, Effects
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from workflows.messages import CallEnvelope

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CallContext:
    """On whose behalf a call is made. key: the same for every attempt. resumed: an earlier attempt may have done it.
    attempted: when earlier ones were at work, if there were any, whether or not they may have."""

    key: str
    resumed: bool
    run_id: str
    reference: str
    subject: str
    attempted: Attempted | None = None

    @property
    def open_attempts(self) -> Attempted | None:
        """When those were at work that may have done it."""
        return self.attempted if self.resumed else None


Implementation = Callable[[Any, CallContext], Awaitable[BaseModel]]
Activity = Callable[[CallEnvelope], Awaitable[Any]]


class SecretValues(Protocol):
    """Whoever knows the values of secrets."""

    async def reveal(self, value: Any) -> Any:
        """The same JSON value, placeholders replaced by secrets; raises AuthorizationProblem when one is missing."""


class CallBinder:
    """Makes activities of implementations, over one database and one store of secrets."""

    def __init__(self, database: Database, secrets: SecretValues) -> None:
        self._database = database
        self._secrets = secrets

    def bind(self, call: AnyCall, implementation: Implementation) -> Activity:
        """The activity named after the call. Raises ConfigurationProblem when the implementation has another shape."""
        _check_shape(call, implementation)

        @activity.defn(name=call.name)
        async def perform(envelope: CallEnvelope) -> Any:
            with structlog.contextvars.bound_contextvars(run=envelope.run_id, call=call.name, step=envelope.reference):
                try:
                    return await self._perform(call, implementation, envelope)
                except ProblemError as error:
                    log.warning("call failed", problem=error.problem.type, status=error.problem.status)
                    raise failure(error.problem) from error

        return perform

    async def _perform(self, call: AnyCall, implementation: Implementation, envelope: CallEnvelope) -> Any:
        if call.effect == "none" or _is_safe(envelope.arguments):
            arguments = await self._arguments(call, envelope)
            context = CallContext(
                envelope.idempotency_key, False, envelope.run_id, envelope.reference, envelope.subject
            )
            return (await implementation(arguments, context)).model_dump(mode="json")
        with acting_for(call.timeout_s):
            return await self._perform_once(call, implementation, envelope)

    async def _arguments(self, call: AnyCall, envelope: CallEnvelope) -> Any:
        return call.parse_arguments(await self._secrets.reveal(envelope.arguments))

    async def _perform_once(self, call: AnyCall, implementation: Implementation, envelope: CallEnvelope) -> Any:
        key = envelope.idempotency_key
        digest = content_digest(canonical_json(envelope.arguments))
        async with UnitOfWork(self._database) as work:
            begun = await Effects(work).begin(
                key,
                call.name,
                digest,
                run_id=envelope.run_id,
                reference=envelope.reference,
                moves_money=call.moves_money,
                searches=call.searches,
                acts_for=timedelta(seconds=call.timeout_s) + LAST_REQUEST,
            )
        if begun.standing == "recorded":
            return begun.answer
        acting = _Acting(self._database, key, begun, searches=call.searches)
        context = CallContext(
            key,
            begun.standing == "resumed",
            envelope.run_id,
            envelope.reference,
            envelope.subject,
            acting.attempted,
        )
        try:
            with nothing_sent():
                arguments = await self._arguments(call, envelope)
            result = (await implementation(arguments, context)).model_dump(mode="json")
        except ProblemError as error:
            outcome = _outcome(error.problem, resumed=context.resumed)
            # Of what is tried again anyway, the platform is asked again.
            is_open = context.resumed and _passes(error.problem)
            # One that got no further than looking for earlier ones leaves what is known of those as it is.
            if acting.began:
                async with UnitOfWork(self._database) as work:
                    if is_open or outcome != "not_done":
                        await Effects(work).mark_unknown(key, error.problem.as_dict(), begun.attempts)
                    else:
                        await Effects(work).fail(key, error.problem.as_dict(), begun.attempts)
            if outcome == "unknown":
                raise still_unknown(error) from error
            raise
        async with UnitOfWork(self._database) as work:
            await Effects(work).finish(key, result)
        return result


class _Acting:
    """Whether an attempt may have done anything yet: one that searches first, only from when it says so."""

    def __init__(self, database: Database, key: str, begun: Begun, *, searches: bool) -> None:
        self._database = database
        self._key = key
        self._attempt = begun.attempts
        self.began = not searches or begun.standing == "new"
        earlier = begun.attempted
        self.attempted = replace(earlier, did_nothing=self._begin) if earlier is not None else None

    async def _begin(self) -> None:
        async with UnitOfWork(self._database) as work:
            await Effects(work).acts(self._key, self._attempt)
        self.began = True


def failure(problem: Problem, *, at_least_s: float = 0.0) -> ApplicationError:
    """The problem as Temporal understands it: whether to try again, and when.

    at_least_s: no sooner than that, where the problem tells a time at all.
    """
    content = problem.as_dict()
    told = content.get("retry_after_s")
    pause = max(float(told), at_least_s) if told else None
    return ApplicationError(
        problem.detail or problem.title or problem.type,
        content,
        type=problem.type,
        non_retryable=not _passes(problem),
        next_retry_delay=timedelta(seconds=pause) if pause else None,
    )


def _outcome(problem: Problem, *, resumed: bool) -> Outcome:
    """What became of an effect, as far as the failure of one attempt tells.

    What keeps a later attempt from acting says nothing of the earlier one that nobody knows of, unless the platform was
    asked about that first: an account that is disconnected meanwhile undoes no payment.
    """
    members = problem.as_dict()
    # Our own database may have gone away after the platform did the work.
    presumed: Outcome = "unknown" if problem.type == UnavailableProblem.type else "not_done"
    told: Outcome = members.get("outcome", presumed)
    return "unknown" if told == "not_done" and resumed and members.get("asked_first") is not True else told


def _passes(problem: Problem) -> bool:
    """Whether the same call may succeed later: a connector says so, and what of ours is away comes back."""
    return bool(problem.as_dict().get("retryable", problem.type == UnavailableProblem.type))


def _is_safe(arguments: Mapping[str, Any]) -> bool:
    """Whether this is an HTTP request that changes nothing by the protocol's own word (RFC 9110, 9.2.1)."""
    return str(arguments.get("method", "")).lower() in ("get", "head", "options")


def _check_shape(call: AnyCall, implementation: Implementation) -> None:
    signature = inspect.signature(implementation)
    hints = get_type_hints(implementation)
    first = next(iter(signature.parameters), "")
    expected = f"async ({call.input.__name__}, CallContext) -> {call.output.__name__}"
    if len(signature.parameters) != 2 or hints.get(first) is not call.input or hints.get("return") is not call.output:
        raise ConfigurationProblem(
            Text(
                f"{call.name} 的实现与声明不一致：应为 {expected}",
                f"The implementation of {call.name} breaks its declaration: it must be {expected}",
            )
        )
