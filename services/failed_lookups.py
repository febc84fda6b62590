"""People whom a platform was asked about in vain: who they are, why, and asking again once the cause is mended."""

from dataclasses import replace
from typing import Any

from domain.access import Actor, Permission
from domain.privacy import masked_key
from services.quarantine import MOST_AT_ONCE, Moved
from storage.audit import AuditLog
from storage.engine import Database
from storage.failed_lookups import FailedLookup, FailedLookups, LookupFilter
from storage.paging import Page, PageRequest
from storage.unit_of_work import UnitOfWork


class FailedLookupService:
    """Raises AuthorizationProblem without `events.read` (to ask again `events.publish`) and a scope that sees
    everything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, actor: Actor, wanted: LookupFilter, page: PageRequest) -> Page[FailedLookup]:
        """Failed lookups, those known the longest first; keys are masked, also in what the platform said."""
        _require(actor, Permission.EVENTS_READ)
        async with UnitOfWork(self._database) as work:
            found = await FailedLookups(work).page(wanted, page)
        return Page([_masked(each) for each in found.items], found.next_cursor)

    async def ask_again(self, actor: Actor, wanted: LookupFilter) -> Moved:
        """Let the platform be asked at once, about 10,000 at most; what went wrong is forgotten."""
        _require(actor, Permission.EVENTS_PUBLISH)
        async with UnitOfWork(self._database) as work:
            found = await FailedLookups(work).ask_again(wanted, MOST_AT_ONCE)
            await AuditLog(work).record(actor, "lookup.retry", "lookups", {**_told(wanted), "found": found})
        return Moved(found, found == MOST_AT_ONCE)


def _require(actor: Actor, permission: Permission) -> None:
    actor.require(permission)
    actor.require_everything()


def _masked(lookup: FailedLookup) -> FailedLookup:
    if lookup.value is None:
        return lookup
    hidden = masked_key(lookup.kind, lookup.value)
    return replace(lookup, value=hidden, problem=lookup.problem.replace(lookup.value, hidden))


def _told(wanted: LookupFilter) -> dict[str, Any]:
    """The filter as the audit log keeps it."""
    told: dict[str, Any] = {
        name: getattr(wanted, name)
        for name in ("platform", "account", "state", "problem")
        if getattr(wanted, name) is not None
    }
    if wanted.before is not None:
        told["before"] = wanted.before.isoformat()
    return told if wanted.ids is None else told | {"ids": sorted(wanted.ids)[:100]}
