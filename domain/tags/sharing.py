"""Tags that Tandem and a chat platform both show: what changed on which side since they last agreed.

Compared is with what was last agreed on, never with a clock. What Tandem is about to do is noted before it is done, so
that what comes back of it, whenever and however often, is known for its own work and is no change.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Standing = Literal["there", "adding", "removing"]


class TagName(NamedTuple):
    """How the platform's people call a tag."""

    group: str
    name: str


class AgreedTag(BaseModel):
    """A tag at one member's contact. ours: Tandem set it. standing: `there`; or being added or removed by Tandem, which
    nobody knows yet whether it was done. number: the platform's, None before it told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    name: str
    number: str | None = None
    ours: bool = False
    standing: Standing = "there"

    @property
    def key(self) -> TagName:
        return TagName(self.group, self.name)


class AgreedContact(BaseModel):
    """One member's contact as both sides knew it last. since: when they became a contact, in Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: int
    tags: tuple[AgreedTag, ...] = ()


Agreed = dict[str, AgreedContact]
"""By member."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One member's contact as the platform shows it now. tags: the corp's, by number."""

    since: int
    tags: Mapping[str, TagName]


@dataclass(slots=True)
class Turned:
    """What people did on the platform since the two last agreed. given, taken, opposed: tags with who did it.

    taken: a tag that a member had set, and nobody holds any more. opposed: a tag of Tandem's that a member took away.
    """

    after: Agreed
    given: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    opposed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What to do at one member's contact."""

    add: tuple[TagName, ...] = ()
    remove: tuple[str, ...] = ()


def read_agreed(stored: Mapping[str, Any] | None) -> Agreed:
    """What was stored of a contact."""
    return {member: AgreedContact.model_validate(value) for member, value in (stored or {}).items()}


def shown_agreed(agreed: Agreed) -> dict[str, Any]:
    """As it is stored."""
    return {member: contact.model_dump(mode="json") for member, contact in sorted(agreed.items())}


def misses_any(agreed: Agreed, seen: Mapping[str, Seen]) -> bool:
    """Whether a tag is not there any more that was: then it matters whether the platform still has such a tag."""
    return any(
        tag.standing == "there" and tag.number not in seen[member].tags
        for member, contact in agreed.items()
        if member in seen and seen[member].since == contact.since
        for tag in contact.tags
    )


def turned(
    agreed: Agreed, seen: Mapping[str, Seen], existing: Collection[str] | None, shared: Collection[str]
) -> Turned:
    """What members did. existing: numbers of all tags that the platform has, None when `misses_any` is false.

    A contact that is gone, or was made anew, takes no decision with it: its tags went with it.
    """
    result = Turned({})
    for member, now in sorted(seen.items()):
        known = agreed.get(member)
        before = known.tags if known is not None and known.since == now.since else ()
        _compare(result, member, now, before, existing, shared)
    held = {tag.name for contact in result.after.values() for tag in contact.tags if not tag.ours}
    for name in held | result.given.keys():
        result.taken.pop(name, None)
    for name in result.given:
        result.opposed.pop(name, None)
    return result


def _compare(
    result: Turned,
    member: str,
    now: Seen,
    before: Collection[AgreedTag],
    existing: Collection[str] | None,
    shared: Collection[str],
) -> None:
    left = {tag.key: tag for tag in before}
    tags = []
    for number, key in sorted(now.tags.items(), key=lambda item: item[1]):
        renamed = next((tag for tag in left.values() if tag.number == number and tag.key != key), None)
        if renamed is not None:
            # An administrator gave the tag another name: nobody decided anything about this contact.
            del left[renamed.key]
            if not renamed.ours:
                result.taken.setdefault(renamed.name, member)
        known = left.pop(key, None)
        if known is None:
            result.given.setdefault(key.name, member)
        tags.append(AgreedTag(group=key.group, name=key.name, number=number, ours=known is not None and known.ours))
    for tag in left.values():
        if tag.standing != "there":
            continue  # taken away as Tandem wished, or never set: it is looked at again what Tandem wishes
        if not tag.ours:
            result.taken.setdefault(tag.name, member)
        elif tag.name in shared and (existing is None or tag.number in existing):
            result.opposed.setdefault(tag.name, member)
    result.after[member] = AgreedContact(since=now.since, tags=tuple(tags))


def wishes(after: Agreed, carried: Collection[str], shared: Mapping[str, str]) -> tuple[Agreed, dict[str, Change]]:
    """What Tandem has to do so that every member's contact shows the shared tags that the customer carries, and only
    those; and what is to be agreed on meanwhile. shared: the platform's group by tag."""
    noted: Agreed = {}
    changes: dict[str, Change] = {}
    wanted = {TagName(group, name) for name, group in shared.items() if name in carried}
    for member, contact in after.items():
        add = wanted - {tag.key for tag in contact.tags}
        unwanted = {tag.key for tag in contact.tags if shared.get(tag.name) == tag.group} - wanted
        tags = [tag.model_copy(update={"standing": "removing"}) if tag.key in unwanted else tag for tag in contact.tags]
        tags += [AgreedTag(group=key.group, name=key.name, ours=True, standing="adding") for key in sorted(add)]
        noted[member] = AgreedContact(since=contact.since, tags=tuple(sorted(tags, key=lambda tag: tag.key)))
        if add or unwanted:
            removed = tuple(tag.number for tag in contact.tags if tag.key in unwanted and tag.number is not None)
            changes[member] = Change(tuple(sorted(add)), removed)
    return noted, changes


def done(noted: Agreed, numbers: Mapping[TagName, str], without: Collection[str] = ()) -> Agreed:
    """What is agreed on once the changes were made. numbers: of the tags that were added. without: members at whose
    contact nothing was changed: what was noted of it stays."""
    return {
        member: contact
        if member in without
        else AgreedContact(
            since=contact.since,
            tags=tuple(
                tag.model_copy(update={"standing": "there", "number": numbers.get(tag.key, tag.number)})
                for tag in contact.tags
                if tag.standing != "removing"
            ),
        )
        for member, contact in noted.items()
    }
