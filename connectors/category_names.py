"""Categories by the names that people use: platforms put a number on goods, and tell its name elsewhere.

Names are asked for once a day. A number that the platform gives no name to, or whose name the shop may not read, stays
a number; when the platform does not answer, nothing is read that would take a known name away.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem

ASKED_AGAIN_AFTER = timedelta(days=1)
_MOST_REMEMBERED = 200_000

Ask = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""The names of numbers, and of any others that the answer told as well."""


def named_within(tree: Any, number: str, name: str) -> Mapping[str, str]:
    """The names of everything in a tree that has a number and a name, whatever the branches are called."""
    found: dict[str, str] = {}
    branches = [tree]
    while branches:
        branch = branches.pop()
        if isinstance(branch, list):
            branches += branch
        elif isinstance(branch, Mapping):
            if isinstance(branch.get(name), str) and branch.get(number):
                found[str(branch[number])] = branch[name]
            branches += [each for each in branch.values() if isinstance(each, list | Mapping)]
    return found


class CategoryNames:
    """What one process learnt of the names of numbers, by whose they are."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[datetime, str]] = {}

    async def of(self, whose: str, numbers: Collection[str], ask: Ask, now: datetime) -> Mapping[str, str]:
        """The names of these numbers, those without one left out. whose: what the numbers are numbers of.

        Raises problems of `ask` that may be gone later.
        """
        asked_since = now - ASKED_AGAIN_AFTER
        missing = [each for each in dict.fromkeys(numbers) if not self._is_fresh((whose, each), asked_since)]
        if missing:
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
            try:
                told = await ask(missing)
            except (AuthorizationProblem, NotFoundProblem, ValidationProblem):
                told = {}
            for number in {*missing, *told}:
                self._known[whose, number] = (now, told.get(number, ""))
        return {each: name for each in numbers if (name := self._known.get((whose, each), (now, ""))[1])}

    def _is_fresh(self, key: tuple[str, str], asked_since: datetime) -> bool:
        known = self._known.get(key)
        return known is not None and known[0] > asked_since
