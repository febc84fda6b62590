"""Starting runs: the row first, then the workflow; what dies in between is started by the sweeper.

The row is the outbox: `start_due_at` says when its start is tried (again), and is empty once Temporal has the run. The
workflow id is derived from the cause, so starting twice starts once.

An event is brought to the runs whose rows are there when it is dispatched. What was dispatched before is looked for
once the row is committed, from `hears_from` on. From the commit on every dispatcher sees the row, so that nothing falls
in between; a run ignores events that it knows.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.definitions import DefinitionVersion
from domain.events import Event
from domain.ids import canonical_json, content_digest, derived_id
from domain.organisation import Placement
from domain.problems import NotFoundProblem, ProblemError, Text, UnavailableProblem, ValidationProblem
from domain.runs import customer_id, run_id_of, subject_id
from services.orchestrator import Orchestrator, in_parts
from services.release_book import ReleaseBook
from storage.definitions import Definitions, VersionKey
from storage.engine import Database
from storage.events import Events
from storage.runs import RunRow, Runs
from storage.secrets import Secrets
from storage.unit_of_work import UnitOfWork
from workflows.messages import REVISION, DefinitionRef, FlowStart

LARGEST_INPUT_BYTES = 1_000_000
START_LEASE = timedelta(seconds=30)
_LONGEST_BACKOFF_S = 300
_MOST_REFUSALS = 8
_STARTS_AT_ONCE = 16
MOST_MISSED_EVENTS = 200
"""How many events a run is told of that were dispatched before it was there; the newest count."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_CACHED_VERSIONS = 2_000


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be. key: names it within its flow; see `domain.runs.run_id_of`. hears_from: since when it is told of
    events, None for from now on. enrolled: whom or what it takes in."""

    version: DefinitionVersion
    key: str
    input: Any
    started_by: str
    subject: str = ""
    subjects: tuple[str, ...] = ()
    trigger: tuple[dict[str, Any], ...] = ()
    placement: Placement = field(default_factory=Placement)
    parent_id: str | None = None
    not_before: datetime | None = None
    hears_from: datetime | None = None
    enrolled: str | None = None

    @property
    def id(self) -> str:
        return run_id_of(self.version.namespace, self.version.name, self.key)

    @property
    def digest(self) -> str:
        """What makes a repeated start the same start."""
        return content_digest(canonical_json([self.input, self.subject, list(self.subjects)]))

    def check(self) -> None:
        """Raises ValidationProblem when the input is too large."""
        if len(canonical_json(self.input)) > LARGEST_INPUT_BYTES:
            raise ValidationProblem(
                Text(
                    f"流程输入超过 {LARGEST_INPUT_BYTES} 字节；请传编号，由流程自行读取数据。",
                    f"The input is larger than {LARGEST_INPUT_BYTES} bytes; pass an id and let the flow read the data.",
                )
            )

    def row(self, now: datetime) -> RunRow:
        """Raises ValidationProblem when the input is too large."""
        self.check()
        subjects = tuple(dict.fromkeys(filter(None, (self.subject, *self.subjects))))
        return RunRow(
            id=self.id,
            namespace=self.version.namespace,
            name=self.version.name,
            version=self.version.version,
            digest=self.version.digest,
            subject=self.subject,
            subjects=list(subjects),
            listens=list(self.version.traits.listens),
            customer=customer_id(subjects),
            ticket=subject_id(subjects, "ticket"),
            phase="pending",
            parent_id=self.parent_id,
            started_by=self.started_by,
            input=self.input,
            input_digest=self.digest,
            trigger=list(self.trigger) or None,
            enrolled=self.enrolled,
            created_at=now,
            hears_from=self.hears_from or now,
            not_before=self.not_before,
            start_due_at=now + START_LEASE,
            checked_at=now,
            unit_path=self.placement.unit_path,
            account_id=self.placement.account_id,
            customer_owner=self.placement.customer_owner,
        )


EventKey = tuple[str, str]
"""Source and id, which name an event for ever."""


def event_key(event: Event) -> EventKey:
    return event.source, event.id


def key_of(request_id: str) -> str:
    """The key of a run for what its caller calls it; anything unusual is hashed."""
    return request_id if _PLAIN_KEY.fullmatch(request_id) else derived_id("run", request_id)


class RunStarter:
    """Whatever starts runs goes through here."""

    def __init__(self, database: Database, orchestrator: Orchestrator, book: ReleaseBook) -> None:
        self._database = database
        self._orchestrator = orchestrator
        self.book = book
        self._versions: dict[VersionKey, DefinitionVersion] = {}
        self._slots = asyncio.Semaphore(_STARTS_AT_ONCE)

    async def choose(
        self, work: UnitOfWork, namespace: str, name: str, subject: str, version: str | None = None
    ) -> DefinitionVersion:
        """The version a new run gets; a named one must be published.

        :raises NotFoundProblem: the flow is not released (to this subject), or there is no such published version.
        """
        if version is not None and version != "latest":
            found = await Definitions(work).get(("flow", namespace, name, version))
            if found is None or found.published_at is None:
                raise NotFoundProblem(
                    Text(
                        f"没有已发布的定义 {namespace}/{name} {version}",
                        f"There is no published definition {namespace}/{name} {version}",
                    )
                )
            return found
        snapshot = await self.book.current(work)
        chosen = snapshot.choose(namespace, name, subject)
        if chosen is None:
            raise NotFoundProblem(
                Text(
                    f"流程 {namespace}/{name} 尚未放量（release）给 {subject or '新的运行'}",
                    f"The flow {namespace}/{name} is not released to {subject or 'new runs'}",
                )
            )
        return chosen

    async def launch(
        self, rows: Sequence[RunRow], coming: Mapping[str, Collection[EventKey]] | None = None
    ) -> dict[str, ProblemError]:
        """Start these runs' present attempts at Temporal and note which it has; the problems of the others, by id.

        Their rows must be committed. A run that fails here stays in the outbox. coming: events that whoever asks brings
        to them anyway. Never raises a ProblemError for a single run.
        """
        if not rows:
            return {}
        starts = await self._flow_starts(rows)
        missed = await self._missed(rows, coming or {})
        outcomes = await asyncio.gather(*(self._launch(row, starts[row.id], missed.get(row.id, [])) for row in rows))
        failed = {row.id: problem for row, problem in zip(rows, outcomes, strict=True) if problem is not None}
        async with UnitOfWork(self._database) as work:
            runs = Runs(work)
            started = [(row.id, row.attempt) for row in rows if row.id not in failed]
            cancelled = await runs.mark_started(started)
            for row in rows:
                if row.id in failed:
                    await _note_failure(runs, row, failed[row.id])
        for run_id in cancelled:
            # Somebody cancelled it between its row and its start.
            await self._orchestrator.cancel(run_id, "cancelled before it started")
        return failed

    async def missed_by_child(self, row: RunRow) -> list[dict[str, Any]]:
        """The newest events that a child has to be told of, as many as fit into its start; its row is committed."""
        missed = (await self._missed([row], {})).get(row.id, [])
        return in_parts(missed[::-1])[0][::-1] if missed else []

    async def sweep(self, limit: int = 100) -> int:
        """Start runs that are still in the outbox and due; how many were tried."""
        async with UnitOfWork(self._database) as work:
            rows = await Runs(work).claim_unstarted(limit, work.now + START_LEASE)
        await self.launch(rows)
        return len(rows)

    async def secret_names(
        self, work: UnitOfWork, versions: Collection[DefinitionVersion]
    ) -> Mapping[str, list[str] | None]:
        """Member names of every secret that one of the versions may use; None for a plain string."""
        wanted = {name for version in versions for name in version.traits.secrets}
        if not wanted:
            return {}
        return {
            each.name: list(each.members) if each.members is not None else None
            for each in await Secrets(work).describe()
            if each.name in wanted
        }

    async def _flow_starts(self, rows: Sequence[RunRow]) -> dict[str, FlowStart]:
        keys: dict[str, VersionKey] = {row.id: ("flow", row.namespace, row.name, row.version) for row in rows}
        if len(self._versions) > _CACHED_VERSIONS:
            self._versions.clear()
        secrets: Mapping[str, list[str] | None] = {}
        unknown = set(keys.values()) - self._versions.keys()
        if unknown or any(self._versions[key].traits.secrets for key in keys.values()):
            async with UnitOfWork(self._database) as work:
                self._versions |= await Definitions(work).known(unknown)
                secrets = await self.secret_names(work, [self._versions[key] for key in keys.values()])
        versions = {run_id: self._versions[key] for run_id, key in keys.items()}
        return {
            row.id: FlowStart(
                definition=DefinitionRef(row.digest),
                namespace=row.namespace,
                name=row.name,
                version=row.version,
                input=row.input,
                subject=row.subject,
                subjects=list(row.subjects),
                secrets={name: secrets[name] for name in versions[row.id].traits.secrets if name in secrets},
                events=row.trigger or [],
                continuation=row.continuation,
                attempt=row.attempt,
                revision=REVISION,
            )
            for row in rows
        }

    async def _missed(
        self, rows: Sequence[RunRow], coming: Mapping[str, Collection[EventKey]]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """The events that these runs have to be told of besides those that started them and those that are coming."""
        listening = [row.id for row in rows if row.subjects and row.listens]
        if not listening:
            return {}
        async with UnitOfWork(self._database) as work:
            found = await Events(work).missed_by(listening, MOST_MISSED_EVENTS)
        told = {row.id: {(event["source"], event["id"]) for event in row.trigger or ()} for row in rows}
        return {
            run_id: [
                event.envelope()
                for event in events
                if (key := event_key(event)) not in told[run_id] and key not in coming.get(run_id, ())
            ]
            for run_id, events in found.items()
        }

    async def _launch(self, row: RunRow, start: FlowStart, missed: Sequence[dict[str, Any]]) -> ProblemError | None:
        delay = None
        if row.not_before is not None:
            delay = max(timedelta(), row.not_before - self._database.clock()) or None
        async with self._slots:
            try:
                await self._orchestrator.start_flow(row.id, start, delay=delay)
                await self._orchestrator.signal_events(row.id, missed)
            except ProblemError as problem:
                return problem
        return None


async def _note_failure(runs: Runs, row: RunRow, problem: ProblemError) -> None:
    """Temporal away: try again, for as long as it takes. Temporal refuses: a few times, then the run has failed."""
    away = problem.problem.type == UnavailableProblem.type
    if away or row.start_attempts < _MOST_REFUSALS:
        wait_s = min(2 ** min(row.start_attempts, 10), _LONGEST_BACKOFF_S)
        await runs.start_failed(row.id, row.attempt, runs.now + timedelta(seconds=wait_s), str(problem))
        return
    stored = await runs.row(row.id, for_update=True)
    if stored is not None and stored.start_due_at is not None and stored.attempt == row.attempt:
        stored.phase, stored.ended_at, stored.start_due_at = "faulted", runs.now, None
        stored.error, stored.start_problem = problem.problem.as_dict(), str(problem)
