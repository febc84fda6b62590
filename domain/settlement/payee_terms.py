"""What holds of a payee from a day on: their role, their own cycle, whether they are paid at all.

A settlement sees payees as they were in its period. So that no day of theirs is in two periods, a cycle changes only
where both the old one and the new one begin a period.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from domain.problems import Text, ValidationProblem
from domain.settlement.periods import next_common_start
from domain.settlement.scheme import Cycle, Scheme


class PayeeTerms(NamedTuple):
    """What holds from a Shanghai day on, until the next such terms. cycle: None for each scheme's own."""

    since: date
    role: str
    cycle: Cycle | None = None
    active: bool = True

    @property
    def same_but_day(self) -> tuple[str, Cycle | None, bool]:
        return self.role, self.cycle, self.active


class PeriodStanding(NamedTuple):
    """How a payee stands in a period. is_present: active on some day of it; others are paid for what they sold and did
    on its days, and for nothing else."""

    role: str
    cycle: Cycle | None
    is_present: bool


def begun_by(terms: Sequence[PayeeTerms], day: date) -> PayeeTerms | None:
    """The terms that hold on a day; None before the first. terms: in order."""
    return next((each for each in reversed(terms) if each.since <= day), None)


def holding_on(terms: Sequence[PayeeTerms], day: date) -> PayeeTerms:
    """The terms that hold on a day; before the first ones those. terms: in order, at least one."""
    return begun_by(terms, day) or terms[0]


def standing_in(terms: Sequence[PayeeTerms], start: date, end: date) -> PeriodStanding:
    """How a payee stands in the period `[start, end)`: by the last day in it on which they were active; who was not on
    any, by its last day. `payees_standing` in the database says the same."""
    active = [
        each for each, until in _spans(terms) if each.active and each.since < end and (not until or until > start)
    ]
    last = active[-1] if active else holding_on(terms, end - timedelta(days=1))
    return PeriodStanding(last.role, last.cycle, bool(active))


def is_paid_by(scheme: Scheme, standing: PeriodStanding, cycle: Cycle) -> bool:
    """Whether somebody who stands so is present in periods of this cycle of a scheme."""
    return standing.is_present and takes_part(scheme, standing.role) and (standing.cycle or scheme.cycle) == cycle


def takes_part(scheme: Scheme, role: str) -> bool:
    return not scheme.roles or role in scheme.roles


def with_terms(terms: Sequence[PayeeTerms], told: PayeeTerms) -> list[PayeeTerms]:
    """The terms with new ones; those that began the same day are replaced, later ones stay."""
    return sorted([*(each for each in terms if each.since != told.since), told])


def refuse_split_periods(code: str, terms: Sequence[PayeeTerms], changed: date, schemes: Collection[Scheme]) -> None:
    """Returns when no period is cut by a change of cycle on this day, or by the next one after it.

    schemes: in force; a payee without a cycle of their own has that of each scheme their role takes part in.

    :raises ValidationProblem: one is; it names the next day that both cycles have in common.
    """
    for before, after in pairwise(terms):
        if changed not in (before.since, after.since):
            continue
        for old, new in sorted(_cycles(before, after, schemes)):
            day = next_common_start((old, new), after.since)
            if day != after.since:
                raise ValidationProblem(
                    Text(
                        f"收款人 {code} 的周期不能在 {after.since} 从 {old} 改为 {new}：有的日子会结算两次。"
                        f"下一个可改的日子是 {day}，请用 since 写明",
                        f"The cycle of the payee {code} cannot change from {old} to {new} on {after.since}: some days "
                        f"would be settled twice. The next day on which it can is {day}: say so by `since`",
                    ),
                    code=code,
                    next_day=str(day),
                )


def _cycles(before: PayeeTerms, after: PayeeTerms, schemes: Collection[Scheme]) -> set[tuple[Cycle, Cycle]]:
    """From which cycles to which others a payee passes."""
    found = {
        (before.cycle or each.cycle, after.cycle or each.cycle)
        for each in schemes
        if takes_part(each, before.role) or takes_part(each, after.role)
    }
    if before.cycle is not None and after.cycle is not None:
        found.add((before.cycle, after.cycle))
    return {each for each in found if each[0] != each[1]}


def _spans(terms: Sequence[PayeeTerms]) -> Iterator[tuple[PayeeTerms, date | None]]:
    """Each with the day on which the next ones begin."""
    yield from zip(terms, [*(each.since for each in terms[1:]), None], strict=True)
