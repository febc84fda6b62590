"""The rounds of the drain that keeps tags: what stops one part of a round stops no other part.

A batch that the database does not finish, or refuses, is tried again as a quarter of it; when one check alone is to
blame it is left for tomorrow, when one customer alone is a backfill goes on behind them.
"""

import time

import structlog

from services.category_filling import ORDERS_AT_ONCE, CategoryFilling
from services.tagging import BACKFILL_AT_ONCE, CHECKS_AT_ONCE, Tagging
from storage.failures import depends_on_rows

log = structlog.get_logger(__name__)

_FEWER = 4
_LONG_S = 10.0


class _Size:
    """How many at once: fewer after a batch that failed, more again after one that went through."""

    def __init__(self, most: int) -> None:
        self._most = self.now = most

    def shrink(self) -> bool:
        """Whether there is less than this to try."""
        if self.now == 1:
            return False
        self.now = max(1, self.now // _FEWER)
        return True

    def grow(self) -> None:
        self.now = min(self._most, self.now * _FEWER)


class TagKeeping:
    """One at a time in each installation: sizes are remembered from round to round."""

    def __init__(self, tagging: Tagging, categories: CategoryFilling) -> None:
        self._tagging = tagging
        self._categories = categories
        self._checks = _Size(CHECKS_AT_ONCE)
        self._orders = _Size(ORDERS_AT_ONCE)
        self._customers = _Size(BACKFILL_AT_ONCE)

    async def round(self) -> bool:
        """Measure what is due, look at customers whom time may have given or taken a tag, at those whose articles got
        a category, then at the next ones of a rule's new version; True when there may be more at once.

        Raises what a part raised, once all others had their turn.
        """
        began, more = time.monotonic(), False
        problems: list[Exception] = []
        for part in (self._measure, self._check, self._follow, self._fill_in):
            try:
                more = await part() or more
            except Exception as error:  # told below
                problems.append(error)
            if part == self._measure and time.monotonic() - began > _LONG_S:
                # The turn of the drain has an end, and everything else is quick.
                more = True
                break
        for further in problems[1:]:
            log.warning("keeping tags failed in several places", reason=str(further))
        if problems:
            raise problems[0]
        return more

    async def _measure(self) -> bool:
        await self._tagging.measure()
        return False

    async def _check(self) -> bool:
        try:
            checked = await self._tagging.check_due(self._checks.now)
        except Exception as error:
            if not depends_on_rows(error):
                raise
            if not self._checks.shrink():
                await self._tagging.put_off_check()
            return True
        self._checks.grow()
        return not checked.complete

    async def _follow(self) -> bool:
        try:
            complete = await self._categories.fill(self._orders.now)
        except Exception as error:
            if not depends_on_rows(error) or not self._orders.shrink():
                raise
            return True
        self._orders.grow()
        return not complete

    async def _fill_in(self) -> bool:
        try:
            filled = await self._tagging.backfill(self._customers.now)
        except Exception as error:
            if not depends_on_rows(error):
                raise
            if not self._customers.shrink():
                await self._tagging.backfill(1, passing_over=True)
            return True
        self._customers.grow()
        return not filled.complete
