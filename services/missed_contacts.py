"""Contacts whose callback was lost: found by reading the corp, and told as the callback would have told them.

`tandem.contact.added` begins journeys, and WeCom tells it once. Whoever is read, became a contact not long ago and
after the corp was connected, and was never told of as added, is told of now, once, with the scan of the channel code
they came by; a callback that comes after all is remembered and starts nothing more, and its scan is the one that was
told. So neither a corp's past nor a second reading sets anything in motion.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlmodel import col, select

from domain.canonical import ContactData
from domain.canonical.announcing import announce_scan
from domain.events import Event, rfc3339
from domain.ids import bucket, derived_id
from storage.accounts import AccountRow
from storage.events import EventRow
from storage.locks import lock_all
from storage.unit_of_work import UnitOfWork

ADDED = "tandem.contact.added"
FOUND_WITHIN = timedelta(days=2)
_READ = frozenset({"tandem.contact.read", "tandem.contact.listed"})
_SAME = timedelta(minutes=2)
"""How far the time in a callback and the one in the corp's list may be apart."""
_FOUND = "found-"
_LOCKS = 64
"""A batch may tell of thousands of contacts, and the server has room for some thousands of locks in all."""
_SOME_TIME = datetime.max.replace(tzinfo=UTC)
"""Of what tells no time: nothing that was read is later."""
_Who = tuple[str, str, str | None, str | None]
"""Account, contact, member, and the channel code where it matters."""


class Missed(NamedTuple):
    """found: what was never told, to be told. again: events (source, id) that tell again what was told so before, and
    start nothing. repeated: scans (source, id) that were told so before; kept, each would count twice."""

    found: Sequence[Event] = ()
    again: frozenset[tuple[str, str]] = frozenset()
    repeated: frozenset[tuple[str, str]] = frozenset()


class _Read(NamedTuple):
    """A contact of a member that was read, and since when they are."""

    data: ContactData
    at: datetime

    @property
    def subject(self) -> str:
        return f"customer:{self.data.platform}/{self.data.external_userid}"


async def missed_contacts(work: UnitOfWork, events: Sequence[Event]) -> Missed:
    """What was never told of the contacts in these events, and what of these events was told before."""
    read = [each for event in events if event.type in _READ and (each := _lately(event, work.now)) is not None]
    pushed = [event for event in events if event.type == ADDED and not event.id.startswith(_FOUND)]
    if not read and not pushed:
        return Missed()
    subjects = {each.subject for each in read} | {event.subject or "" for event in pushed}
    # A callback and a reading of the same contact may be under way in two batches at once.
    await lock_all(work, {f"contact-added:{bucket(each, 'contact-added', size=_LOCKS)}" for each in subjects})
    connected = await _connected_at(work, {each.data.account_id for each in read})
    told = await _told(work, subjects)
    known = _times([*told, *pushed])
    found: dict[str, Event] = {}
    for each in read:
        since = connected.get(each.data.account_id)
        if since is not None and each.at >= since and not any(at >= each.at - _SAME for at in known[_who(each.data)]):
            event = _added(each)
            found.setdefault(event.id, event)
    scans = [scan for event in found.values() if (scan := _scan(event)) is not None]
    before = [event for event in told if event.id.startswith(_FOUND)]
    earlier, scanned = _times(before), _times(before, by_code=True)
    late = [event for event in pushed if earlier and _is_among(event, earlier)]
    again = frozenset((event.source, event.id) for event in late)
    same = {scan.id for event in late if _is_among(event, scanned, by_code=True) and (scan := _scan(event)) is not None}
    repeated = frozenset((event.source, event.id) for event in events if event.id in same) if same else frozenset()
    return Missed([*found.values(), *scans], again, repeated)


def _lately(event: Event, now: datetime) -> _Read | None:
    data = ContactData.model_validate(event.data)
    if data.userid is None or data.occurred_at is None or now - data.occurred_at > FOUND_WITHIN:
        return None
    return _Read(data, data.occurred_at)


async def _connected_at(work: UnitOfWork, accounts: Collection[str]) -> dict[str, datetime]:
    if not accounts:
        return {}
    statement = select(AccountRow.id, AccountRow.created_at).where(col(AccountRow.id).in_(accounts))
    return {account: at - _SAME for account, at in (await work.session.execute(statement)).all()}


async def _told(work: UnitOfWork, subjects: Collection[str]) -> list[Event]:
    statement = select(EventRow).where(
        col(EventRow.subjects).op("&&")(list(subjects)),
        col(EventRow.type) == ADDED,
        col(EventRow.received_at) >= work.now - 2 * FOUND_WITHIN,
    )
    return [Event.model_validate(row.envelope) for row in await work.session.scalars(statement)]


def _times(events: Sequence[Event], *, by_code: bool = False) -> dict[_Who, list[datetime]]:
    """When each contact of a member was told of as added; with `by_code` by each channel code."""
    times: dict[_Who, list[datetime]] = defaultdict(list)
    for event in events:
        data = ContactData.model_validate(event.data)
        times[_who(data, by_code=by_code)].append(data.occurred_at or _SOME_TIME)
    return times


def _is_among(event: Event, times: Mapping[_Who, Sequence[datetime]], *, by_code: bool = False) -> bool:
    data = ContactData.model_validate(event.data)
    at = data.occurred_at or _SOME_TIME
    return any(abs(at - other) <= _SAME for other in times.get(_who(data, by_code=by_code), ()))


def _who(data: ContactData, *, by_code: bool = False) -> _Who:
    return data.account_id, data.external_userid, data.userid, data.state if by_code else None


def _added(read: _Read) -> Event:
    """As the callback would have told it, but for the welcome code, whose 20 seconds are over."""
    data, at = read
    source = f"/{data.account_id}"
    told = ContactData(
        platform=data.platform,
        account=data.account,
        version=int(at.timestamp() * 1000),
        occurred_at=at,
        external_userid=data.external_userid,
        userid=data.userid,
        state=data.state,
    )
    return Event(
        id=f"{_FOUND}{derived_id(source, ADDED, data.external_userid, data.userid or '', rfc3339(at))}",
        source=source,
        type=ADDED,
        subject=read.subject,
        time=at,
        datacontenttype="application/json",
        data=told.model_dump(mode="json"),
    )


def _scan(added: Event) -> Event | None:
    """The scan beside a contact's coming, as the callback tells it; None for who came by no channel code."""
    return announce_scan(ContactData.model_validate(added.data))
