"""Who entered, who left, who waits, what was sent: Tandem's word against Temporal's and the simulator's ledger."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select
from temporalio.client import Client as TemporalClient
from temporalio.client import WorkflowExecutionStatus

from storage.identities import CustomerRow
from storage.runs import RunRow
from storage.unit_of_work import UnitOfWork
from tests.chaos.verdict import audit_findings, bugs, left_open
from tests.journeys.crowd import Person
from tests.journeys.quick import JOURNEYS, PATCH
from tests.journeys.stage import Stage, patiently

# What each journey's message says and no other's.
_SAYS = {
    "new-customer-gift": "见面礼",
    "third-order": "第三次选择",
    "unpaid-order": "现在付款",
    "live-coupon": "直播间领的优惠券",
    "run-out": "上次囤货",
    "cart-waiting": "加入购物车",
}
_BEHIND_S = 30
"""How many seconds Temporal's list may be behind its histories."""
_SURELY = 5
"""Of so many expected strikes at least one comes."""
Claim = tuple[str, int, list[str]]
"""What is claimed, of how many, and every departure from it."""


@dataclass
class Standing:
    """One journey at one moment. results: how runs ended."""

    entered: int = 0
    left: int = 0
    waiting: int = 0
    results: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Executions:
    """Of one journey in Temporal: the ids of all that ever began, and of those that are closed."""

    begun: frozenset[str]
    closed: frozenset[str]


@dataclass
class Account:
    """Everything that is known at one moment. runs: of a person. unclaimed: runs of nobody in the crowd.
    sent, recorded: times of a person's messages."""

    standings: Mapping[str, Standing]
    runs: Mapping[str, Sequence[RunRow]]
    unclaimed: Sequence[RunRow]
    sent: Counter[str]
    recorded: Mapping[str, Sequence[datetime]]
    silenced_at: Mapping[str, datetime]
    open_runs: frozenset[str]
    open_quick_runs: frozenset[str] = frozenset()


async def take_stock(stage: Stage, people: Sequence[Person]) -> Account:
    """Read the runs, the touches and the ledger."""
    return await patiently(lambda: _taken(stage, people))


async def _taken(stage: Stage, people: Sequence[Person]) -> Account:
    customers = await stage.customers(people)
    async with UnitOfWork(stage.database) as work:
        current: dict[str, str] = {}
        for customer in await work.session.scalars(select(CustomerRow)):
            current[f"customer:{customer.id}"] = str(customer.merged_into or customer.id)
        rows = list(await work.session.scalars(select(RunRow).where(col(RunRow.namespace) == "journeys")))
        touches = (
            await work.session.execute(
                text(
                    "SELECT t.recipient, r.name, t.at FROM touches t JOIN runs r ON r.id = t.run_id "
                    "WHERE t.skipped_reason IS NULL"
                )
            )
        ).all()
        silenced = (
            await work.session.execute(
                text(
                    "SELECT i.customer_id, min(s.made_at) FROM suppressions s "
                    "JOIN identities i ON i.id = s.identity_id GROUP BY 1"
                )
            )
        ).all()
    standings = {name: Standing() for name in JOURNEYS}
    by_subject = _subjects(people, customers)
    runs: dict[str, list[RunRow]] = defaultdict(list)
    unclaimed: list[RunRow] = []
    for row in rows:
        standing = standings[row.name]
        standing.entered += 1
        standing.left += row.ended_at is not None
        standing.waiting += row.ended_at is None
        if row.ended_at is not None:
            standing.results[_result(row)] += 1
        person = next(
            (found for subject in row.subjects if (found := by_subject.get((row.name, current.get(subject, subject))))),
            None,
        )
        runs[person].append(row) if person is not None else unclaimed.append(row)
    of_person = {(person.journey, person.external_userid): person.name for person in people}
    recorded: dict[str, list[datetime]] = defaultdict(list)
    for recipient, name, at in touches:
        recorded[of_person.get((name, recipient), f"{name} to {recipient}")].append(at)
    names = {customer: name for name, customer in customers.items()}
    silenced_at = {names[customer]: at for customer, at in silenced if customer in names}
    open_rows = [row for row in rows if row.ended_at is None]
    return Account(
        standings,
        runs,
        unclaimed,
        await _sent(stage, of_person),
        recorded,
        silenced_at,
        open_runs=frozenset(row.id for row in open_rows),
        open_quick_runs=frozenset(row.id for row in open_rows if row.version.endswith(PATCH)),
    )


