"""`profile.get`: what a flow knows of a customer, as the records stand now."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.customers import PROFILE_GET, ProfileArguments, ProfileOutput
from services.customer_facts import CustomerFactsService


def customer_activities(binder: CallBinder, profiles: CustomerFactsService) -> list[Activity]:
    """The calls about customers."""

    async def get(request: ProfileArguments, context: CallContext) -> ProfileOutput:
        return await profiles.get(request.customer or context.subject, request.categories)

    return [binder.bind(PROFILE_GET, get)]
