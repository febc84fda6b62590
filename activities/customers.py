"""`profile.get`: what a flow knows of a customer, as the records stand now; `tag` and `untag`."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.customers import (
    PROFILE_GET,
    TAG,
    UNTAG,
    ProfileArguments,
    ProfileOutput,
    TagArguments,
    TagOutput,
)
from services.customer_facts import CustomerFactsService
from services.customer_tags import CustomerTagService, DecidingStep


def customer_activities(binder: CallBinder, profiles: CustomerFactsService, tags: CustomerTagService) -> list[Activity]:
    """The calls about customers."""

    async def get(request: ProfileArguments, context: CallContext) -> ProfileOutput:
        return await profiles.get(request.customer or context.subject, request.categories)

    async def tag(request: TagArguments, context: CallContext) -> TagOutput:
        step = DecidingStep(context.run_id, context.reference)
        return await tags.decide_in_run(step, request.customer or context.subject, request.tag, "add", request.reason)

    async def untag(request: TagArguments, context: CallContext) -> TagOutput:
        step = DecidingStep(context.run_id, context.reference)
        name = request.customer or context.subject
        return await tags.decide_in_run(step, name, request.tag, "remove", request.reason)

    return [binder.bind(PROFILE_GET, get), binder.bind(TAG, tag), binder.bind(UNTAG, untag)]
