"""What a base earns: in proportion, by tiers, by the package, a bonus on reaching a mark, or a fixed sum.

Bases are in `exact.WEIGHT`, what they earn in `exact.EXACT` of a minor unit. Marks are half-open: a tier reaches from
its own mark to the next one, which is the next one's. A base is never negative, but for what is earned in proportion:
what comes back lowers the base of the period that it was earned in, and the difference is booked.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from domain.settlement.exact import EXACT, WEIGHT


class Step(NamedTuple):
    """mark: from which base on, in whole units. worth: a rate of a tier (`exact.RATE`), or a bonus in minor units.
    flat: what a tier pays beside its rate, in minor units."""

    mark: int
    worth: int
    flat: int = 0


@dataclass(frozen=True, slots=True)
class Proportion:
    """A part of an amount, or a sum for each unit. rate: in `exact.RATE`."""

    rate: int

    def earned(self, base: int) -> int:
        return base * self.rate


@dataclass(frozen=True, slots=True)
class Tiers:
    """`graduated` (分段): each slice at its own rate; `volume` (全额): all of it at the rate that was reached.

    steps: ascending by mark, the first at 0. The first one's flat fee is always due, those of others when something
    lies in their slices; of `volume` it is that of the tier that was reached.
    """

    kind: Literal["graduated", "volume"]
    steps: tuple[Step, ...]

    def earned(self, base: int) -> int:
        if self.kind == "volume":
            reached = next((step for step in reversed(self.steps) if base >= step.mark * WEIGHT), Step(0, 0))
            return base * reached.worth + reached.flat * EXACT
        ends = [*(step.mark * WEIGHT for step in self.steps[1:]), base]
        lows = [step.mark * WEIGHT for step in self.steps]
        slices = zip(self.steps, lows, ends, strict=True)
        flat = sum(step.flat for step, low in zip(self.steps, lows, strict=True) if base > low or not step.mark)
        return sum((min(base, end) - low) * step.worth for step, low, end in slices if base > low) + flat * EXACT


@dataclass(frozen=True, slots=True)
class Package:
    """A price for each block that was begun, after so many free units. size, free: whole units; price: minor units."""

    size: int
    price: int
    free: int = 0

    def earned(self, base: int) -> int:
        blocks = -(-max(base - self.free * WEIGHT, 0) // (self.size * WEIGHT))
        return blocks * self.price * EXACT


@dataclass(frozen=True, slots=True)
class Bonus:
    """A fixed sum on reaching a mark (阶梯奖励). each: every mark that was reached pays, not the highest alone."""

    steps: tuple[Step, ...]
    each: bool = False

    def earned(self, base: int) -> int:
        reached = [step.worth for step in self.steps if base >= step.mark * WEIGHT]
        return (sum(reached) if self.each else (reached or [0])[-1]) * EXACT


@dataclass(frozen=True, slots=True)
class Fixed:
    """A sum for the period, whatever was done in it. amount: minor units."""

    amount: int

    def earned(self, base: int) -> int:
        return self.amount * EXACT


Formula = Proportion | Tiers | Package | Bonus | Fixed
