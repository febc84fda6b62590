"""What the server knows of what tables hold, by which it chooses how to read them."""

import structlog
from sqlalchemy import text

from domain.problems import UnavailableProblem
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)


async def count_settlements(database: Database) -> None:
    """Have the tables of settlements, of the journal and of payouts counted: a sample of each, whatever its size.

    The server counts by itself, minutes after much was written; until then it takes the new rows for few, and may
    compare each of many with all of many others. Where that is not possible now (somebody else counts, or tends one of
    the tables), it is left to the server: nobody waits for it.
    """
    try:
        async with UnitOfWork(database) as work:
            await work.session.execute(text("SELECT count_settlements()"))
    except UnavailableProblem as problem:
        log.warning("tables of settlements are not counted now", reason=str(problem))
