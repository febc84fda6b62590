"""Who may enter a flow: once for each customer, order or whatever its definition counts by (`domain.enrolments`).

A run's row is the enrolment. Names are locked before they are looked up, a customer's under all ids it ever had, so
that of two dispatchers the second sees what the first let in, also while customers become one.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.access import Actor
from domain.enrolments import CUSTOMER, Enrolment
from domain.events import rfc3339
from domain.problems import ConflictProblem, Text
from services.run_starts import NewRun
from storage.definitions import Definitions
from storage.identities import Customers
from storage.locks import lock_all
from storage.run_enrolments import EnrolledRun, RunEnrolments
from storage.runs import RunRow, Runs
from storage.unit_of_work import UnitOfWork

_CUSTOMER = f"{CUSTOMER}:"
_SHOPS_OWN = frozenset({"order", "refund"})
"""Kinds that each shop numbers for itself: the same number elsewhere is something else."""
_Key = tuple[str, str, str]


class _Entry(NamedTuple):
    """A run that took somebody in, when, whether it has not ended, and the shop it came from, if from one."""

    run_id: str
    at: datetime
    is_open: bool
    account_id: str | None


@dataclass(frozen=True, slots=True)
class _Applicant:
    """name: what the run will stand under. names: that and every earlier name of the same."""

    run: NewRun
    rule: Enrolment
    name: str
    names: Sequence[str]

    def is_meant_by(self, entry: _Entry) -> bool:
        """Whether an entry under one of the names is of the same. A number without a shop may be any shop's."""
        shops = {self.run.placement.account_id, entry.account_id} - {None}
        return self.rule.per not in _SHOPS_OWN or len(shops) < 2


async def admit(work: UnitOfWork, runs: Sequence[NewRun]) -> list[NewRun]:
    """Those of the runs to be that may start, in order; a run that is there already is among them and starts nothing.

    An event that names nobody of the kind that its flow counts by is let in: there is nothing to count.
    """
    applicants = await _applicants(work, runs)
    if not applicants:
        return list(runs)
    entered = await _entered(work, applicants.values())
    admitted: list[NewRun] = []
    for run in runs:
        applicant = applicants.get(run.id)
        if applicant is None:
            admitted.append(run)
        elif _in_the_way(applicant, entered, work.now) is None:
            key = (run.version.namespace, run.version.name, applicant.name)
            entered[key].append(_Entry(run.id, work.now, is_open=True, account_id=run.placement.account_id))
            admitted.append(replace(run, enrolled=applicant.name))
    return admitted


async def enrol(work: UnitOfWork, run: NewRun, actor: Actor) -> NewRun:
    """The run that somebody wants to start, with whom it takes in; it counts as one that an event started does.

    :raises ConflictProblem: whom it is about is in already, or was, and may not enter again (yet). It names the run
        when the actor may see it.
    """
    applicant = (await _applicants(work, [run])).get(run.id)
    if applicant is None:
        return run
    earlier = _in_the_way(applicant, await _entered(work, [applicant]), work.now)
    if earlier is not None:
        raise await _taken(work, applicant, earlier, actor)
    return replace(run, enrolled=applicant.name)


async def _taken(work: UnitOfWork, applicant: _Applicant, earlier: _Entry, actor: Actor) -> ConflictProblem:
    run_id, at = earlier.run_id, earlier.at
    again = applicant.rule.again
    is_over = again is not None and at + again <= work.now
    free_at = rfc3339(at + again) if again is not None and not is_over else None
    once = (
        Text("那次运行尚未结束，结束后才能再次进入。", "that run is still open, so nothing was started.")
        if is_over
        else Text("每个只进入一次，不再启动。", "it enters once, so nothing was started.")
    )
    flow = f"{applicant.run.version.namespace}/{applicant.run.version.name}"
    seen = await Runs(work).find(run_id, actor.scope)
    zh, en = (f"（运行 {run_id}）", f" by run {run_id}") if seen is not None else ("", "")
    members = {"run": run_id, "phase": seen.phase} if seen is not None else {}
    return ConflictProblem(
        Text(
            f"{applicant.name} 已于 {rfc3339(at)} 进入过流程 {flow}{zh}，"
            + (f"{free_at} 之后才能再次进入。" if free_at else once.zh),
            f"{applicant.name} was taken into {flow} at {rfc3339(at)}{en}; "
            + (f"it may enter again after {free_at}." if free_at else once.en),
        ),
        enrolled=applicant.name,
        enrolled_at=rfc3339(at),
        free_at=free_at,
        **members,
    )


async def is_doubled(work: UnitOfWork, run_id: str) -> bool:
    """Whether another run of the flow is the one that writes to whom this run, or the one it is a part of, took in.

    Such a run is cancelled soon after the merge, but not at its very moment: whoever does something for it that cannot
    be taken back asks first, and says `reaches` in the same unit of work when it goes on. Until that ends nobody else
    is told the same about the same customer, so of two that ask one is refused.
    """
    run = await _enrolled_root(work, run_id)
    if run is None:
        return False
    # What is asked for is still being done, also when the run is told to have ended meanwhile.
    found = [replace(each, is_open=True) if each.id == run.id else each for each in await _beside(work, run)]
    if len(found) < 2:
        return False
    version = await Definitions(work).get(("flow", run.namespace, run.name, run.version))
    rule = version.traits.enrolment if version is not None else None
    idle = await RunEnrolments(work).idle([each.id for each in found if not each.is_open])
    return run.id in {each.id for each in _surplus(found, rule, idle)}


