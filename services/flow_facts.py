"""Facts that flows note: visits, reviews, bookings and scores that settlement pays by, each once for its step."""

from dataclasses import dataclass
from datetime import date
from typing import cast

from domain.access import system_actor
from domain.catalog.payees import NoteFactArguments, NoteFactOutput
from domain.problems import ValidationProblem
from domain.settlement.days import require_day
from domain.settlement.payees import NewFact
from services.noted_facts import FLOW
from services.payee_refusals import noted_otherwise, unknown_fact, unknown_payees
from services.payee_terms import today
from storage.audit import AuditLog
from storage.engine import Database
from storage.fact_names import FactNames
from storage.payee_facts import PayeeFact, PayeeFacts
from storage.payees import Payees
from storage.runs import Runs
from storage.unit_of_work import UnitOfWork

_RUNS = system_actor("runs")


@dataclass(frozen=True, slots=True)
class NotingStep:
    """The step of a run that notes a fact. reference: of its task; key: the same for every attempt of it."""

    run_id: str
    reference: str
    key: str


class FlowFacts:
    """Facts on behalf of flows, whose names stand with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, step: NotingStep, wanted: NoteFactArguments) -> NoteFactOutput:
        """Note a fact, once.

        :raises NotFoundProblem: there is no such payee. :raises ValidationProblem: no scheme goes by such a fact.
        :raises ConflictProblem: it says something else than was noted under its key.
        """
        day, key = _day(wanted), wanted.key or f"run:{step.key}"
        async with UnitOfWork(self._database) as work:
            row = (await Payees(work).rows([wanted.payee])).get(wanted.payee)
            if row is None:
                raise unknown_payees([wanted.payee])
            if wanted.name not in (known := await FactNames(work).known()):
                raise ValidationProblem(unknown_fact(wanted.name, known), name=wanted.name)
            flow = await Runs(work).flow_of(step.run_id) or step.run_id
            fact = PayeeFact(row.id, wanted.name, day, wanted.amount, key)
            new = await PayeeFacts(work).add([fact], FLOW + flow)
            if (other := await PayeeFacts(work).contradicted([fact])) is not None:
                # A key that was made of the run's id may be longer than people's.
                told = NewFact.model_construct(
                    code=wanted.payee, name=wanted.name, day=day, amount=wanted.amount, key=key
                )
                raise noted_otherwise(told, other)
            if new:
                shown = {"name": wanted.name, "day": str(day), "amount": wanted.amount, "key": key}
                details = {"facts": [shown], "run": step.run_id, "step": step.reference}
                await AuditLog(work).record(_RUNS, "payee.facts", f"payee:{wanted.payee}", details, row.placement)
        return NoteFactOutput(day=day, key=key)


def _day(wanted: NoteFactArguments) -> date:
    """The one of the two that is said."""
    return cast(date, wanted.day) if wanted.at is None else require_day(today(wanted.at))
