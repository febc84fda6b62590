"""The inbox: a push is stored with one write and acknowledged; reading it comes later, in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from connectors.accounts import Account
from connectors.canonical_records import RECORDS_KIND, record_events
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Verified
from domain.access import Actor, Permission
from domain.events import Event
from domain.problems import ProblemError
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.events import Events
from storage.inbox import Inbox, Push, StoredPush
from storage.notifications import INBOX_CHANNEL, wait_for_notification
from storage.paging import Page, PageRequest
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class InboxDrained:
    """What one round of reading did."""

    read: int = 0
    events: int = 0
    quarantined: int = 0


class InboxService:
    def __init__(self, database: Database, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._connectors = connectors

    async def accept(self, platform: str, account: str, verified: Verified) -> bool:
        """Store a verified push unless it came before; whether it is new. `account` is the slug.

        :raises UnavailableProblem: it was not stored; the platform should send it again.
        """
        push = Push(
            platform=platform,
            account=account,
            dedupe_key=verified.dedupe_key,
            kind=verified.kind,
            payload=verified.payload,
            received_at=verified.received_at,
            sent_at=verified.sent_at,
        )
        async with UnitOfWork(self._database) as work:
            return await Inbox(work).add(push)

    async def wait_for_work(self, timeout_s: float) -> bool:
        """True as soon as a push waits, False when the time was up first. Raises UnavailableProblem."""

        async def has_work() -> bool:
            async with UnitOfWork(self._database) as work:
                return await Inbox(work).has_waiting()

        return await wait_for_notification(self._database, INBOX_CHANNEL, timeout_s, has_work)

    async def drain(self, limit: int = 500) -> InboxDrained:
        """Read the oldest waiting pushes: their events are stored and they are done, in one transaction.

        One that cannot be read goes to quarantine with the reason, and holds up no other.
        """
        async with UnitOfWork(self._database) as work:
            inbox = Inbox(work)
            waiting = await inbox.take_waiting(limit)
            accounts = await self._accounts(work, waiting)
            events: list[Event] = []
            done: list[int] = []
            quarantined = 0
            for stored in waiting:
                try:
                    events += self._events_of(stored.push, accounts)
                    done.append(stored.id)
                except Exception as error:  # a connector's bug on one push must not stop the others
                    reason = str(error) if isinstance(error, ProblemError) else f"{type(error).__name__}: {error}"
                    log.warning("push quarantined", id=stored.id, platform=stored.push.platform, reason=reason)
                    await inbox.quarantine(stored.id, reason)
                    quarantined += 1
            new = await Events(work).add(events)
            await inbox.done(done)
        return InboxDrained(len(waiting), new, quarantined)

    async def quarantined(self, actor: Actor, page: PageRequest) -> Page[StoredPush]:
        """Pushes that could not be read, the oldest first."""
        actor.require(Permission.EVENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await Inbox(work).quarantined(page)

    async def redrive(self, actor: Actor, ids: Sequence[int]) -> int:
        """Read quarantined pushes again; how many there were."""
        actor.require(Permission.EVENTS_PUBLISH)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            found = await Inbox(work).redrive(ids)
            await AuditLog(work).record(actor, "inbox.redrive", "inbox", {"ids": list(ids)[:100], "found": found})
        return found

    def _events_of(self, push: Push, accounts: Mapping[str, Account]) -> list[Event]:
        verified = Verified(
            kind=push.kind,
            payload=push.payload,
            dedupe_key=push.dedupe_key,
            received_at=push.received_at,
            sent_at=push.sent_at,
        )
        account = accounts[f"{push.platform}/{push.account}"]
        if push.kind == RECORDS_KIND:
            # Imported for this account: already in our words, whatever its platform's are.
            return record_events(verified, account)
        return self._connectors.for_platform(push.platform).to_events(verified, account)

    async def _accounts(self, work: UnitOfWork, waiting: Sequence[StoredPush]) -> dict[str, Account]:
        """The accounts of these pushes; one that is gone or disconnected keeps its name and has no settings."""
        found: dict[str, Account] = {}
        for push in {(stored.push.platform, stored.push.account) for stored in waiting}:
            account_id = "/".join(push)
            settings: dict[str, object] = {}
            try:
                account = await Accounts(work).require(account_id)
                settings = {**account.settings, **await Accounts(work).credentials(account_id)}
            except ProblemError as problem:
                log.warning("push of an account that is not connected", account=account_id, reason=str(problem))
            found[account_id] = Account(push[0], push[1], settings)
        return found
