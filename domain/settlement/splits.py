"""A whole number cut into parts without losing a unit: the largest remainders get what is left over."""

from collections.abc import Sequence


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Parts of `total` in proportion to `weights`; they add up to it, and each is within one unit of exact.

    Whoever lost most by cutting off gets a unit of the rest first, the earlier of equals first; a negative total is cut
    as its opposite. Raises ValueError for weights that are negative or all nothing.

    Source: the method of largest remainders (Hamilton).
    """
    whole = sum(weights)
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights are not negative, and one at least is more than nothing")
    sign = -1 if total < 0 else 1
    cuts = [divmod(abs(total) * weight, whole) for weight in weights]
    parts = [part for part, _ in cuts]
    left = abs(total) - sum(parts)
    for place in sorted(range(len(cuts)), key=lambda place: (-cuts[place][1], place))[:left]:
        parts[place] += 1
    return [sign * part for part in parts]


def allot(total: int, shares: Sequence[int], whole: int) -> tuple[list[int], int]:
    """What each share (of `whole`) of a total comes to, and what is kept back: the rest, where they are less than all.

    Raises ValueError when they are more than all.
    """
    if sum(shares) > whole:
        raise ValueError("the shares are more than the whole")
    parts = split(total, [*shares, whole - sum(shares)])
    return parts[:-1], parts[-1]
