"""Where a person is named in stored texts: their keys, their ids here, the numbers of their orders, in every spelling
in which a JSON document, a form body or a URL holds them."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from domain.canonical.keys import IdentityKey

SHORTEST = 6
"""Shorter values stand in too many texts about others: they are known as a subject only (`key:member/pos/main/7`,
`customer:generic/pos/7`)."""

_WORD = rb"[0-9A-Za-z_]"
_MAIN_ORDER = ("parent_order_id", "parent_order_sn")
"""Members that hold the number of the order that another one belongs to. In a group-buy that is somebody else's, and
what joins it is no mention of whoever opened it."""
_MAIN_ORDERS = re.compile(rb'\\*"(?:%s)\\*"\s*:\s*\\*"[^"\\]*\\*"' % "|".join(_MAIN_ORDER).encode())


class Traces:
    """keys: of the person; names: their ids here, former ones too; orders: numbers of their orders."""

    def __init__(self, keys: Iterable[IdentityKey], names: Iterable[str], orders: Iterable[str]) -> None:
        ids = set(names)
        values = {f"customer:{name}" for name in ids} | ids
        for order in orders:
            values |= {f"order:{order}"} | ({order} if len(order) >= SHORTEST else set())
        for key in keys:
            values |= {key.subject, key.customer_subject} if key.kind == "buyer" else {key.subject}
            if len(key.value) >= SHORTEST:
                values.add(key.value)
            if key.kind == "phone":
                values |= {key.value.removeprefix("+"), key.value.removeprefix("+86")}
        self._needles = sorted({spelling for value in values for spelling in _spellings(value)})
        # What a word goes on with is another word: a phone's digits inside of an order's number are no phone.
        either = b"|".join(map(re.escape, self._needles)) or rb"(?!)"
        self._whole = re.compile(rb"(?<!%s)(?:%s)(?!%s)" % (_WORD, either, _WORD))

    def are_in(self, text: bytes | str | None) -> bool:
        """Whether a text names the person."""
        if not text:
            return False
        data = text.encode() if isinstance(text, str) else text
        if not any(needle in data for needle in self._needles):
            return False
        return self._whole.search(_MAIN_ORDERS.sub(b"", data)) is not None

    def without(self, value: Any) -> Any:
        """A JSON value without what names the person: texts become null, and so does the object around one, with the
        names and addresses that stand beside it. The whole value stays what it is: an object, or a list."""
        shown = self._without(value)
        return type(value)() if shown is None and isinstance(value, dict | list) else shown

    def only(self, value: Any) -> Any:
        """A JSON value with what is about the person: an object that names them is whole; of what is around it stay its
        plain members, and of a list those that name them. None when nothing does."""
        if isinstance(value, dict):
            if self._is_named_by(value):
                return value
            found = {name: each if _is_plain(each) else self.only(each) for name, each in value.items()}
            is_about = any(found[name] is not None for name, each in value.items() if not _is_plain(each))
            return {name: each for name, each in found.items() if each is not None} if is_about else None
        if isinstance(value, list):
            return [kept for each in value if (kept := self.only(each)) is not None] or None
        return value if value is not None and self.are_in(str(value)) else None

    def told_beside(self, value: Any) -> Iterator[str]:
        """The plain members of list entries that do not name the person, beside ones that do: each may name somebody
        else, or be one more answer of a form that this person filled in."""
        if isinstance(value, dict):
            for each in value.values():
                yield from self.told_beside(each)
        if isinstance(value, list):
            others = [each for each in value if self.only(each) is None]
            if len(others) < len(value):
                yield from _plain_members(others)
                for each in value:
                    yield from self.told_beside(each)

    def _is_named_by(self, value: dict[str, Any]) -> bool:
        """Whether a plain member of an object names the person."""
        pairs = [pair for pair in value.items() if pair[0] not in _MAIN_ORDER]
        return any(self.are_in(str(each)) for pair in pairs for each in pair if _is_plain(each))

    def _without(self, value: Any) -> Any:
        if isinstance(value, dict):
            pairs = [pair for pair in value.items() if pair[0] not in _MAIN_ORDER]
            if any(self.are_in(each) for pair in pairs for each in pair if isinstance(each, str)):
                return None
            return {name: each if name in _MAIN_ORDER else self._without(each) for name, each in value.items()}
        if isinstance(value, list):
            return [kept for each in value if (kept := self._without(each)) is not None or each is None]
        if isinstance(value, str | int) and not isinstance(value, bool):
            return None if self.are_in(str(value)) else value
        return value


def _plain_members(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _plain_members(each)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield str(value)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _spellings(value: str) -> set[bytes]:
    return {value.encode(), json.dumps(value)[1:-1].encode(), quote(value, safe="").encode(), quote(value).encode()}
