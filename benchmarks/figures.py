"""One measured figure, and how a table of them is printed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table.

    values: one per repetition; the median counts. baseline: the same figure of what it is compared with, measured in
    turns with it. aim: what it should reach, on the value or (`aim_on_ratio`) on value / baseline. limit: what could
    not be exceeded on this machine, for the column that says how far from it the figure is.
    """

    name: str
    values: Sequence[float]
    unit: str = ""
    better: Better = "higher"
    baseline: Sequence[float] = ()
    against: str = ""
    aim: float | None = None
    aim_on_ratio: bool = False
    limit: Sequence[float] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of neighbouring repetitions: drift of the machine falls out."""
        pairs = list(zip(self.values, self.baseline, strict=False))
        return statistics.median(value / base for value, base in pairs if base) if pairs else None

    @property
    def of_limit(self) -> float | None:
        """Which part of the limit is reached: 1 is all of it."""
        if not self.limit:
            return None
        limit = statistics.median(self.limit)
        return self.median / limit if self.better == "higher" else limit / self.median

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None when there is none."""
        measured = self.ratio if self.aim_on_ratio else self.median
        if self.aim is None or measured is None:
            return None
        return measured >= self.aim if self.better == "higher" else measured <= self.aim

    def cells(self) -> list[str]:
        spread = f"{_number(min(self.values))}–{_number(max(self.values))}" if len(self.values) > 1 else ""
        aim = ""
        if self.aim is not None:
            sign = "≥" if self.better == "higher" else "≤"
            aim = f"{sign} {_number(self.aim)} {'×' if self.aim_on_ratio else self.unit}".rstrip()
        return [
            self.name,
            f"{_number(self.median)} {self.unit}".rstrip(),
            spread,
            f"{self.ratio:.2f} × {self.against}".rstrip() if self.ratio is not None else "",
            f"{self.of_limit:.0%}" if self.of_limit is not None else "",
            aim,
            {True: "ok", False: "short", None: ""}[self.reached],
        ]


HEADINGS = ("figure", "median", "range", "ratio", "of limit", "aim", "")


def table(title: str, figures: Sequence[Figure], note: str = "") -> str:
    """The figures of one topic as text."""
    rows = [list(HEADINGS), *(figure.cells() for figure in figures)]
    columns = [number for number in range(len(HEADINGS)) if any(row[number] for row in rows[1:])]
    widths = {number: max(len(row[number]) for row in rows) for number in columns}
    lines = ["  ".join(row[number].ljust(widths[number]) for number in columns).rstrip() for row in rows]
    rule = "  ".join("-" * widths[number] for number in columns)
    return "\n".join(["", title, *([note] if note else []), "", lines[0], rule, *lines[1:]])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