async def reaches(work: UnitOfWork, run_id: str) -> None:
    """Let the run, or the one that it is a part of, be the one that writes to whom it took in, after `is_doubled`.

    One that was it before, and ended without writing, is not any more: an attempt of it that comes late is refused.
    """
    run = await _enrolled_root(work, run_id)
    if run is None or run.reached_at is not None:
        return
    await RunEnrolments(work).note_reached(run.id)
    before = [
        each.id for each in await _beside(work, run) if each.id != run.id and not each.is_open and each.reached_at
    ]
    if before:
        await RunEnrolments(work).release(await RunEnrolments(work).idle(before))


async def _beside(work: UnitOfWork, run: RunRow) -> list[EnrolledRun]:
    """The runs of the same flow that took in the same customer, this one among them; none when it took in none. Nobody
    else lets one in, or be the one that writes, until the unit of work ends."""
    customer = _customer_id(run.enrolled or "")
    if customer is None:
        return []
    found = await RunEnrolments(work).enrolled(await _locked_names(work, customer))
    return [each for each in found if (each.namespace, each.name) == (run.namespace, run.name)]


async def _locked_names(work: UnitOfWork, customer: UUID) -> set[str]:
    """All names of the customer; they are asked for again once they are locked, for a merge may have come between."""
    locked: set[str] = set()
    while more := set((await _names_of(work, [customer])).get(customer, ())) - locked:
        await lock_all(work, sorted(f"enrolment:{name}" for name in more))
        locked |= more
    return locked


async def _enrolled_root(work: UnitOfWork, run_id: str) -> RunRow | None:
    """The run that took somebody in, for itself or for those that it started; None when none did."""
    row = (await Runs(work).rows([run_id])).get(run_id)
    while row is not None and row.enrolled is None:
        row = (await Runs(work).rows([row.parent_id])).get(row.parent_id) if row.parent_id is not None else None
    return row


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
    if not await RunEnrolments(work).enrolled({name for names in known.values() for name in names}, is_open=True):
        return doubled
    await lock_all(work, sorted({f"enrolment:{name}" for names in known.values() for name in names}))
    for number, subjects in merges.items():
        named = {name for subject in subjects if (each := _customer_id(subject)) for name in known.get(each, ())}
        by_flow: dict[tuple[str, str], list[EnrolledRun]] = defaultdict(list)
        for run in await RunEnrolments(work).enrolled(named):
            by_flow[run.namespace, run.name].append(run)
        ended = [run.id for found in by_flow.values() if len(found) > 1 for run in found if not run.is_open]
        idle = await RunEnrolments(work).idle(ended)
        surplus = [run for flow, found in by_flow.items() for run in _surplus(found, rule_of(*flow), idle)]
        if surplus:
            doubled[number] = surplus
    return doubled


def _surplus(entered: Sequence[EnrolledRun], rule: Enrolment | None, idle: Collection[str]) -> list[EnrolledRun]:
    """The open ones beside one that stays, ended or not; `entered`: the oldest first.

    The first that wrote to them stays, for the other would say it again; when none did, the first that took them in.
    One that ended without having done anything (`idle`) leaves it to the other: too little was known of them, the
    moment was bad, or it failed.
    """
    again = rule.again if rule is not None else None
    staying: list[EnrolledRun] = []
    surplus: list[EnrolledRun] = []
    counting = [each for each in entered if each.id not in idle]
    for run in sorted(counting, key=lambda each: (each.reached_at is None, each.reached_at or each.entered_at)):
        collides = run.is_open and any(_collide(run, other, again) for other in staying)
        (surplus if collides else staying).append(run)
    return surplus


def _collide(one: EnrolledRun, other: EnrolledRun, again: timedelta | None) -> bool:
    """Whether the later of the two came too soon. Two at the same time are never right, however long ago one came."""
    earlier, later = sorted((one, other), key=lambda each: each.entered_at)
    return again is None or earlier.is_open or earlier.entered_at + again > later.entered_at


async def _entered(work: UnitOfWork, applicants: Iterable[_Applicant]) -> dict[_Key, list[_Entry]]:
    """Who entered which flow, under the names of these; nobody else lets one of them in until the transaction ends."""
    names = {name for each in applicants for name in each.names}
    await lock_all(work, sorted(f"enrolment:{name}" for name in names))
    entered: dict[_Key, list[_Entry]] = defaultdict(list)
    for found in await RunEnrolments(work).enrolled(names):
        entry = _Entry(found.id, found.entered_at, found.is_open, found.account_id)
        entered[found.namespace, found.name, found.enrolled].append(entry)
    return entered


def _in_the_way(applicant: _Applicant, entered: Mapping[_Key, list[_Entry]], now: datetime) -> _Entry | None:
    """The newest entry because of which the applicant may not enter; None when it may. Nobody is in twice at a time."""
    flow = (applicant.run.version.namespace, applicant.run.version.name)
    named = (each for name in applicant.names for each in entered.get((*flow, name), ()))
    earlier = [each for each in named if applicant.is_meant_by(each)]
    if any(each.run_id == applicant.run.id for each in earlier):
        return None
    again = applicant.rule.again
    return max(
        (each for each in earlier if again is None or each.is_open or each.at + again > now),
        key=lambda each: each.at,
        default=None,
    )


async def _applicants(work: UnitOfWork, runs: Sequence[NewRun]) -> dict[str, _Applicant]:
    """By run, those whose flow counts whom it takes in, and whose event names one."""
    chosen: list[tuple[NewRun, Enrolment, str]] = []
    for run in runs:
        rule = run.version.traits.enrolment
        named = dict.fromkeys((run.subject, *run.subjects))
        of_kind = [each for each in named if rule is not None and each.startswith(f"{rule.per}:")]
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
