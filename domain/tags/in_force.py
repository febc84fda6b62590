"""Which version of a tag rule or grading a customer has: the one in force, or one that is tried out on a share.

Customers are drawn as the subjects of flows are (`domain.releases`): by a stable hash of their id, for each rule apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from domain.releases import BUCKETS, bucket_of
from domain.tags.grading import LiveGrading
from domain.tags.rules import LiveRule

L = TypeVar("L", LiveRule, LiveGrading)


class Buckets(NamedTuple):
    """The buckets from `first` on, before `end`."""

    first: int = 0
    end: int = BUCKETS

    @property
    def is_all(self) -> bool:
        return self.first == 0 and self.end == BUCKETS

    def around(self, other: "Buckets") -> "Buckets":
        """The least range that holds both."""
        if self.first >= self.end or other.first >= other.end:
            return max(self, other, key=lambda each: each.end - each.first)
        return Buckets(min(self.first, other.first), max(self.end, other.end))


NO_BUCKETS = Buckets(0, 0)


@dataclass(frozen=True, slots=True)
class Spread:
    """Which text whom: `candidate` the first `buckets`, `stable` the others. Texts by digest, empty for none."""

    stable: str = ""
    candidate: str = ""
    buckets: int = 0

    def at(self, bucket: int) -> str:
        """The text of a bucket."""
        return self.candidate if bucket < self.buckets else self.stable


def moved(before: Spread, after: Spread) -> Buckets:
    """The buckets outside which everybody keeps their text."""
    cuts = sorted({0, before.buckets, after.buckets, BUCKETS})
    changed = [Buckets(*each) for each in pairwise(cuts) if before.at(each[0]) != after.at(each[0])]
    return Buckets(changed[0].first, changed[-1].end) if changed else NO_BUCKETS


@dataclass(frozen=True, slots=True)
class InForce(Generic[L]):
    """live: what counts for everybody but the first `buckets` buckets, who have the candidate; digest: of its text.

    A rule of which no version is in force yet is live as one that is switched off, with no digest.
    """

    live: L
    digest: str
    candidate: L | None = None
    candidate_digest: str = ""
    buckets: int = 0

    @property
    def key(self) -> str:
        return self.live.key

    @property
    def versions(self) -> Sequence[L]:
        """Every version that some customer has."""
        return (self.live,) if self.candidate is None else (self.live, self.candidate)

    @property
    def spread(self) -> Spread:
        return Spread(self.digest, self.candidate_digest, self.buckets)

    @property
    def share_percent(self) -> float | None:
        """The share of the candidate, None without one."""
        return None if self.candidate is None else self.buckets * 100 / BUCKETS

    def bucket(self, customer: UUID) -> int:
        """Where a customer stands in the draw for this rule or grading."""
        return bucket_of(self.key, f"customer:{customer}")

    def version_for(self, customer: UUID) -> L:
        """The version that decides about a customer."""
        if self.candidate is not None and self.bucket(customer) < self.buckets:
            return self.candidate
        return self.live

    def decides_about(self, customer: UUID) -> L | None:
        """As `version_for`, but None where no version counts for them yet."""
        version = self.version_for(customer)
        return None if version is self.live and not self.digest else version

    def parted(self, customers: Iterable[UUID], among: Buckets) -> Iterator[tuple[L, list[UUID]]]:
        """The customers in these buckets by the version that decides about them."""
        live: list[UUID] = []
        drawn: list[UUID] = []
        for customer in customers:
            bucket = self.bucket(customer)
            if among.first <= bucket < among.end:
                (drawn if bucket < self.buckets else live).append(customer)
        if live:
            yield self.live, live
        if drawn and self.candidate is not None:
            yield self.candidate, drawn
