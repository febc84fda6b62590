"""Whether a condition can make a difference at all, and whether it holds for somebody of whom nothing is known."""

from collections.abc import Iterable, Sequence

from domain.tags.conditions import Condition, Leaf
from domain.tags.shares import WHOLE

_NUMBERS = ("count", "sum", "distinct")


def outcome(condition: Condition) -> bool | None:
    """True for a condition that always holds, False for one that never can, None for one that depends."""
    if isinstance(condition, Leaf):
        return _leaf_outcome(condition)
    known = [outcome(each) for each in condition.children]
    if condition.word == "all":
        return _all(known, condition.children)
    met = _any(known, condition.children)
    return met if condition.word == "any" or met is None else not met


def holds_for_strangers(condition: Condition) -> bool:
    """Whether it holds for a customer without a single record: then every new customer has to be looked at."""
    if isinstance(condition, Leaf):
        return condition.measure in _NUMBERS and (condition.bounds.low or 0) <= 0
    met = [holds_for_strangers(each) for each in condition.children]
    match condition.word:
        case "all":
            return all(met)
        case "any":
            return any(met)
        case "none":
            return not any(met)


def _leaf_outcome(leaf: Leaf) -> bool | None:
    bounds = leaf.bounds
    if bounds.is_contradictory or (bounds.high is not None and bounds.high < 0):
        return False
    if leaf.measure == "share" and (bounds.low or 0) > WHOLE:
        return False
    if leaf.measure in _NUMBERS and (bounds.low or 0) <= 0 and bounds.high is None:
        return True
    return None


def _all(known: Sequence[bool | None], children: Iterable[Condition]) -> bool | None:
    if any(each is False for each in known):
        return False
    if all(each is True for each in known):
        return True
    for same in _by_subject(children):
        low = max(leaf.bounds.low or 0 for leaf in same)
        high = min((leaf.bounds.high for leaf in same if leaf.bounds.high is not None), default=None)
        if high is not None and low > high:
            return False
    return None


def _any(known: Sequence[bool | None], children: Iterable[Condition]) -> bool | None:
    if any(each is True for each in known):
        return True
    if all(each is False for each in known):
        return False
    return True if any(_covers_everything(same) for same in _by_subject(children)) else None


def _covers_everything(same: Sequence[Leaf]) -> bool:
    reached = 0
    for leaf in sorted(same, key=lambda leaf: leaf.bounds.low or 0):
        if (leaf.bounds.low or 0) > reached:
            return False
        if leaf.bounds.high is None:
            return True
        reached = max(reached, leaf.bounds.high + 1)
    return False


def _by_subject(children: Iterable[Condition]) -> list[list[Leaf]]:
    same: dict[tuple[object, ...], list[Leaf]] = {}
    for each in children:
        if isinstance(each, Leaf) and each.measure in _NUMBERS:
            same.setdefault(each.subject, []).append(each)
    return [group for group in same.values() if len(group) > 1]
