"""What is released right now, kept in memory and never stale: one small query tells whether anything changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.definitions import DefinitionVersion
from domain.dsl.definition import ANY_TYPE, consumed_types
from domain.releases import NOTHING_RELEASED, ReleaseState, choose_version
from storage.definitions import Definitions
from storage.releases import Releases, Trigger
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ReleaseSnapshot:
    """Every release at one moment. versions: of all that is released, by (namespace, name, version)."""

    watermark: int = -1
    states: Mapping[tuple[str, str], ReleaseState] = field(default_factory=dict)
    versions: Mapping[tuple[str, str, str], DefinitionVersion] = field(default_factory=dict)
    triggers_by_type: Mapping[str, Sequence[Trigger]] = field(default_factory=dict)

    def state(self, namespace: str, name: str) -> ReleaseState:
        return self.states.get((namespace, name), NOTHING_RELEASED)

    def choose(self, namespace: str, name: str, subject: str) -> DefinitionVersion | None:
        """The version a new run of this subject gets; None when the flow is not released to it."""
        version = choose_version(self.state(namespace, name), f"{namespace}/{name}", subject)
        return self.versions.get((namespace, name, version)) if version is not None else None

    def triggers(self, event_type: str) -> Sequence[Trigger]:
        """The triggers that could want an event of this type."""
        return (*self.triggers_by_type.get(event_type, ()), *self.triggers_by_type.get(ANY_TYPE, ()))


class ReleaseBook:
    """One per process, shared by everything that starts runs."""

    def __init__(self) -> None:
        self._snapshot = ReleaseSnapshot()

    async def current(self, work: UnitOfWork) -> ReleaseSnapshot:
        """The releases as this unit of work sees them."""
        releases = Releases(work)
        watermark = await releases.watermark()
        if watermark != self._snapshot.watermark:
            self._snapshot = await _load(work, watermark)
        return self._snapshot


async def _load(work: UnitOfWork, watermark: int) -> ReleaseSnapshot:
    states = await Releases(work).all_states()
    versions = await Definitions(work).known(
        [("flow", *flow, version) for flow, state in states.items() for version in state.versions]
    )
    by_type: dict[str, list[Trigger]] = {}
    for trigger in await Releases(work).triggers():
        for event_type in sorted(set(consumed_types(trigger.consumption))):
            by_type.setdefault(event_type, []).append(trigger)
    return ReleaseSnapshot(
        watermark=watermark,
        states=states,
        versions={key[1:]: version for key, version in versions.items()},
        triggers_by_type=by_type,
    )
