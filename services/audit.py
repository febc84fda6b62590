"""The audit log for those who may read it, and the sealing that keeps its chain growing."""

import asyncio
import logging
from datetime import datetime

from domain.access import Actor, Permission
from domain.problems import ProblemError
from storage.audit import AuditEntry, AuditLog, ChainHead, ChainReport
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.unit_of_work import UnitOfWork

SEALING_INTERVAL_S = 2.0
_BATCH = 500
_log = logging.getLogger(__name__)


class AuditTrail:
    """Reading and verifying; both raise AuthorizationProblem without `audit.read`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self,
        reader: Actor,
        page: PageRequest,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page[AuditEntry]:
        """Entries within the reader's data scope, newest first."""
        reader.require(Permission.AUDIT_READ)
        async with UnitOfWork(self._database) as work:
            return await AuditLog(work).list(
                reader.scope, page, actor=actor, action=action, target=target, since=since, until=until
            )

    async def verify(self, reader: Actor, known_head: ChainHead | None = None) -> ChainReport:
        """Check the whole chain; known_head: a head noted earlier outside the database."""
        reader.require(Permission.AUDIT_READ)
        async with UnitOfWork(self._database) as work:
            return await AuditLog(work).verify_chain(known_head)


async def seal_pending(database: Database) -> int:
    """Chain every entry that waits, in batches; how many."""
    total = 0
    while True:
        async with UnitOfWork(database) as work:
            sealed = await AuditLog(work).seal(_BATCH)
        total += sealed
        if sealed < _BATCH:
            return total


async def keep_sealed(database: Database, interval_s: float = SEALING_INTERVAL_S) -> None:
    """Seal every few seconds until cancelled; any number of processes may do so at once."""
    while True:
        try:
            await seal_pending(database)
        except ProblemError as error:
            _log.warning("the audit chain could not be sealed, trying again in %s s: %s", interval_s, error)
        except Exception:
            # A chain that silently stops growing is worse than a line in the log every few seconds.
            _log.exception("the audit chain could not be sealed, trying again in %s s", interval_s)
        await asyncio.sleep(interval_s)
