"""Asking a platform about one person, or one order, that its pushes only name.

A client that can be asked has `looks_up`, the kind of key it is asked by, and the method `look_up`; for orders the
method `whole_order`. What comes back goes the way of a push: into the inbox, and is read there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from connectors.listed_rows import row_payload
from connectors.registry import Connector, ConnectorRegistry
from connectors.webhooks import Verified
from domain.canonical import KeyKind
from domain.ids import short_digest
from domain.problems import ProblemError
from domain.tags.sharing import Change, Seen, TagName


@dataclass(frozen=True, slots=True)
class KnownContact:
    """What is known of a person before the platform is asked. members: staff who are thought to have them as a contact.
    version: of the newest state that is known; what is read now is newer, whatever the clocks say."""

    members: Sequence[str] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a platform answered. record: for the inbox, None when it knows nothing. held: the tags at each member's
    contact, None where the platform has none."""

    record: Verified | None
    held: Mapping[str, Seen] | None = None


@dataclass(frozen=True, slots=True)
class Marked:
    """What became of changes of tags. numbers: of the tags that were added. refused: members at whose contact the
    platform does not let them be changed, and why; at everybody else's they were."""

    numbers: Mapping[TagName, str]
    refused: Mapping[str, ProblemError] = field(default_factory=dict)


@runtime_checkable
class LooksUp(Protocol):
    """A client whose platform can be asked about a person."""

    looks_up: KeyKind

    async def look_up(self, value: str, known: KnownContact) -> LookedUp:
        """What the platform knows of the person with this key.

        Raises problems as `connectors.errors` describes them.
        """


@runtime_checkable
class TellsWholeOrders(Protocol):
    """A client whose platform pushes steps of orders (`OrderData.told_in_part`), and tells the whole one when asked."""

    async def whole_order(self, order_id: str) -> Verified:
        """The order as a row of its list, for the inbox: see `asked_for`. Raises as `look_up` does."""


@runtime_checkable
class SharesTags(Protocol):
    """A client whose platform shows tags at contacts. Both methods raise as `look_up` does."""

    async def tag_numbers(self) -> frozenset[str]:
        """The numbers of all tags that the platform has now."""

    async def change_tags(self, value: str, changes: Mapping[str, Change]) -> Marked:
        """Make the changes at each member's contact, and the tags that are missing.

        What is about one member is told of that member, and raised is what everybody has. Making them again changes
        nothing, so repeating is safe.
        """


def asked_for(kind: str, number: str, row: Any, now: datetime) -> Verified:
    """A thing that was asked for, as a record of its kind. It is read whatever a list told before: something waits.

    One answer is one record however often it is given: one that cannot be read is put aside once.
    """
    digest = short_digest(row_payload(row, sort_keys=True))
    return Verified(kind, row_payload(row), f"asked:{kind}:{number}"[:200] + f":{digest}", now)


def can_be_asked(connector: Connector) -> bool:
    """Whether a platform can be asked about people or orders."""
    client = connector.client
    return getattr(client, "looks_up", None) is not None or hasattr(client, "whole_order")


def looked_up(connectors: ConnectorRegistry) -> dict[str, KeyKind]:
    """The kind of key by which each platform that can be asked is asked."""
    kinds = {platform: getattr(connector.client, "looks_up", None) for platform, connector in connectors.items()}
    return {platform: kind for platform, kind in kinds.items() if kind is not None}
