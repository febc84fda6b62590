"""Who may enter a flow: once for each customer, order or whatever its definition counts by (`domain.enrolments`).

A run's row is the enrolment. Names are locked before they are looked up, a customer's under all ids it ever had, so
that of two dispatchers the second sees what the first let in, also while customers become one.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.enrolments import CUSTOMER, Enrolment
from services.run_starts import NewRun
from storage.identities import Customers
from storage.locks import lock_all
from storage.runs import EnrolledRun, Runs
from storage.unit_of_work import UnitOfWork

_CUSTOMER = f"{CUSTOMER}:"
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Applicant:
    """name: what the run will stand under. names: that and every earlier name of the same."""

    run: NewRun
    rule: Enrolment
    name: str
    names: Sequence[str]


async def admit(work: UnitOfWork, runs: Sequence[NewRun]) -> list[NewRun]:
    """Those of the runs to be that may start, in order; a run that is there already is among them and starts nothing.

    An event that names nobody of the kind that its flow counts by is let in: there is nothing to count.
    """
    applicants = await _applicants(work, runs)
    if not applicants:
        return list(runs)
    names = {name for each in applicants.values() for name in each.names}
    await lock_all(work, sorted(f"enrolment:{name}" for name in names))
    entered: dict[_Key, list[tuple[str, datetime]]] = defaultdict(list)
    for found in await Runs(work).enrolled(names):
        entered[found.namespace, found.name, found.enrolled].append((found.id, found.entered_at))
    admitted: list[NewRun] = []
    for run in runs:
        applicant = applicants.get(run.id)
        if applicant is None:
            admitted.append(run)
        elif _may_enter(applicant, entered, work.now):
            key = (run.version.namespace, run.version.name, applicant.name)
            entered[key].append((run.id, work.now))
            admitted.append(replace(run, enrolled=applicant.name))
    return admitted


async def doubled_by_merge(
    work: UnitOfWork, merges: Mapping[int, Sequence[str]], rule_of: Callable[[str, str], Enrolment | None]
) -> dict[int, list[EnrolledRun]]:
    """Of the open runs that took in customers who are one now, those that would not have been let in after the others.

    merges: the subjects of each merge, by its number; so is the answer, without merges that doubled nothing. rule_of:
    how often a flow, by namespace and name, takes somebody in; None for one that is not released any more.
    """
    asked = {each for subjects in merges.values() for subject in subjects if (each := _customer_id(subject))}
    known = await _names_of(work, sorted(asked))
    doubled: dict[int, list[EnrolledRun]] = {}
    if not await Runs(work).enrolled({name for names in known.values() for name in names}, is_open=True):
        return doubled
    await lock_all(work, sorted({f"enrolment:{name}" for names in known.values() for name in names}))
    for number, subjects in merges.items():
        named = {name for subject in subjects if (each := _customer_id(subject)) for name in known.get(each, ())}
        by_flow: dict[tuple[str, str], list[EnrolledRun]] = defaultdict(list)
        for run in await Runs(work).enrolled(named):
            by_flow[run.namespace, run.name].append(run)
        surplus = [run for flow, found in by_flow.items() for run in _surplus(found, rule_of(*flow))]
        if surplus:
            doubled[number] = surplus
    return doubled


def _surplus(entered: Sequence[EnrolledRun], rule: Enrolment | None) -> list[EnrolledRun]:
    """The open ones that came too soon after one that stays, ended or not; `entered`: the oldest first."""
    stays: EnrolledRun | None = None
    surplus: list[EnrolledRun] = []
    for run in entered:
        again = rule.again if rule is not None else None
        # Two at the same time are never right, however long ago the first one came.
        is_free = stays is None or (
            again is not None and stays.entered_at + again <= run.entered_at and not stays.is_open
        )
        if is_free or not run.is_open:
            stays = run
        else:
            surplus.append(run)
    return surplus


def _may_enter(applicant: _Applicant, entered: Mapping[_Key, list[tuple[str, datetime]]], now: datetime) -> bool:
    flow = (applicant.run.version.namespace, applicant.run.version.name)
    earlier = [each for name in applicant.names for each in entered.get((*flow, name), ())]
    if any(run_id == applicant.run.id for run_id, _ in earlier):
        return True
    again = applicant.rule.again
    return not any(again is None or at + again > now for _, at in earlier)


async def _applicants(work: UnitOfWork, runs: Sequence[NewRun]) -> dict[str, _Applicant]:
    """By run, those whose flow counts whom it takes in, and whose event names one."""
    chosen: list[tuple[NewRun, Enrolment, str]] = []
    for run in runs:
        rule = run.version.traits.enrolment
        of_kind = [each for each in run.subjects if rule is not None and each.startswith(f"{rule.per}:")]
        if rule is not None and of_kind:
            # A customer whom we know comes before what one platform calls them.
            best = next(filter(_customer_id, of_kind), of_kind[0]) if rule.per == CUSTOMER else of_kind[0]
            chosen.append((run, rule, best))
    known = await _names_of(work, [each for _, _, name in chosen if (each := _customer_id(name)) is not None])
    found: dict[str, _Applicant] = {}
    for run, rule, name in chosen:
        customer = _customer_id(name)
        names = known.get(customer, [name]) if customer is not None else [name]
        found[run.id] = _Applicant(run, rule, names[0], names)
    return found


async def _names_of(work: UnitOfWork, customers: Sequence[UUID]) -> Mapping[UUID, Sequence[str]]:
    """The subjects of each customer, today's first, then those of their former ids."""
    if not customers:
        return {}
    currents = await Customers(work).currents(set(customers))
    aliases = await Customers(work).aliases(set(currents.values()))
    return {
        asked: [f"{_CUSTOMER}{each}" for each in dict.fromkeys((current, *aliases.get(current, ()), asked))]
        for asked, current in currents.items()
    }


def _customer_id(subject: str) -> UUID | None:
    """The id in `customer:{id}`; None for `customer:wecom/wm…` and everything else."""
    if not subject.startswith(_CUSTOMER):
        return None
    try:
        return UUID(subject.removeprefix(_CUSTOMER))
    except ValueError:
        return None
