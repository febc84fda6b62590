"""When what is measured over everybody is due again."""

from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlmodel import col

from storage.identities import CustomerRow
from storage.unit_of_work import Repository

MEASURE_EVERY = timedelta(hours=24)
LONGEST = text("SELECT set_config('statement_timeout', '200s', true)")
"""How long a measure over everybody may take: a turn of the drain that makes it has five minutes."""
_SOONEST = timedelta(minutes=1)


class Measuring(Repository):
    """While a Tandem is young its shops' past still comes in, and a measure over the first few would hold for a day."""

    async def is_due(self, measured_at: datetime | None, older_than: timedelta = MEASURE_EVERY) -> bool:
        """Whether a measure is older than that, or than the time before it in which customers were known: that measures
        after minutes at first, and twice as late each time."""
        if measured_at is None:
            return True
        began = await self.session.scalar(select(col(CustomerRow.created_at)).order_by(col(CustomerRow.id)).limit(1))
        known_for = measured_at - began if began is not None else timedelta()
        return measured_at <= self.now - min(older_than, max(known_for, _SOONEST))
