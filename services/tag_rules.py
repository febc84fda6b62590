"""The tag rules and gradings in force, read once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Generic

import structlog

from domain.definitions import DefinitionKind, DefinitionVersion
from domain.ids import content_digest
from domain.problems import ProblemError
from domain.releases import buckets
from domain.tags import Condition, LiveGrading, LiveRule, rhythms_of
from domain.tags.grading import GRADING
from domain.tags.in_force import InForce, L
from domain.tags.rfm import Breaks
from storage.definitions import Definitions
from storage.grading_breaks import GradingBreaks
from storage.measuring import MEASURE_EVERY
from storage.purchase_rhythms import PurchaseRhythms
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

_MOST_REMEMBERED = 2_000

Measuring = Callable[[UnitOfWork], Awaitable[bool]]
"""Measures something over everybody; False when there was nothing to measure."""


class _Texts(Generic[L]):
    """What the texts of one kind of definition say, each read once."""

    def __init__(self, kind: DefinitionKind, read: Callable[[Mapping[str, Any]], L]) -> None:
        self._kind = kind
        self._read: Callable[[Mapping[str, Any]], L] = read
        self._known: dict[str, L | None] = {}

    async def in_force(self, work: UnitOfWork) -> list[InForce[L]]:
        """What each says, by name. One that this Tandem cannot read is left out, and said in the log once."""
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        found: dict[str, InForce[L]] = {}
        unread: set[str] = set()
        for version in await Definitions(work).all_in_force(self._kind):
            meaning, share = self._meaning(version), version.share_percent
            if meaning is None:
                unread.add(version.name)
            elif share is None:
                found[version.name] = InForce(meaning, version.digest)
            elif version.name not in unread:
                live = found.get(version.name) or InForce(meaning.switched_off(), "")
                found[version.name] = _tried(live, meaning, version.digest, share)
        return list(found.values())

    def _meaning(self, version: DefinitionVersion) -> L | None:
        key = f"{version.digest}/{version.version}"
        if key not in self._known:
            try:
                self._known[key] = self._read(version.properties)
            except ProblemError as problem:
                named = {"kind": self._kind, "name": version.name, "version": version.version}
                log.warning("definition cannot be read", **named, reason=str(problem))
                self._known[key] = None
        return self._known[key]


def _tried(live: InForce[L], candidate: L, digest: str, share_percent: float) -> InForce[L]:
    """Live beside a candidate; a share of nothing is none."""
    drawn = buckets(share_percent)
    return replace(live, candidate=candidate, candidate_digest=digest, buckets=drawn) if drawn else live


class RuleBook:
    """What is in force is asked of the database each time; what a text says is remembered by its digest."""

    def __init__(self) -> None:
        self._rules = _Texts("tag-rule", LiveRule.of)
        self._gradings = _Texts("grading", LiveGrading.of)
        self._usual: tuple[datetime | None, Mapping[str, int]] = (None, {})

    async def current(self, work: UnitOfWork) -> list[InForce[LiveRule]]:
        """Every rule in force that can be read, by name."""
        return [await self._with_intervals(work, each) for each in await self._rules.in_force(work)]

    async def gradings(self, work: UnitOfWork) -> list[InForce[LiveGrading]]:
        """Every grading in force that can be read, by name."""
        found = [await self._with_intervals(work, each) for each in await self._gradings.in_force(work)]
        return await self._with_breaks(work, found)

    async def names(self, work: UnitOfWork) -> set[str]:
        """What checks and backfills call everything in force, be it readable or not."""
        rules, gradings = [await Definitions(work).all_in_force(kind) for kind in ("tag-rule", "grading")]
        return {each.name for each in rules} | {f"{GRADING}:{each.name}" for each in gradings}

    async def _with_intervals(self, work: UnitOfWork, each: InForce[L]) -> InForce[L]:
        digest = each.digest and await self._digest(work, each.digest, each.live.conditions)
        if each.candidate is None:
            return replace(each, digest=digest)
        tried = await self._digest(work, each.candidate_digest, each.candidate.conditions)
        return replace(each, digest=digest, candidate_digest=tried)

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

    async def _with_breaks(self, work: UnitOfWork, found: list[InForce[LiveGrading]]) -> list[InForce[LiveGrading]]:
        """RFM gradings with their segments by the values last measured; without any they wait for the measuring."""
        if not any(version.rfm for each in found for version in each.versions):
            return found
        breaks = await GradingBreaks(work).all()
        ready: list[InForce[LiveGrading]] = []
        for each in found:
            live, candidate = _ranked(each.live, each.digest, breaks), None
            if each.candidate is not None:
                candidate = _ranked(each.candidate, each.candidate_digest, breaks)
            if each.digest and live is None:
                continue
            now = InForce(*live) if live else InForce(each.live, "")
            if candidate is not None:
                now = replace(now, candidate=candidate[0], candidate_digest=candidate[1], buckets=each.buckets)
            ready.append(now)
        return ready

    async def due_measures(self, work: UnitOfWork) -> dict[str, Measuring]:
        """What is to be measured now, by name: the quantiles of RFM gradings that were not for a day, and, where
        something in force asks for them, the usual purchase intervals."""
        found: dict[str, Measuring] = {}
        if await self._has_rhythms(work) and await PurchaseRhythms(work).is_due():
            found["purchase intervals"] = _measure_intervals
        for each in await self._gradings.in_force(work):
            for grading in each.versions:
                is_ranked = grading.active and grading.rfm is not None
                if is_ranked and await GradingBreaks(work).is_due(grading, MEASURE_EVERY):
                    found[f"{grading.key} {grading.version}"] = partial(_measure_breaks, grading)
        return found

    async def _has_rhythms(self, work: UnitOfWork) -> bool:
        everything: list[InForce[Any]] = [*await self.current(work), *await self.gradings(work)]
        conditions = [condition for each in everything for version in each.versions for condition in version.conditions]
        return rhythms_of(conditions) != frozenset()


async def _measure_intervals(work: UnitOfWork) -> bool:
    return await PurchaseRhythms(work).measure()


async def _measure_breaks(grading: LiveGrading, work: UnitOfWork) -> bool:
    return await GradingBreaks(work).measure(grading)


def _ranked(
    grading: LiveGrading, digest: str, breaks: Mapping[tuple[str, str], Breaks]
) -> tuple[LiveGrading, str] | None:
    """A grading by the values last measured; None while it waits for some."""
    known = breaks.get((grading.name, grading.version))
    if grading.rfm is None:
        return grading, digest
    return None if known is None else (grading.with_breaks(known), content_digest(f"{digest} above {known}"))
