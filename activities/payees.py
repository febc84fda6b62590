"""`payee.note_fact`: what a payee did or was given, noted by a flow."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.payees import NOTE_FACT, NoteFactArguments, NoteFactOutput
from services.flow_facts import FlowFacts, NotingStep


def payee_activities(binder: CallBinder, facts: FlowFacts) -> list[Activity]:
    """The calls about payees."""

    async def note(request: NoteFactArguments, context: CallContext) -> NoteFactOutput:
        return await facts.note(NotingStep(context.run_id, context.reference, context.key), request)

    return [binder.bind(NOTE_FACT, note)]
