"""Whether what an account is connected for may be read: platforms grant each interface by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from connectors.http import Link
from connectors.pulling import Pullable, stream_named
from domain.events import rfc3339
from domain.problems import AuthorizationProblem, NotFoundProblem, Text, ValidationProblem

ORDERS_AND_REFUNDS: Mapping[str, Text] = {"orders": Text("订单", "Orders"), "refunds": Text("退款", "Refunds")}
"""By the names that most shops' streams have."""
GOODS_AND_STOCK = Text("商品与库存", "Goods and stock")
ON_SALE, PUT_AWAY = Text("在售商品", "Goods on sale"), Text("仓库中的商品", "Goods that were put away")
VARIANTS = Text("商品规格与库存", "Variants and their stock")
SHOP_WORKS = Text("连接正常，可以读取订单、退款与商品", "It works: orders, refunds and goods can be read")
Try = Callable[[], Awaitable[None]]
"""Reads as little as shows whether something may be read; raises as `reading`."""
_A_MINUTE = timedelta(minutes=1)


@contextmanager
def reading(records: Text) -> Iterator[None]:
    """A refusal within says what may not be read."""
    try:
        yield
    except AuthorizationProblem as error:
        said = Text(f"{records.zh}无法读取：{error.text.zh}", f"{records.en} cannot be read: {error.text.en}")
        raise AuthorizationProblem.of(error.problem.model_copy(update={"message": said.as_dict()})) from None


async def require_readable(
    shop: Pullable, link: Link, named: Mapping[str, Text] = ORDERS_AND_REFUNDS, tries: Sequence[Try] = ()
) -> None:
    """Read a minute of each stream, as pulling it would; all at once, as a test has not long. named: what its records
    are called, by stream. tries: what else is read, where a page as it is pulled takes too many requests.

    Raises AuthorizationProblem that says which of them may not be read, and what else the client raises: the first of
    several, in the order of the streams, then of the tries.
    """
    now = link.now()

    async def read(name: str, records: Text) -> None:
        since = now - stream_named(shop.streams, name).lag - _A_MINUTE
        with reading(records):
            await shop.pull(name, {"since": rfc3339(since)}, now)

    await try_all(*(partial(read, name, records) for name, records in named.items()), *tries)


async def try_all(*tries: Try) -> None:
    """All at once. Raises what the first of them raises, in their order."""
    for problem in await asyncio.gather(*(each() for each in tries), return_exceptions=True):
        if problem is not None:
            raise problem


async def try_one(numbers: Sequence[str], read: Callable[[str], Awaitable[Any]]) -> None:
    """Read the variants of the first article of a list; it may be gone meanwhile, or none at all."""
    for number in numbers[:1]:
        with reading(VARIANTS), suppress(NotFoundProblem, ValidationProblem):
            await read(number)
