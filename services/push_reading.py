"""What a push says: from the platform's words to canonical events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from connectors.accounts import Account
from connectors.canonical_records import RECORDS_KIND, record_events
from connectors.channels import FRAME_KIND, Listens, frame_again
from connectors.pulling import streams_announced
from connectors.registry import ConnectorRegistry
from connectors.single_reads import UNREAD_KIND, refuse_unread
from connectors.webhooks import UNPARSED_KIND, KeepsUnparsed, Verified
from domain.events import Event
from domain.problems import ProblemError
from services.intake import Arrival
from storage.accounts import Accounts
from storage.inbox import Push
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Senders:
    """Who sent a batch. accounts: by id (`youzan/flagship`). ids: those of all accounts, where records were handed in,
    which may name keys of another account."""

    accounts: Mapping[str, Account]
    ids: frozenset[str]


class PushReader:
    """Reads pushes by the connectors of their platforms."""

    def __init__(self, connectors: ConnectorRegistry) -> None:
        self._connectors = connectors

    def announced(self, push: Push) -> list[tuple[str, str]]:
        """What a push says that there is something new in: account ids and streams."""
        connector = self._connectors.get(push.platform)
        streams = streams_announced(connector.client, push.kind) if connector is not None else ()
        return [(f"{push.platform}/{push.account}", stream) for stream in streams]

    async def read(self, work: UnitOfWork, push: Push) -> list[Arrival]:
        """What one push says; raises whatever its connector does when it cannot be read."""
        return self.arrivals(push, await self.senders(work, [push]))

    def arrivals(self, push: Push, senders: Senders) -> list[Arrival]:
        """What a push of one of these senders says; raises whatever its connector does when it cannot be read."""
        return [Arrival.of(event, push.received_at) for event in self._events_of(push, senders)]

    def _events_of(self, push: Push, senders: Senders) -> list[Event]:
        verified = Verified(
            kind=push.kind,
            payload=push.payload,
            dedupe_key=push.dedupe_key,
            received_at=push.received_at,
            sent_at=push.sent_at,
        )
        account = senders.accounts[f"{push.platform}/{push.account}"]
        if push.kind == UNPARSED_KIND:
            return self._events_of_unparsed(verified, account)
        if push.kind == UNREAD_KIND:
            refuse_unread(verified)
        if push.kind == FRAME_KIND:
            return self._events_of_frame(verified, account)
        if push.kind == RECORDS_KIND:
            # Imported for this account: already in our words, whatever its platform's are.
            return record_events(verified, account, senders.ids)
        return self._connectors.for_platform(push.platform).to_events(verified, account)

    def _events_of_unparsed(self, kept: Verified, account: Account) -> list[Event]:
        """Read once more what was no push of its platform when it came: the reason, or since a release its events."""
        connector = self._connectors.for_platform(account.platform)
        read = connector.read_push(kept, account) if isinstance(connector, KeepsUnparsed) else kept
        return [event for part in read.parts or (read,) for event in connector.to_events(part, account)]

    def _events_of_frame(self, kept: Verified, account: Account) -> list[Event]:
        connector = self._connectors.for_platform(account.platform)
        record = frame_again(connector.channel(account), kept) if isinstance(connector, Listens) else None
        return [] if record is None else connector.to_events(record, account)

    async def senders(self, work: UnitOfWork, pushes: Sequence[Push]) -> Senders:
        """Whose these pushes are; an account that is gone keeps its name and has no settings.

        What came while an account was connected was acknowledged, and is read also when it is connected no more.
        """
        found: dict[str, Account] = {}
        for push in {(each.platform, each.account) for each in pushes}:
            account_id = "/".join(push)
            settings: dict[str, object] = {}
            try:
                account = await Accounts(work).require(account_id)
                settings = {**account.settings, **await Accounts(work).credentials(account_id, disconnected=True)}
            except ProblemError as problem:
                log.warning("push of an account that is not there", account=account_id, reason=str(problem))
            found[account_id] = Account(push[0], push[1], settings)
        named = await Accounts(work).ids() if any(push.kind == RECORDS_KIND for push in pushes) else ()
        return Senders(found, frozenset(named))
