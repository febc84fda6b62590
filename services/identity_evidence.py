"""Why keys are one person's, as people see it: masked, and no more than their shops know."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access import Scope
from domain.customers.strength import Tier
from domain.privacy import masked_key, masked_record
from storage.identities import IdentityRow
from storage.identity_links import IdentityDecisionRow, IdentityLinkRow
from storage.identity_reviews import IdentityMoveRow, IdentitySuggestionRow


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key as people see it: its value masked. crowded: a crowd uses it, so that it says nothing about anybody."""

    id: int
    kind: str
    scope: str
    value: str
    customer: UUID
    first_seen_at: datetime
    crowded: bool


@dataclass(frozen=True, slots=True)
class ShownLink:
    """Evidence: the first record that named both keys. strength: that of the weaker key (`union` … `device`)."""

    low: int
    high: int
    strength: str
    account_id: str
    record: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """What somebody decided about keys. sides: the keys of one person for `join`, those of two for `part`."""

    id: UUID
    verdict: str
    sides: Sequence[Sequence[int]]
    actor: str
    reason: str
    decided_at: datetime
    undone_at: datetime | None
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class ShownMove:
    """A key that went from one customer to another. detail: the records or the decision that caused it."""

    identity: int
    from_customer: UUID
    to_customer: UUID
    cause: str
    detail: Mapping[str, Any]
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class ShownSuggestion:
    """Two keys that may be one person's, with what is known of each."""

    id: UUID
    why: str
    made_at: datetime
    low: ShownKey
    high: ShownKey


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why these keys are one customer: keys, the evidence between them, decisions, history, open questions.

    aliases: earlier ids of the customer. others: keys of other customers that the evidence, a decision or a question
    names as well.
    """

    customer: UUID
    aliases: Sequence[UUID]
    keys: Sequence[ShownKey]
    others: Sequence[ShownKey]
    links: Sequence[ShownLink]
    decisions: Sequence[ShownDecision]
    moves: Sequence[ShownMove]
    suggestions: Sequence[ShownSuggestion]


def shown_key(row: IdentityRow) -> ShownKey:
    """A key with its value masked."""
    value = masked_key(row.kind, row.value)
    return ShownKey(row.id, row.kind, row.scope, value, row.customer_id, row.first_seen_at, bool(row.crowded))


def shown_link(row: IdentityLinkRow) -> ShownLink:
    """Evidence, the person in the record's name masked."""
    record = masked_record(row.record)
    return ShownLink(row.low, row.high, Tier(row.tier).name.lower(), row.account_id, record, row.seen_at)


def shown_decision(row: IdentityDecisionRow, sides: Sequence[Sequence[int]]) -> ShownDecision:
    """A decision, about those of its keys that are seen."""
    return ShownDecision(
        row.id, row.verdict, sides, row.actor, row.reason, row.decided_at, row.undone_at, row.undone_by
    )


def seen_sides(
    row: IdentityDecisionRow, sides: Sequence[Sequence[int]], seen: Collection[int], scope: Scope
) -> Sequence[Sequence[int]]:
    """What a decision says of keys that are seen; nothing when it is about no two of them."""
    if scope.kind == "everything":
        return sides
    found = [kept for side in sides if (kept := [key for key in side if key in seen])]
    says_something = len(found) == 2 if row.verdict == "part" else any(len(side) > 1 for side in found)
    return found if says_something else []


def shown_move(row: IdentityMoveRow, shops: Collection[str]) -> ShownMove:
    """A move, with the records of these shops that caused it."""
    detail = dict(row.detail)
    if records := detail.get("records"):
        detail["records"] = [masked_record(each) for each in records if _teller(each) in shops]
    return ShownMove(row.identity_id, row.from_customer, row.to_customer, row.cause, detail, row.moved_at)


def tellers(row: IdentityMoveRow) -> Iterable[str]:
    """The accounts whose records caused a move."""
    return map(_teller, row.detail.get("records", ()))


def _teller(record: str) -> str:
    """The account whose record it is: history keeps `account record`."""
    return record.partition(" ")[0]


def shown_suggestion(row: IdentitySuggestionRow, keys: Mapping[int, ShownKey]) -> ShownSuggestion:
    """A question with the two keys that it is about."""
    return ShownSuggestion(row.id, row.why, row.made_at, keys[row.low], keys[row.high])
