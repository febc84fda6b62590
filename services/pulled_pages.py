"""A page that was read of a platform: what it says, how that compares with what is here, and its way to the inbox."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.accounts import Account
from connectors.pulling import PulledPage
from connectors.registry import Connector
from connectors.single_reads import UNREAD_KIND, refuse_unread
from connectors.webhooks import Verified
from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.ids import content_digest
from domain.storable import is_storable
from storage.inbox import Push
from storage.record_comparison import Difference, RecordComparison
from storage.unit_of_work import UnitOfWork

Told = Sequence[tuple[Verified, Sequence[Record]]]
"""What each thing of a page says; nothing for what Tandem has no use for."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What of a page is not here, or otherwise: the keys of its pushes; and the records that rows are compared with."""

    pushes: frozenset[str]
    records: Sequence[Record] = ()


def told_by(connector: Connector, account: Account, page: PulledPage) -> tuple[Told, int]:
    """The records of a page, and how much of it cannot be read."""
    told: list[tuple[Verified, Sequence[Record]]] = []
    unread = 0
    for pulled in page.records:
        records: list[Record] = []
        try:
            if pulled.kind == UNREAD_KIND:
                refuse_unread(pulled)
            events = connector.to_events(pulled, account)
            records = [each for event in events if (each := record_of(event, pulled.received_at))]
        except Exception:  # also a connector's bug on one row: the inbox puts it into quarantine with its reason
            unread += 1
        told.append((pulled, records))
    return told, unread


async def compared_with_rows(work: UnitOfWork, told: Told) -> tuple[Difference, Wrong]:
    """How things compare with the rows that are here, and what of them is wrong here."""
    difference, wrong = await RecordComparison(work).difference(fold(each for _, records in told for each in records))
    things = {(each.shelf, each.key) for each in wrong}
    pushes = (pulled.dedupe_key for pulled, some in told if any((each.shelf, each.key) in things for each in some))
    return difference, Wrong(frozenset(pushes), wrong)


def pushes_of(account: Account, page: PulledPage) -> list[Push]:
    """The page as the inbox takes it."""
    return [
        Push(
            platform=account.platform,
            account=account.slug,
            dedupe_key=_storable(each.dedupe_key),
            kind=each.kind,
            payload=each.payload,
            received_at=each.received_at,
            sent_at=each.sent_at,
        )
        for each in page.records
    ]


def _storable(key: str) -> str:
    return key if is_storable(key) else content_digest(key.encode("utf-8", "surrogatepass"))
