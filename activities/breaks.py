"""`breaks.left`: what of a day's breaks nobody has explained."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.breaks import BREAKS_LEFT, BreaksLeftArguments, BreaksLeftOutput
from services.breaks import BreakService


def break_activities(binder: CallBinder, breaks: BreakService) -> list[Activity]:
    """The calls about breaks."""

    async def left(request: BreaksLeftArguments, _: CallContext) -> BreaksLeftOutput:
        return await breaks.left(request)

    return [binder.bind(BREAKS_LEFT, left)]