async def judge(stage: Stage, people: Sequence[Person], account: Account) -> list[Claim]:
    """Each claim with of how many it is made, and every departure from it."""
    parked = await stage.admin.all("/api/v1/events/parked")
    aside = await stage.admin.all("/api/v1/events/quarantine")
    executions, apart = await _compared(stage, account)
    begun = sum(len(each.begun) for each in executions.values())
    rules = (await stage.sim("GET", "/faults"))["rules"]
    listed = [run["id"] for run in await stage.admin.all("/api/v1/runs", unsettled="true")]
    return [
        *of_people(people, account),
        ("entered (in Temporal) = left (closed there) + waiting (in the read model)", begun or 1, apart),
        ("every fault that was set struck", len(rules) or 1, spared(rules)),
        ("no event or push set aside", 1, [str(each.get("reason")) for each in (*parked, *aside)]),
        ("nothing is left half done untold", 1, await left_open(stage.house, told(account, listed))),
        ("the audit chain verifies", 1, await audit_findings(stage.house)),
        ("no bug in the logs, no answer that a client should never get", 1, [*bugs(stage.house), *stage.surprises]),
    ]


def told(account: Account, listed: Sequence[str]) -> list[str]:
    """Of the runs that are listed as unsettled, those that a suppression ended.

    A worker may die amid a run's message in the very second in which its customer is silenced. Nobody goes on from
    there, so that nobody learns whether it was sent: the list tells it (`docs/operations.md`).
    """
    suppressed = {row.id for rows in account.runs.values() for row in rows if _result(row) == "suppressed"}
    return [run_id for run_id in listed if run_id in suppressed]


def of_people(people: Sequence[Person], account: Account) -> list[Claim]:
    """What is claimed of each person: entered once, written to once or not at all, and as it is recorded."""
    entered, sends, wrong, late = [], [], [], []
    for person in people:
        runs, sent = account.runs.get(person.name, ()), account.sent[person.name]
        most = 2 if person.act == "merges" else 1
        if not person.must_enter <= len(runs) <= most:
            entered.append(f"{person.name} ({person.act}) has {len(runs)} runs")
        if sent != len(account.recorded.get(person.name, ())):
            sends.append(f"{person.name}: {sent} at the simulator, {account.recorded.get(person.name)} recorded")
        wanted = 1 if person.act in ("none", "merges") else 0
        if person.journey == "run-out" and person.act == "merges" and [_reason(row) for row in runs] == ["stranger"]:
            # They entered under their other name, as nobody's contact, and do not enter again for a month.
            wanted = 0
        quiet_from = account.silenced_at.get(person.name) if person.act in ("silenced", "refunds") else None
        if quiet_from is not None:
            # Whoever was written to before they were silenced was written to rightly.
            wanted = sum(at < quiet_from for at in account.recorded.get(person.name, ()))
            late += [person.name for at in account.recorded.get(person.name, ()) if at >= quiet_from]
        if sent != wanted or sent > 1:
            told = [f"{_result(row)} {row.output} {row.error or ''}".strip() for row in runs]
            wrong.append(f"{person.name} ({person.act}) got {sent} messages instead of {wanted}; runs: {told}")
    # Those of the shipped versions were begun by the simulated shops, before these were disconnected.
    strays = [row.id for row in account.unclaimed if row.version.endswith(PATCH)]
    names = {person.name for person in people}
    strangers = [name for name in account.sent if name not in names]
    faulted = [f"{row.id}: {row.error}" for rows in account.runs.values() for row in rows if row.phase == "faulted"]
    return [
        ("everybody entered once for their cause", len(people), [*entered, *strays]),
        ("sends at the simulator = sends recorded", len(people), [*sends, *strangers]),
        ("one message to whom it is for, none to others", len(people), wrong),
        ("no message after somebody was silenced", len(account.silenced_at), late),
        ("no run failed", len(people), faulted),
    ]


