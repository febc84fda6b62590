"""The one declaration of each capability that a flow can call.

Flows call by declaration, activities implement it, the linter checks against it, and the editor's JSON Schema, the
reference pages and the contract tests are generated from it.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.privacy import Masking, shapes_of
from domain.problems import ConfigurationProblem, Text, ValidationProblem
from domain.validation_texts import reasons

CallKind = Literal["outside", "inside", "flow"]
Effect = Literal["none", "keyed"]


class Arguments(BaseModel):
    """Base of every call's input: an argument that nobody declared is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Result(BaseModel):
    """Base of every call's output: what a platform adds tomorrow must not break a flow today."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often one call is tried again before its error reaches the flow. Times in seconds."""

    attempts: int = 5
    initial_s: float = 1.0
    factor: float = 2.0
    ceiling_s: float = 60.0


async def _told_nobody() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Attempted:
    """When earlier attempts of one effect were at work that may have done it: since the first of them began to act,
    until one was heard of last, or, of one that was cut off, until it can act no longer, which may be still to come.
    did_nothing: to be awaited once it is known that none did, before another one acts."""

    since: datetime
    until: datetime
    did_nothing: Callable[[], Awaitable[None]] = field(default=_told_nobody, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[In, Out]):
    """A capability: what goes in and out, where it runs, how long it may take, how often it is retried.

    kind: `outside` leaves the process for a platform or a service (an activity on `queue`); `inside` is quick work of
        ours (a local activity); `flow` is done by the interpreter itself (waiting, splitting, human tasks).
    effect: `keyed` changes the world: it is recorded in the effect ledger under an idempotency key.
    moves_money: its records are kept as long as those of payments are.
    searches: whether it looks through what was done while earlier attempts were at work, see `Attempted`. One that is
        still looking has done nothing, and is not looked for by the next.
    writes_to: of a call that writes to a customer the argument that names them, and the kind of key that it is: nobody
        who was erased is written to. Its output says `refused`, and `message_id`.
    timeout_s: one attempt. deadline_s: all attempts together, waiting included.
    grants: roles whose holders may publish a definition that uses the call; empty means everybody who may publish.
    example: an output for dry-runs, where nothing outside is touched.
    """

    name: str
    title: Text
    input: type[In]
    output: type[Out]
    kind: CallKind = "outside"
    effect: Effect = "none"
    moves_money: bool = False
    searches: bool = False
    writes_to: Literal["external_userid", "openid"] | None = None
    queue: str = "flows"
    timeout_s: float = 30.0
    deadline_s: float = 600.0
    retry: Retry = field(default_factory=Retry)
    grants: frozenset[str] = frozenset()
    version: str = "1.0.0"
    example: Mapping[str, Any] = field(default_factory=dict)

    def parse_arguments(self, arguments: Mapping[str, Any]) -> In:
        """The typed input; raises ValidationProblem that names each wrong argument."""
        try:
            return self.input.model_validate(dict(arguments))
        except ValidationError as error:
            why = reasons(error)
            raise ValidationProblem(
                Text(f"调用 {self.name} 的参数不正确：{why.zh}", f"Wrong arguments for {self.name}: {why.en}"),
                call=self.name,
            ) from None

    def parse_result(self, result: Any) -> Out:
        """The typed output; raises ValidationProblem when an implementation breaks its promise."""
        try:
            return self.output.model_validate(result)
        except ValidationError as error:
            why = reasons(error)
            raise ValidationProblem(
                Text(
                    f"调用 {self.name} 返回的数据不符合声明：{why.zh}",
                    f"{self.name} returned data that breaks its declaration: {why.en}",
                ),
                call=self.name,
            ) from None


AnyCall = Call[Any, Any]


class Catalog(Mapping[str, AnyCall]):
    """All capabilities by name. Connectors add theirs once, when the process starts."""

    def __init__(self, calls: tuple[AnyCall, ...] = ()) -> None:
        self._calls: dict[str, AnyCall] = {}
        self.register(*calls)

    def register(self, *calls: AnyCall) -> None:
        """Add capabilities; raises ConfigurationProblem when a name is taken by another declaration."""
        for call in calls:
            known = self._calls.setdefault(call.name, call)
            if known is not call:
                raise ConfigurationProblem(
                    Text(
                        f"调用名 {call.name} 已被占用，请换一个名字",
                        f"The call name {call.name} is taken; choose another",
                    )
                )

    def resolve(self, reference: str) -> AnyCall | None:
        """The capability for `name`, `name:version` or `name:version@default`; None when there is none."""
        name, _, rest = reference.partition(":")
        version = rest.removesuffix("@default") if rest else ""
        call = self._calls.get(name.removesuffix("@default"))
        return call if call is not None and version in ("", call.version) else None

    def masking(self) -> Masking:
        """Masking that knows what the calls of this moment declare to be personal."""
        return Masking(shapes_of(model for call in self.values() for model in (call.input, call.output)))

    def __getitem__(self, name: str) -> AnyCall:
        return self._calls[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)
