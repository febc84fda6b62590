"""A calculation done again from the same frozen numbers, beside the original: whether it comes to the same.

What counts is the original. It is never touched, whatever its repeat comes to: that the two differ is for people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from domain.access import Actor, Permission, system_actor
from domain.problems import ConflictProblem, NotFoundProblem, Text
from storage.audit import AuditLog
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations, names_of
from storage.engine import Database
from storage.payees import Payees
from storage.repeats import RepeatedCalculations
from storage.unit_of_work import UnitOfWork

FIRST_SHOWN = 20
_SETTLEMENT = system_actor("settlement")
_TAKEN_OVER = (
    "scheme",
    "version",
    "text_digest",
    "cycle",
    "start",
    "end",
    "components",
    "parts",
    "sales_upto",
    "facts_upto",
    "rates",
    "members",
    "frozen_at",
)
"""Of the original: everything that its result follows from."""


@dataclass(frozen=True, slots=True)
class DifferingPayee:
    """What a component came to for a payee, by code, and comes to when it is done again; None: nothing was earned."""

    payee: str
    component: str
    title: str
    before_minor: int | None
    now_minor: int | None


@dataclass(frozen=True, slots=True)
class RepeatOutcome:
    """of, digest, total_minor: of the original. same: None until the repeat is computed. differing: how many payees
    have an earning that is another one; first: the first of those."""

    of: UUID
    digest: str | None
    total_minor: int | None
    same: bool | None
    differing: int | None
    first: Sequence[DifferingPayee]


class Repeats:
    """Repeats for who may settle."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(self, actor: Actor, calculation: UUID) -> CalculationRow:
        """Note that a calculation is to be done again, with all that was frozen for it. It is audited.

        :raises NotFoundProblem: no such calculation. :raises ConflictProblem: it is not computed, or a repeat itself.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            original = await Calculations(work).find(calculation)
            if original is None:
                raise NotFoundProblem(Text(f"没有核算 {calculation}", f"There is no calculation {calculation}"))
            if original.repeats is not None:
                raise ConflictProblem(
                    Text(
                        f"这是核算 {original.repeats} 的重算；请重算原来的那一次",
                        f"This repeats the calculation {original.repeats}: repeat that one",
                    )
                )
            if original.state != "computed":
                raise ConflictProblem(
                    Text(
                        f"核算处于 {original.state}，算完之后才能重算",
                        f"The calculation is {original.state}: it can be repeated once it is computed",
                    ),
                    state=original.state,
                )
            frozen = original.model_dump(include=set(_TAKEN_OVER))
            repeat = CalculationRow(
                **frozen,
                id=uuid4(),
                purpose="repeat",
                state="frozen",
                asked_by=actor.login,
                asked_at=work.now,
                repeats=calculation,
            )
            row = await Calculations(work).add(repeat)
            await RepeatedCalculations(work).take_over_members(calculation, row.id)
            await AuditLog(work).record(actor, "settlement.repeat", _target(calculation), {"repeat": str(row.id)})
            return row


async def note_outcome(work: UnitOfWork, repeat: CalculationRow) -> None:
    """Compare a repeat that has just been computed with its original; it is audited. Of others nothing is noted."""
    if repeat.repeats is None or repeat.differing is not None:
        return
    repeat.differing = await RepeatedCalculations(work).count_differing(repeat.repeats, repeat.id)
    outcome = await outcome_of(work, repeat)
    if outcome is not None:
        detail = {"repeat": str(repeat.id), "same": outcome.same, "differing": outcome.differing}
        await AuditLog(work).record(_SETTLEMENT, "settlement.repeated", _target(outcome.of), detail)


async def outcome_of(
    work: UnitOfWork, repeat: CalculationRow, titles: Mapping[str, str] | None = None
) -> RepeatOutcome | None:
    """What a repeat comes to beside its original; None for a calculation that is no repeat."""
    original = await Calculations(work).find(repeat.repeats) if repeat.repeats is not None else None
    if original is None:
        return None
    if repeat.differing is None:
        return RepeatOutcome(original.id, original.digest, original.total_minor, None, None, ())
    totals = (original.digest, original.total_minor)
    same = repeat.differing == 0 and totals == (repeat.digest, repeat.total_minor)
    rows = await RepeatedCalculations(work).differing(original.id, repeat.id, FIRST_SHOWN) if repeat.differing else ()
    codes, names = await Payees(work).codes({each.payee for each in rows}), names_of(repeat)
    first = [
        DifferingPayee(
            codes[each.payee],
            names[each.component],
            (titles or {}).get(names[each.component], names[each.component]),
            each.before_minor,
            each.now_minor,
        )
        for each in rows
    ]
    return RepeatOutcome(original.id, *totals, same, repeat.differing, first)


def _target(calculation: UUID) -> str:
    return f"calculation:{calculation}"