def spared(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Faults that met nobody, though enough came by for some to be struck; none at all is not enough."""
    if not rules:
        return ["no fault was set"]
    return [
        f"{each['fault']} of {each['match']['api']} met {each['seen']} and struck nobody"
        for each in rules
        if not each["hit"] and (not each["seen"] or each["seen"] * each["probability"] >= _SURELY)
    ]


def silenced_within(account: Account, people: Sequence[Person]) -> list[float]:
    """Seconds from a suppression to the end of the run that it ended, ascending."""
    names = {person.name for person in people if person.act in ("silenced", "refunds")}
    return sorted(
        (row.ended_at - account.silenced_at[name]).total_seconds()
        for name, rows in account.runs.items()
        for row in rows
        if name in names and name in account.silenced_at and row.ended_at and _result(row) == "suppressed"
    )


def _subjects(people: Sequence[Person], customers: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The person behind a journey's subject: an order or a coupon of theirs, else the customer."""
    found: dict[tuple[str, str], str] = {}
    for person in people:
        found[person.journey, f"order:{person.name}-u"] = person.name
        found[person.journey, f"coupon:generic/crowd/C-{person.name}"] = person.name
        if person.name in customers:
            found[person.journey, str(customers[person.name])] = person.name
    return found


def _result(row: RunRow) -> str:
    if row.phase != "completed":
        return str(row.phase)
    return str((row.output or {}).get("result"))


def _reason(row: RunRow) -> str | None:
    return (row.output or {}).get("reason") if row.phase == "completed" else None


async def _sent(stage: Stage, of_person: Mapping[tuple[str, str], str]) -> Counter[str]:
    """How many messages of each person's journey the outside saw."""
    sent: Counter[str] = Counter()
    after = 0
    while after is not None:
        page = await stage.sim("GET", "/ledger", params={"kind": "message", "effect": "true", "after": after})
        for entry in page["entries"]:
            said = entry["request"]["text"]["content"]
            name = next((name for name, words in _SAYS.items() if words in said), said[:40])
            to = entry["external_userid"]
            sent[of_person.get((name, to), f"{name} to {to}")] += 1
        after = page["next_after"]
    return sent


async def _compared(stage: Stage, account: Account) -> tuple[Mapping[str, Executions], list[str]]:
    """What Temporal knows, and where the read model departs from it; Temporal's list is some moments behind itself."""
    for _ in range(_BEHIND_S):
        executions = await _executions(stage)
        if not (apart := departures(account, executions)):
            break
        await asyncio.sleep(1)
    return executions, apart


def departures(account: Account, executions: Mapping[str, Executions]) -> list[str]:
    """Where the read model and Temporal tell of different runs, or of the same ones differently.

    A run that a merge made superfluous may have been called off before it was started: Temporal never heard of it.
    """
    rows = [row for rows in account.runs.values() for row in rows] + list(account.unclaimed)
    said = []
    for name in JOURNEYS:
        temporal = executions.get(name, Executions(frozenset(), frozenset()))
        known = {row.id: row for row in rows if row.name == name}
        waiting = {number for number in known if number in account.open_runs}
        called_off = {number for number, row in known.items() if row.ended_at is not None and row.started_at is None}
        if not temporal.begun:
            said.append(f"{name}: nobody ever entered")
        elif len(temporal.begun) != len(temporal.closed) + len(waiting):
            counts = f"{len(temporal.begun)} entered, {len(temporal.closed)} left, {len(waiting)} wait"
            said.append(f"{name}: {counts} in the read model")
        said += [f"{name}: {each} began in Temporal and is not recorded" for each in temporal.begun - known.keys()]
        said += [
            f"{name}: {each} is recorded and never began in Temporal"
            for each in known.keys() - temporal.begun - called_off
        ]
        said += [
            f"{name}: {each} is closed in Temporal and waits in the read model" for each in temporal.closed & waiting
        ]
        said += [
            f"{name}: {each} runs in Temporal and has ended in the read model"
            for each in (temporal.begun - temporal.closed) & (known.keys() - waiting)
        ]
    return said


async def _executions(stage: Stage) -> dict[str, Executions]:
    temporal = await TemporalClient.connect(stage.house.addresses().temporal_address)
    found = {}
    for name in JOURNEYS:
        every = [(each.id, each.status) async for each in temporal.list_workflows(f"TandemFlow = 'journeys/{name}'")]
        # One run may be several executions, each going on from the one before.
        running = {number for number, status in every if status is WorkflowExecutionStatus.RUNNING}
        begun = frozenset(number for number, _ in every)
        found[name] = Executions(begun, begun - running)
    return found
