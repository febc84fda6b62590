"""Nobody is above themselves: looked for in everything that was and will be said of uplines."""

from datetime import date
from itertools import groupby
from operator import itemgetter

from domain.settlement.payees import circle_in, circle_problem
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork

_MOST_NAMED = 20


async def refuse_any_circle(work: UnitOfWork, since: date) -> None:
    """Returns when nobody is above themselves on a day, nor on a later one on which something changes.

    :raises ValidationProblem: somebody is; it names the circle.
    """
    payees = Payees(work)
    uplines: dict[int, int | None] = {**await payees.uplines_at(since)}
    circle = circle_in(uplines)
    for _, changes in groupby(await payees.later_uplines(since), key=itemgetter(0)):
        if circle:
            break
        changed = {payee: upline for _, payee, upline in changes}
        uplines.update(changed)
        circle = circle_in(uplines, changed)
    if circle:
        names = await payees.codes({*circle[:_MOST_NAMED], *circle[-_MOST_NAMED:]})
        raise circle_problem([names.get(each, str(each)) for each in circle])
