"""What goes in and out of a flow's workflow: one dataclass per message, and the names they travel under."""

from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"]

EVENT_SIGNAL = "event"
COMPLETE_HUMAN_TASK_UPDATE = "complete-human-task"
SUSPEND_UPDATE = "suspend"
RESUME_UPDATE = "resume"
PROGRESS_QUERY = "progress"

REVISION = 1
"""What new runs are started with, so that code which gives other commands leaves the runs under way as they are.

1: the phase that runs are found by tells the end of those that ever waited, too.
"""


@dataclass(frozen=True)
class DefinitionRef:
    """A definition by its digest; the worker fetches the text before the workflow's code sees this."""

    digest: str


@dataclass
class FlowStart:
    """Everything a run needs to start, or to go on where it was.

    The run's id is the workflow id. subject: what shares and splits are drawn by, `kind:id`. subjects: every subject
    whose events reach the run. secrets: see `domain.dsl.host.RunDescriptor`. events: CloudEvent envelopes that came
    with the start (a trigger). continuation: where an earlier execution stopped (continue-as-new, retry). attempt: 1,
    and one more each time the run is taken up again from the step that failed. revision: see `REVISION`, of when the
    run was started.
    """

    definition: DefinitionRef
    namespace: str
    name: str
    version: str
    input: Any = None
    subject: str = ""
    subjects: list[str] = field(default_factory=list)
    secrets: dict[str, list[str] | None] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    continuation: dict[str, Any] | None = None
    attempt: int = 1
    revision: int = 0


@dataclass
class Events:
    """CloudEvent envelopes for a run; one signal may carry many."""

    events: list[dict[str, Any]]


@dataclass
class CompleteHumanTask:
    """A person's completed form. `version` is the row's version the person saw; `key` makes a repeat harmless."""

    task_id: str
    form: dict[str, Any]
    actor: str
    version: int
    key: str
    outcome: Literal["completed", "failed"] = "completed"
    comment: str | None = None


@dataclass
class HumanTaskReceipt:
    """The task as it stands after completion."""

    task_id: str
    version: int
    completed_at: str


@dataclass
class Command:
    """An operator's order to a run, and who gave it."""

    actor: str
    reason: str | None = None


@dataclass
class Progress:
    """Where a run stands: its phase and every task it entered, in order of start.

    tasks: `{name, reference, path, keyword, status, startedAt, endedAt, attempt, error}`.
    """

    phase: Phase
    tasks: list[dict[str, Any]]
    dropped_tasks: int = 0


@dataclass
class RunReport:
    """What the run tells the read model: a change of phase, the end, and lifecycle events not published yet."""

    run_id: str
    phase: Phase
    at: str
    tasks: list[dict[str, Any]] = field(default_factory=list)
    dropped_tasks: int = 0
    output: Any = None
    error: dict[str, Any] | None = None
    continuation: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class OpenHumanTask:
    """A person's step to put before the people of its queue. `arguments` are `HumanTaskArguments`, JSON-ready."""

    task_id: str
    run_id: str
    name: str
    reference: str
    subject: str
    arguments: dict[str, Any]
    opened_at: str


@dataclass
class CloseHumanTask:
    """The run no longer waits for this task: its time was up, another branch won, or the run was cancelled."""

    task_id: str
    state: Literal["exited", "suspended", "ready"]
    reason: str
    at: str


@dataclass
class PublishEvents:
    """Events that the run emits; `id`s are derived, so that publishing twice publishes once."""

    run_id: str
    events: list[dict[str, Any]]


@dataclass
class ResolveFlow:
    """A child run about to start: which version it gets, and the row it is known by. at: when its parent came to it."""

    run_id: str
    parent_id: str
    namespace: str
    name: str
    version: str
    subject: str
    subjects: list[str] = field(default_factory=list)
    at: str = ""


@dataclass
class ResolvedFlow:
    """What a child starts with. events: those that came before its row was there, for its mailbox."""

    definition: DefinitionRef
    version: str
    secrets: dict[str, list[str] | None] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class ScheduledStart:
    """The clock struck for a flow. `fired_as`: the id of the workflow that the Schedule started, filled in by it."""

    namespace: str
    name: str
    fired_as: str = ""


@dataclass
class Drain:
    """One of the drains: `inbox` (pushes become events), `events` (events reach runs), `runs` (runs are looked after),
    `tags` (time gives and takes tags; a rule's new version is filled in for everybody), `streams` (events go out to
    subscribers), `sales` (what happened to orders becomes sales of payees).

    `lane` tells several drains of a kind apart; they share the work. queue: for `lookups` (platforms are asked about
    people and orders) and `channels` (platforms push over a connection that we open) the platform's own; empty for what
    all share.
    """

    name: str
    lane: int = 0
    queue: str = ""


@dataclass
class Calculation:
    """A settlement to be computed, in so many parts. Nothing but numbers and digests goes through a history."""

    id: str
    parts: int


@dataclass
class PayoutBatch:
    """A batch of payouts in so many parts. after: the day (an ordinal) and the first row of the last chunk seen to."""

    id: str
    parts: int
    is_reserved: bool = False
    after: list[int] | None = None


@dataclass
class PayoutPart:
    """One part of a batch."""

    batch: str
    part: int


@dataclass
class PayoutChunk:
    """Some payouts of a batch, by the first and the last of their rows. day: of all of them, as an ISO date; batches
    that began before days were cut apart have none."""

    batch: str
    first: int
    last: int
    day: str | None = None


