"""Masking of free JSON: the same value, of the same shape, without the personal data in it.

Three things make a text personal: a declaration (of a call or a form), its key, a pattern inside of it. A person's name
or address that stands in one place of a value is masked in the sentences of the same value as well.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from domain.privacy.declared import Shape
from domain.privacy.keys import Meaning, meaning_of
from domain.privacy.kinds import HIDDEN, KINDS, Kind, masked, masked_text

# Members of these are schemas by the names of fields; such a name says nothing about the schema below it.
_NAMES_OF_FIELDS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_SMALLEST_NUMBER = 10_000  # A flag or a count under the key of a phone is no phone.
_MOST_KNOWN = 200
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/#=+-]*")
_NAME = re.compile("[\u4e00-\u9fff·]{2,20}")
_SHORTEST_ADDRESS = 6

NOTHING: Mapping[str, Kind] = {}


class Place(NamedTuple):
    """Where a value stands: a key or an index below another place. A chain, so that depth costs nothing."""

    above: "Place | None"
    key: Any

    @property
    def path(self) -> list[Any]:
        """The keys and indexes from the root."""
        found, place = [], self
        while place.above is not None:
            found.append(place.key)
            place = place.above
        return found[::-1]


_ROOT = Place(None, None)


@dataclass(slots=True)
class Leaf:
    """A text, or a number under a personal key, in the copy of a value. kind None: only what patterns find counts."""

    holder: Any
    place: Place
    original: Any
    text: str
    kind: Kind | None

    def put(self, value: Any) -> None:
        """Change it in the copy."""
        self.holder[self.place.key] = value


class Masking:
    """The rules for one installation. Never raises, whatever the value; masking what is masked changes nothing.

    Keys stay, and so does the number of members and items. A number that is personal becomes a text.

    :param shapes: of the models that declare personal fields, see `shapes_of`.
    """

    def __init__(self, shapes: Iterable[Shape] = ()) -> None:
        self._shapes = tuple(shapes)

    def mask(self, value: Any, declared: Mapping[str, Kind] = NOTHING) -> Any:
        """A copy as everybody may see it; declared: further personal fields by name."""
        holder, leaves = self.leaves(value, declared)
        for leaf, shown in as_shown(leaves):
            leaf.put(shown)
        return holder[0]

    def leaves(self, value: Any, declared: Mapping[str, Kind] = NOTHING) -> tuple[list[Any], list[Leaf]]:
        """A list of one that holds a copy of the value, and every place in it that may have to change."""
        holder: list[Any] = [None]
        leaves: list[Leaf] = []
        # Walked with a list of our own: depth must not end in a RecursionError.
        waiting: list[tuple[Any, Any, Place, Meaning | None]] = [(value, holder, Place(_ROOT, 0), None)]
        while waiting:
            node, into, place, meaning = waiting.pop()
            copy: Any = node
            if isinstance(node, Mapping):
                copy = dict.fromkeys(node)
                meanings = self._meanings(node, declared, meaning == "address", place.key in _NAMES_OF_FIELDS)
                waiting.extend((inner, copy, Place(place, key), meanings(key)) for key, inner in node.items())
            elif isinstance(node, list | tuple):
                copy = [None] * len(node)
                waiting.extend((inner, copy, Place(place, index), meaning) for index, inner in enumerate(node))
            into[place.key] = copy
            kind = meaning if meaning in KINDS else None
            if isinstance(node, str):
                if meaning not in ("id", "person") or not _IDENTIFIER.fullmatch(node):
                    leaves.append(Leaf(into, place, node, node, kind))
            elif kind is not None and (number := _number(node)) is not None:
                leaves.append(Leaf(into, place, node, number, kind))
        return holder, leaves

    def _meanings(
        self, node: Mapping[Any, Any], declared: Mapping[str, Kind], in_address: bool, names: bool
    ) -> Callable[[Any], Meaning | None]:
        """What the keys of one object say, given what stands beside them."""
        own: dict[str, Kind] = {}
        for shape in self._shapes:
            if shape.fits(node):
                own |= shape.fields
        known = {key: meaning_of(key) for key in node if isinstance(key, str)}
        if not names and "name" in known and (in_address or any(map(_tells_a_person, known.values()))):
            own.setdefault("name", "name")
        # Free text in an address is the address, except the part that may be shown.
        default: Meaning | None = "address" if in_address else None

        def meaning(key: Any) -> Meaning | None:
            if not isinstance(key, str):
                return default
            if names and isinstance(node[key], Mapping):
                return None
            return declared.get(key) or own.get(key) or known[key] or default

        return meaning


def _tells_a_person(meaning: Meaning | None) -> bool:
    return meaning == "person" or meaning in KINDS


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) >= _SMALLEST_NUMBER:
        return None
    try:
        return str(int(value))
    except (ValueError, OverflowError):
        return HIDDEN  # infinite, or of more digits than Python writes


def as_shown(leaves: Sequence[Leaf]) -> Iterator[tuple[Leaf, str]]:
    """Each leaf of one value with its text as everybody may see it."""
    known: dict[str, str] = {}
    for leaf in leaves:
        if leaf.kind is not None and len(known) < _MOST_KNOWN and _is_telling(leaf.kind, leaf.text):
            text, mask = masked_text(leaf.text.strip()), masked(leaf.kind, leaf.text)
            if mask != text:
                known[text] = mask
    # Patterns were found before, so an address is looked for as they leave it.
    longest_first = sorted(known, key=lambda text: (-len(text), text))
    pattern = re.compile("|".join(map(re.escape, longest_first))) if known else None
    for leaf in leaves:
        if leaf.kind is not None:
            yield leaf, masked(leaf.kind, leaf.text)
        elif pattern is not None:
            yield leaf, pattern.sub(lambda found: known[found[0]], masked_text(leaf.text))
        else:
            yield leaf, masked_text(leaf.text)


def _is_telling(kind: Kind, text: str) -> bool:
    """Whether it can be found in a sentence without finding half of another word."""
    if kind == "address":
        return len(text.strip()) >= _SHORTEST_ADDRESS and "*" not in text
    return kind == "name" and _NAME.fullmatch(text.strip()) is not None
