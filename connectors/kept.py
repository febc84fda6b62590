"""What the clients of one account share within a process."""

from typing import TypeVar

Thing = TypeVar("Thing")


class Kept:
    """Things by name and kind, made when they are asked for first. What is kept bounds itself."""

    def __init__(self) -> None:
        self._things: dict[tuple[type, str], object] = {}

    def of(self, kind: type[Thing], name: str) -> Thing:
        """The thing of this name."""
        thing = self._things.setdefault((kind, name), None)
        if not isinstance(thing, kind):
            thing = self._things[kind, name] = kind()
        return thing