@dataclass
class ChunksLeft:
    """Chunks whose day has begun and that nobody follows, in order. open: payouts of the batch that have not ended;
    wait_s: how long no other day begins."""

    open: int
    wait_s: float
    chunks: list[PayoutChunk]
    more: bool = False


@dataclass
class PayoutsOpen:
    """Payouts that have not ended, and how long nobody has to be asked about any, in seconds."""

    open: int
    wait_s: float


@dataclass
class PayoutFailure:
    """Why a batch cannot be planned, as a problem document."""

    batch: str
    problem: dict[str, Any]


@dataclass
class CalculationPart:
    """One part of a pass of a calculation."""

    calculation: str
    pass_number: int
    part: int


@dataclass
class CalculationFailure:
    """Why a calculation ended without a result, as a problem document."""

    calculation: str
    problem: dict[str, Any]


@dataclass
class SettlementRun:
    """A settlement of a period, with the calculations that it books."""

    id: str
    calculations: list[Calculation]


@dataclass
class BookingPart:
    """One part of a calculation that a run books."""

    run: str
    calculation: str
    part: int


@dataclass
class RunFailure:
    """Why a run ended without a result, as a problem document."""

    run: str
    problem: dict[str, Any]


@dataclass
class AccountBills:
    """Bills of an account to be taken and reconciled. queue: the platform's own, where they are fetched."""

    account_id: str
    queue: str


@dataclass
class BillDay:
    """One Shanghai day of an account, as an ISO date."""

    account_id: str
    day: str


@dataclass
class StreamPull:
    """A stream of one account to be read on (`pull`), or compared with what is here (`compare`). queue: the platform's
    own, so that one platform's trouble delays no other."""

    account_id: str
    stream: str
    queue: str
    task: Literal["pull", "compare"] = "pull"


@dataclass
class PullProgress:
    """What one go brought, and whether to go on, after `wait_s`."""

    records: int = 0
    missed: int = 0
    more: bool = False
    wait_s: float = 0.0


@dataclass
class CallEnvelope:
    """One call on its way to an activity: arguments with secret placeholders, and the key that makes it happen once."""

    call: str
    arguments: dict[str, Any]
    idempotency_key: str
    run_id: str
    reference: str
    subject: str = ""


REPORT_RUN_ACTIVITY = "runs.report"
OPEN_HUMAN_TASK_ACTIVITY = "human-tasks.open"
COMPLETE_HUMAN_TASK_ACTIVITY = "human-tasks.complete"
CLOSE_HUMAN_TASK_ACTIVITY = "human-tasks.close"
PUBLISH_EVENTS_ACTIVITY = "events.publish"
RESOLVE_FLOW_ACTIVITY = "flows.resolve"
START_SCHEDULED_RUN_ACTIVITY = "runs.start-scheduled"

DRAIN_ACTIVITY = "tandem.drain"

LOOKUP_ACTIVITY = "tandem.lookups"
CHANNEL_ACTIVITY = "tandem.channels"

PULL_ACTIVITY = "tandem.pull"

PULL_WORKFLOW = "tandem/pull"
DRAIN_WORKFLOW = "tandem/drain"
START_SCHEDULED_RUN_WORKFLOW = "tandem/start-scheduled-run"

FREEZE_CALCULATION_ACTIVITY = "settlement.freeze"
CALCULATE_PART_ACTIVITY = "settlement.calculate-part"
FINISH_CALCULATION_ACTIVITY = "settlement.finish"
FAIL_CALCULATION_ACTIVITY = "settlement.fail"
RUN_COMPUTED_ACTIVITY = "settlement.run-computed"
RUN_FAILED_ACTIVITY = "settlement.run-failed"
BOOK_PART_ACTIVITY = "settlement.book-part"
FINISH_BOOKING_ACTIVITY = "settlement.finish-booking"
BILLS_DUE_ACTIVITY = "bills.due"
TAKE_BILLS_ACTIVITY = "bills.take"
RECONCILE_ACTIVITY = "bills.reconcile"
RECONCILIATION_WORKFLOW = "settlement/reconciliation"
SETTLEMENT_RUN_WORKFLOW = "settlement/run"
BOOKING_WORKFLOW = "settlement/booking"
CALCULATION_WORKFLOW = "settlement/calculation"
PAYOUT_PLAN_WORKFLOW = "settlement/payout-plan"
PAYING_WORKFLOW = "settlement/paying"
PAYOUT_CHUNK_WORKFLOW = "settlement/payout-chunk"
PLAN_PAYOUTS_ACTIVITY = "plan-payouts"
FINISH_PAYOUT_PLAN_ACTIVITY = "finish-payout-plan"
FAIL_PAYOUT_PLAN_ACTIVITY = "fail-payout-plan"
RESERVE_PAYOUTS_ACTIVITY = "reserve-payouts"
FINISH_RESERVING_ACTIVITY = "finish-reserving"
PAYOUT_CHUNKS_ACTIVITY = "payout-chunks"
CHUNKS_LEFT_ACTIVITY = "payout-chunks-left"
PAY_CHUNK_ACTIVITY = "pay-chunk"
QUEUES = ("flows", "inbox", "settlement", "payouts")
"""Our own; each platform has one besides."""
FLOWS_QUEUE, INBOX_QUEUE, SETTLEMENT_QUEUE, PAYOUTS_QUEUE = QUEUES
