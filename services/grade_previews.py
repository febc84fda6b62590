"""What a grading would change if it were published."""

import time
from collections import Counter
from uuid import UUID

from domain.access import Actor, Permission
from domain.tags import LiveGrading
from domain.tags.views import GradeMove, GradePreview
from services.definition_sources import only_resource
from storage.customer_grades import CustomerGrades
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.grading_breaks import GradingBreaks
from storage.unit_of_work import UnitOfWork

_AT_ONCE = 5_000


class GradePreviews:
    """See `services.customer_tags.CustomerTagService.preview`, which does the same for tag rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def preview(self, actor: Actor, text: str, *, budget_s: float = 20.0) -> GradePreview:
        """How many customers would go from which grade to which; nothing is written. RFM is measured for it.

        budget_s: no batch of customers begins later than this; the oldest customers come first.
        :raises ValidationProblem: the text is no grading, or a broken one.
        :raises AuthorizationProblem: the actor does not write gradings, or does not see customers.
        :raises UnavailableProblem: there are too many orders to measure RFM at once; release it to a share instead.
        """
        actor.require(Permission.DEFINITIONS_DRAFT)
        actor.require(Permission.CUSTOMERS_READ)
        grading = LiveGrading.of(only_resource(text, "grading"))
        end = time.monotonic() + budget_s
        async with UnitOfWork(self._database) as work:
            customers = await CustomerTags(work).count_customers()
            if grading.rfm is not None:
                breaks = await GradingBreaks(work).measured(grading)
                if breaks is None:
                    # Nobody bought, so nobody is ranked.
                    return GradePreview(grading.name, grading.version, customers, customers, True, [])
                grading = grading.with_breaks(breaks)
        moves = Counter[tuple[str | None, str | None]]()
        cursor: UUID | None = None
        examined, complete = 0, False
        while not complete and time.monotonic() < end:
            async with UnitOfWork(self._database) as work:
                batch = await CustomerTags(work).after(cursor, _AT_ONCE)
                moves.update(await CustomerGrades(work).compare(grading, batch))
            complete = len(batch) < _AT_ONCE
            cursor = batch[-1] if batch else cursor
            examined += len(batch)
        found = [GradeMove(was, grade, count) for (was, grade), count in moves.most_common()]
        return GradePreview(grading.name, grading.version, max(customers, examined), examined, complete, found)
