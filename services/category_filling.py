"""Lines of orders follow the category of their article, and tags and sales follow the lines.

A platform's list of goods may come after orders that are years old, and an article may stand in a million of them: so
this is done beside the inbox, some orders at a time, until all have followed.
"""

from datetime import datetime
from uuid import UUID

from services.intake import TRIGGERS_WITHIN, Tagging
from services.selling import Selling
from storage.article_categories import ArticleCategories
from storage.engine import Database
from storage.events import Events
from storage.unit_of_work import UnitOfWork

ORDERS_AT_ONCE = 2_000
_ARTICLES_AT_ONCE = 100
_KINDS = frozenset({"orders"})


class CategoryFilling:
    def __init__(self, database: Database, tagging: Tagging, selling: Selling | None = None) -> None:
        self._database = database
        self._tagging = tagging
        self._selling = selling

    async def fill(self, limit: int = ORDERS_AT_ONCE) -> bool:
        """Let the lines of the next orders follow, so many at most; whether no more can at once.

        What is learnt of orders that are days old starts no flow, as a shop's past does not.
        """
        left = limit
        whose: dict[UUID, datetime] = {}
        async with UnitOfWork(self._database) as work:
            categories = ArticleCategories(work)
            articles = await categories.behind(_ARTICLES_AT_ONCE)
            for article in articles:
                orders, changed = await categories.carry(article, left)
                left -= len(orders)
                if self._selling is not None:
                    await self._selling.note_keys(work, orders)
                for customer, told_at in changed:
                    whose[customer] = max(told_at, whose.get(customer, told_at))
                if left <= 0:
                    break
            await self._follow(work, whose)
            return left > 0 and len(articles) < _ARTICLES_AT_ONCE

    async def _follow(self, work: UnitOfWork, whose: dict[UUID, datetime]) -> None:
        if not whose:
            return
        told = await self._tagging.evaluate(work, frozenset(whose), _KINDS)
        lately = {f"customer:{each}" for each, at in whose.items() if work.now - at <= TRIGGERS_WITHIN}
        await Events(work).add([event for event in told if event.subject in lately])
        await Events(work).add([event for event in told if event.subject not in lately], queue=False)
