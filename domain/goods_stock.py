"""How many pieces of an article can be sold, from what its shop and the merchant's warehouses told of it.

Each account is a voice of its own. Of one voice, what was told of the parts (variants, warehouses) is summed; a word on
the whole counts in their place while it is the newest, and a whole of nothing silences every part told before it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

WAREHOUSE_PLATFORM = "erp"
"""Its accounts speak of the shops' goods, which they know by the merchant's codes."""


class Word(NamedTuple):
    """One word on stock. sku_id: empty for the whole article. warehouse: empty for all of them."""

    item_id: str
    sku_id: str
    warehouse: str
    available: int
    version: int


class Count(NamedTuple):
    """A number of pieces, never below zero, and how new the newest word in it is."""

    available: int
    version: int


class Voice:
    """What one account told of one article."""

    def __init__(self, told: Iterable[Word]) -> None:
        by_sku: dict[str, list[Word]] = {}
        for each in told:
            by_sku.setdefault(each.sku_id, []).append(each)
        counts = {sku_id: _over_warehouses(rows) for sku_id, rows in by_sku.items()}
        self._whole = counts.pop("", None)
        self._variants = counts

    @property
    def skus(self) -> Collection[str]:
        """The variants that it named."""
        return self._variants.keys()

    def of_variant(self, sku_id: str) -> int | None:
        """The pieces of one variant, None when nothing was told that says it."""
        told = self._variants.get(sku_id)
        if _is_silenced(told, self._whole):
            return 0
        return None if told is None else told.available

    def of_article(self, skus: Collection[str] | None = None) -> int | None:
        """The pieces of the article, None when nobody told all of it. skus: those offered; all that were told of."""
        offered = self._variants.keys() if skus is None else skus
        known = [self._variants[sku_id] for sku_id in offered if sku_id in self._variants]
        is_complete = len(known) == len(offered)
        whole = self._whole
        if whole is None:
            return sum(each.available for each in known) if known and is_complete else None
        if is_complete or whole.available == 0 or all(each.version <= whole.version for each in known):
            return _whole_or_parts(whole, known).available
        return None


def codes_voice(told: Sequence[Word], article: str, variants: Mapping[str, str]) -> Voice:
    """What one warehouse told, in the shop's words.

    article: the code of the whole article. variants: variant → the code of it. A variant's code is the warehouse's
    `sku_id`, or its `item_id` where it tells no variants.
    """
    found = [
        each._replace(sku_id=sku_id, warehouse=f"{each.item_id}/{each.warehouse}" if each.warehouse else "")
        for sku_id, code in variants.items()
        for each in told
        if each.sku_id == code or (each.item_id == code and not each.sku_id)
    ]
    of_it = [each for each in told if article in (each.item_id, each.sku_id)]
    # A code of one variant stands for the article that has no other.
    whole = [each._replace(sku_id="") if each.sku_id == article else each for each in of_it]
    if found:
        return Voice([*found, *(each for each in whole if not each.sku_id)])
    pieces = Voice(whole).of_article()
    return Voice([] if pieces is None else [Word(article, "", "", pieces, max(each.version for each in whole))])


def least(counts: Iterable[int | None]) -> int | None:
    """The smallest that was told: nothing can be sold that anybody says is gone."""
    return min((each for each in counts if each is not None), default=None)


def total(counts: Iterable[int | None]) -> int | None:
    """The sum of what was told, None when nothing was."""
    told = [each for each in counts if each is not None]
    return sum(told) if told else None


def _over_warehouses(rows: Sequence[Word]) -> Count:
    counts = [(each.warehouse, Count(max(each.available, 0), each.version)) for each in rows]
    whole = [count for warehouse, count in counts if not warehouse]
    parts = [count for warehouse, count in counts if warehouse]
    if whole:
        return _whole_or_parts(max(whole, key=lambda count: count.version), parts)
    return Count(sum(each.available for each in parts), max(each.version for each in parts))


def _whole_or_parts(whole: Count, parts: Sequence[Count]) -> Count:
    heard = [each for each in parts if not _is_silenced(each, whole)]
    if all(each.version <= whole.version for each in heard):
        return whole
    return Count(sum(each.available for each in heard), max(each.version for each in heard))


def _is_silenced(part: Count | None, whole: Count | None) -> bool:
    return whole is not None and whole.available == 0 and (part is None or part.version <= whole.version)
