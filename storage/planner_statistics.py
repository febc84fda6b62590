"""What the server knows of what tables hold, by which it chooses how to read them."""

from sqlalchemy import text

from storage.measuring import LONGEST
from storage.unit_of_work import Repository


class PlannerStatistics(Repository):
    """The server counts by itself, minutes after much was written. Until then it takes the new rows for few, and may
    compare each of many with all of many others."""

    async def count_settlements(self) -> None:
        """Have the tables of settlements, of the journal and of payouts counted; a sample of each, whatever its size.

        Other counts of the same tables wait for the end of the unit of work.
        """
        await self.session.execute(LONGEST)
        await self.session.execute(text("SELECT count_settlements()"))
