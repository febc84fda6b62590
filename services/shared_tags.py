"""Tags at contacts of chat platforms: what members set there counts here, what is shared here is set there.

Both sides are compared with what they agreed on last (`domain.tags.sharing`), while the contact is claimed: nobody else
reads or changes it meanwhile. What will be done there is written down before it is done.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from connectors.lookups import Marked
from domain.access import system_actor
from domain.tags.sharing import (
    Change,
    Seen,
    Turned,
    done,
    misses_any,
    read_agreed,
    shown_agreed,
    turned,
    wishes,
)
from services.tag_rules import RuleBook
from services.tagging import mark_event, shared_tags, under_every_id
from storage.audit import AuditLog
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.events import Events
from storage.identities import Identities
from storage.lookups import Claimed, Lookups
from storage.unit_of_work import UnitOfWork

SOURCE = "platform:"
"""Before the account: the source of what members decided there."""


class SharedTags:
    """Each method is for a contact that the caller has claimed."""

    def __init__(self, database: Database, book: RuleBook) -> None:
        self._database = database
        self._book = book

    async def misses_any(self, claimed: Claimed, seen: Mapping[str, Seen]) -> bool:
        """Whether one has to know which tags the platform still has, to tell what became of one."""
        async with UnitOfWork(self._database) as work:
            return misses_any(read_agreed(await Lookups(work).agreed_tags(claimed.identity_id)), seen)

    async def compare(
        self, work: UnitOfWork, claimed: Claimed, seen: Mapping[str, Seen], existing: Collection[str] | None
    ) -> dict[str, Change]:
        """Take over what members did, and note what has to be done there; that.

        existing: numbers of all tags of the platform, None when nothing is missing.
        """
        customer = (await Identities(work).customers_of([claimed.identity_id])).get(claimed.identity_id)
        if customer is None:
            return {}
        await CustomerTags(work).lock([customer])
        stored = await Lookups(work).agreed_tags(claimed.identity_id)
        if stored is None:
            return {}
        shared = shared_tags(await self._book.current(work))
        found = turned(read_agreed(stored), seen, existing, shared)
        await _decide(work, customer, claimed, found, shared)
        carried = await CustomerTags(work).tags_elsewhere([(customer, tag) for tag in shared])
        noted, changes = wishes(found.after, {tag for _, tag in carried}, shared)
        await Lookups(work).agree_on_tags(claimed.identity_id, shown_agreed(noted))
        return changes

    async def done(self, work: UnitOfWork, claimed: Claimed, marked: Marked) -> None:
        """The platform did what was noted, but where it refused."""
        noted = read_agreed(await Lookups(work).agreed_tags(claimed.identity_id))
        await Lookups(work).agree_on_tags(
            claimed.identity_id, shown_agreed(done(noted, marked.numbers, marked.refused))
        )


async def _decide(work: UnitOfWork, customer: UUID, claimed: Claimed, found: Turned, shared: Collection[str]) -> None:
    """Write down what members decided, and tell who gained or lost a tag by it."""
    tags, source = CustomerTags(work), SOURCE + claimed.account_id
    decided = {**found.taken, **found.opposed, **found.given}
    if not decided:
        return
    pairs = [(customer, tag) for tag in decided]
    before = await tags.tags_elsewhere(pairs)
    changed: list[tuple[str, str]] = []
    for tag, member in found.taken.items():
        if await tags.unmark(customer, tag, "add", source, _by(claimed, member)):
            changed.append(("tag.remove", tag))
    for tag, member in found.opposed.items():
        await tags.unmark(customer, tag, "add", source, _by(claimed, member))
        if await tags.mark(claimed.identity_id, tag, "exclude", source, _by(claimed, member), _REMOVED):
            changed.append(("tag.exclude", tag))
    for tag, member in found.given.items():
        ended = await tags.unmark(customer, tag, "exclude", source, _by(claimed, member))
        if await tags.mark(claimed.identity_id, tag, "add", source, _by(claimed, member), _SET) or ended:
            changed.append(("tag.add", tag))
    after = await tags.tags_elsewhere(pairs)
    events = [
        mark_event(
            work,
            customer,
            tag,
            source,
            gained=(customer, tag) in after,
            by=_by(claimed, member),
            reason=_SET if tag in found.given else _REMOVED,
        )
        for tag, member in decided.items()
        if ((customer, tag) in before) != ((customer, tag) in after)
    ]
    await Events(work).add(await under_every_id(work, events))
    audit, actor = AuditLog(work), system_actor("lookups")
    for action, tag in changed:
        told = {"tag": tag, "by": _by(claimed, decided[tag])}
        await audit.record(actor, action, f"customer:{customer}", told)
    if any(tag in shared for tag in decided):
        await Lookups(work).ask_about_contacts_of([customer], without=claimed.identity_id)


_SET, _REMOVED = (
    "成员在平台上打了标签 · set by a member on the platform",
    "成员在平台上取消了标签 · taken away by a member on the platform",
)


def _by(claimed: Claimed, member: str) -> str:
    """Who decided, as the log of decisions names them: `wecom/main:LiMei`."""
    return f"{claimed.account_id}:{member}"
