"""Payees from a table, taken over as a whole: payees, who is above them and what they are known by, or none of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from domain.access import Actor, Permission
from domain.settlement.payee_rows import PayeeLine
from services.attribution_book import AttributionBook
from services.payee_circles import refuse_any_circle
from services.payee_refusals import MOST_AT_ONCE
from services.payees import PayeeRegister, PutPayees
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

Each = TypeVar("Each")
AT_ONCE = MOST_AT_ONCE
"""How many rows are held and written at a time; all of them become visible together."""


class PayeeImports:
    """Tables of any length, in one unit of work each."""

    def __init__(self, database: Database, book: AttributionBook | None = None) -> None:
        self._database = database
        self._register = PayeeRegister(database, book)

    async def take_over(self, actor: Actor, read: Callable[[], Iterable[PayeeLine]]) -> PutPayees:
        """Write everything down, or nothing. read: the lines from the first on; they are read twice, because somebody's
        upline may stand further down.

        :raises ValidationProblem, NotFoundProblem, ConflictProblem, AuthorizationProblem: as the register raises them.
        """
        actor.require(Permission.PAYEES_MANAGE)
        done = PutPayees()
        async with UnitOfWork(self._database) as work:
            for lines in _batches(read()):
                put = await self._register.put(actor, [each.payee for each in lines], within=work, keep_untold=True)
                done = PutPayees(done.new + put.new, done.changed + put.changed, done.unchanged + put.unchanged)
            earliest = None
            for lines in _batches(read()):
                if uplines := [each.upline for each in lines if each.upline is not None]:
                    await self._register.set_uplines(actor, uplines, within=work)
                    earliest = min(earliest or uplines[0].since, *(each.since for each in uplines))
                for keys in _batches(key for each in lines for key in each.keys):
                    await self._register.set_keys(actor, keys, within=work)
            if earliest is not None:
                await refuse_any_circle(work, earliest)
        return done


def _batches(found: Iterable[Each]) -> Iterator[Sequence[Each]]:
    rest = iter(found)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch
