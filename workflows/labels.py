"""What runs are found by in Temporal: search attributes and memo, the same for runs of ours and for their children."""

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.runs import subject_id
from workflows.messages import FlowStart

FLOW = SearchAttributeKey.for_keyword("TandemFlow")
VERSION = SearchAttributeKey.for_keyword("TandemVersion")
SUBJECT = SearchAttributeKey.for_keyword_list("TandemSubject")
CUSTOMER = SearchAttributeKey.for_keyword("TandemCustomer")
TICKET = SearchAttributeKey.for_keyword("TandemTicket")
PHASE = SearchAttributeKey.for_keyword("TandemPhase")

_LONGEST_FAIRNESS_KEY = 64
_LONGEST_SUMMARY_BYTES = 200


def flow_name(start: FlowStart) -> str:
    """The workflow type: `namespace/name`."""
    return f"{start.namespace}/{start.name}"


def fairness_key(start: FlowStart) -> str:
    """Runs of one flow share the workers fairly with those of others."""
    return flow_name(start)[:_LONGEST_FAIRNESS_KEY]


def summary(text: str) -> str:
    """A text short enough for Temporal's summaries (400 bytes, encryption included)."""
    return text.encode()[:_LONGEST_SUMMARY_BYTES].decode(errors="ignore")


def search_attributes(start: FlowStart) -> TypedSearchAttributes:
    """The search attributes that a run starts with."""
    subjects = tuple(dict.fromkeys(filter(None, (start.subject, *start.subjects))))
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(FLOW, flow_name(start)),
        SearchAttributePair(VERSION, start.version),
        SearchAttributePair(PHASE, "running"),
    ]
    if subjects:
        pairs.append(SearchAttributePair(SUBJECT, list(subjects)))
    for key, kind in ((CUSTOMER, "customer"), (TICKET, "ticket")):
        found = subject_id(subjects, kind)
        if found:
            pairs.append(SearchAttributePair(key, found))
    return TypedSearchAttributes(pairs)


def memo(start: FlowStart) -> dict[str, Any]:
    """What can be told of a run without any worker."""
    return {"version": start.version, "digest": start.definition.digest, "attempt": start.attempt}
