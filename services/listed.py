"""Lists of everything beside what is here: what is known already need not go through the inbox."""

from dataclasses import replace

from connectors.pulling import PulledPage
from connectors.single_reads import UNREAD_KIND
from connectors.webhooks import Verified
from domain.customers.records import Record
from domain.ids import content_digest
from services.pulled_pages import Told
from storage.erased_people import erased_people
from storage.goods import Goods
from storage.interactions import Interactions
from storage.record_comparison import Difference
from storage.unit_of_work import UnitOfWork

GOODS_SHELVES = ("goods", "stock")


async def compared_with_list(
    work: UnitOfWork, account_id: str, page: PulledPage, told: Told
) -> tuple[Difference, PulledPage]:
    """How a page of a list compares with what is here, and the page without what is known.

    Stock that moved is kept, and is no difference: between two readings it always does. Erased people stay listed at
    their platform; they are not here on purpose, and their records are left out.
    """
    told = await _without_erased(work, told)
    keys: dict[str, set[str]] = {}
    for _, records in told:
        for each in records:
            if each.shelf not in GOODS_SHELVES:
                keys.setdefault(each.kind, set()).add(each.key[2])
    known = {kind: await Interactions(work).seen(account_id, kind, some) for kind, some in keys.items()}
    goods = await _goods_here(work, account_id, told)
    total, kept = Difference(), []
    for pulled, records in told:
        of_goods = [each for each in records if each.shelf in GOODS_SHELVES]
        others = [each for each in records if each.shelf not in GOODS_SHELVES]
        here = [(each, known[each.kind].get(each.key[2])) for each in others]
        missing = sum(found is None for _, found in here)
        said = [(found, (each.values["state"], each.values["details"].get("seen"))) for each, found in here]
        differing = sum(found is not None and found != now for found, now in said)
        unknown = [each for each in of_goods if not _is_here(each, goods.get((each.shelf, *each.key)))]
        articles = [each for each in unknown if each.shelf == "goods"]
        new = sum((each.shelf, *each.key) not in goods for each in articles)
        counted = len(others) + sum(each.shelf == "goods" for each in of_goods)
        total += Difference(counted, missing + new, differing + len(articles) - new)
        if not records:
            kept.append(_once(pulled))
        elif missing or differing or unknown:
            kept.append(pulled)
    return total, replace(page, records=kept)


async def _without_erased(work: UnitOfWork, told: Told) -> Told:
    erased = await erased_people(work, [each for _, records in told for each in records])
    if not erased.keys:
        return told
    return [
        (pulled, left)
        for pulled, records in told
        if (left := [each for each in records if not erased.have(each)]) or not records
    ]


def _once(pulled: Verified) -> Verified:
    """What cannot be read is set aside once while it stays as it is, however often it is listed."""
    if pulled.kind == UNREAD_KIND:
        return pulled
    return replace(pulled, dedupe_key=f"{pulled.kind}:{content_digest(pulled.payload)}")


Known = dict[tuple[str, ...], dict[str, object]]


async def _goods_here(work: UnitOfWork, account_id: str, told: Told) -> Known:
    items = {each.key[1] for _, records in told for each in records if each.shelf in GOODS_SHELVES}
    if not items:
        return {}
    articles = [(account_id, item_id) for item_id in items]
    goods, stock = await Goods(work).of_items(articles), await Goods(work).stock_of_items(articles)
    found: Known = {("goods", account_id, row.item_id, row.sku_id): row.model_dump() for row in goods}
    return found | {("stock", account_id, row.item_id, row.sku_id, row.warehouse): row.model_dump() for row in stock}


def _is_here(record: Record, row: dict[str, object] | None) -> bool:
    """Whether all that a record says stands in its row."""
    if row is None:
        return False
    return all(value in (None, []) or row[name] == value for name, value in record.values.items())
