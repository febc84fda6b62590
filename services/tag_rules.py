"""The tag rules and gradings in force, read once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog

from domain.definitions import DefinitionKind
from domain.ids import content_digest
from domain.problems import ProblemError
from domain.tags import Condition, LiveGrading, LiveRule, rhythms_of
from domain.tags.grading import conditions_of
from storage.definitions import Definitions
from storage.grading_breaks import GradingBreaks
from storage.measuring import MEASURE_EVERY
from storage.purchase_rhythms import PurchaseRhythms
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

_MOST_REMEMBERED = 2_000

L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule, and the digest of its text."""

    rule: LiveRule
    digest: str


@dataclass(frozen=True, slots=True)
class GradingInForce:
    """A grading, and the digest of its text."""

    grading: LiveGrading
    digest: str


class _Texts(Generic[L]):
    """What the texts of one kind of definition say, each read once."""

    def __init__(self, kind: DefinitionKind, read: Callable[[Mapping[str, Any]], L]) -> None:
        self._kind = kind
        self._read = read
        self._known: dict[str, L | None] = {}

    async def in_force(self, work: UnitOfWork) -> list[tuple[str, L]]:
        """Digest and meaning of each in force, by name. One that this Tandem cannot read is left out, and said in the
        log once."""
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        found: list[tuple[str, L]] = []
        for version in await Definitions(work).all_in_force(self._kind):
            key = f"{version.digest}/{version.version}"
            if key not in self._known:
                try:
                    self._known[key] = self._read(version.properties)
                except ProblemError as problem:
                    named = {"kind": self._kind, "name": version.name, "version": version.version}
                    log.warning("definition cannot be read", **named, reason=str(problem))
                    self._known[key] = None
            meaning = self._known[key]
            if meaning is not None:
                found.append((version.digest, meaning))
        return found


class RuleBook:
    """What is in force is asked of the database each time; what a text says is remembered by its digest."""

    def __init__(self) -> None:
        self._rules = _Texts("tag-rule", LiveRule.of)
        self._gradings = _Texts("grading", LiveGrading.of)
        self._usual: tuple[datetime | None, Mapping[str, int]] = (None, {})

    async def current(self, work: UnitOfWork) -> list[RuleInForce]:
        """Every rule in force that can be read, by name."""
        found: list[RuleInForce] = []
        for digest, rule in await self._rules.in_force(work):
            conditions = () if rule.condition is None else (rule.condition,)
            found.append(RuleInForce(rule, await self._digest(work, digest, conditions)))
        return found

    async def gradings(self, work: UnitOfWork) -> list[GradingInForce]:
        """Every grading in force that can be read, by name."""
        found: list[GradingInForce] = []
        for digest, grading in await self._gradings.in_force(work):
            found.append(GradingInForce(grading, await self._digest(work, digest, conditions_of(grading))))
        return await self._with_breaks(work, found)

    async def _digest(self, work: UnitOfWork, digest: str, conditions: Sequence[Condition]) -> str:
        """Of a text and of the usual intervals it goes by: when they change, everybody is looked at anew."""
        categories = rhythms_of(conditions)
        if categories is not None and not categories:
            return digest
        rhythms = PurchaseRhythms(work)
        measured_at = await rhythms.measured_at()
        if measured_at != self._usual[0]:
            self._usual = (measured_at, await rhythms.usual())
        known = sorted(
            (category, days)
            for category, days in self._usual[1].items()
            if categories is None or category in categories
        )
        return content_digest(f"{digest} {known}")

    async def _with_breaks(self, work: UnitOfWork, found: list[GradingInForce]) -> list[GradingInForce]:
        """RFM gradings with their segments by the values last measured; without any they wait for the measuring."""
        if not any(each.grading.rfm for each in found):
            return found
        breaks = await GradingBreaks(work).all()
        ready: list[GradingInForce] = []
        for each in found:
            known = breaks.get((each.grading.name, each.grading.version))
            if each.grading.rfm is None:
                ready.append(each)
            elif known is not None:
                digest = content_digest(f"{each.digest} {known}")
                ready.append(GradingInForce(each.grading.with_breaks(known), digest))
        return ready

    async def measure(self, work: UnitOfWork, older_than: timedelta = MEASURE_EVERY) -> int:
        """Measure the quantiles of RFM gradings that were not measured for so long, and, where something in force asks
        for them, the usual purchase intervals; how many."""
        breaks = GradingBreaks(work)
        measured = int(await self._has_rhythms(work) and await PurchaseRhythms(work).measure())
        for _, grading in await self._gradings.in_force(work):
            if grading.rfm is not None and await breaks.is_due(grading, older_than):
                measured += await breaks.measure(grading)
        return measured

    async def _has_rhythms(self, work: UnitOfWork) -> bool:
        conditions = [each.rule.condition for each in await self.current(work) if each.rule.condition is not None]
        for each in await self.gradings(work):
            conditions += conditions_of(each.grading)
        return rhythms_of(conditions) != frozenset()
