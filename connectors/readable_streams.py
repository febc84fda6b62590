"""Whether what an account is connected for may be read: platforms grant each interface by itself."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from connectors.http import Link
from connectors.pulling import Pullable, stream_named
from domain.events import rfc3339
from domain.problems import AuthorizationProblem, Text

ORDERS_AND_REFUNDS: Mapping[str, Text] = {"orders": Text("订单", "Orders"), "refunds": Text("退款", "Refunds")}
"""By the names that most shops' streams have."""
_A_MINUTE = timedelta(minutes=1)


@contextmanager
def reading(records: Text) -> Iterator[None]:
    """A refusal within says what may not be read."""
    try:
        yield
    except AuthorizationProblem as error:
        said = Text(f"{records.zh}无法读取：{error.text.zh}", f"{records.en} cannot be read: {error.text.en}")
        raise AuthorizationProblem.of(error.problem.model_copy(update={"message": said.as_dict()})) from None


async def require_readable(shop: Pullable, link: Link, named: Mapping[str, Text] = ORDERS_AND_REFUNDS) -> None:
    """Read a minute of each stream, as pulling it would; all at once, as a test has not long. named: what its records
    are called, by stream.

    Raises AuthorizationProblem that says which of them may not be read, and what else the client raises: the first of
    several, in the order of the streams.
    """
    now = link.now()

    async def read(name: str, records: Text) -> None:
        since = now - stream_named(shop.streams, name).lag - _A_MINUTE
        with reading(records):
            await shop.pull(name, {"since": rfc3339(since)}, now)

    told = await asyncio.gather(*(read(name, records) for name, records in named.items()), return_exceptions=True)
    for problem in told:
        if problem is not None:
            raise problem
