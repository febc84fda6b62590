"""Whom texts name: ids of customers, keys of theirs, which are stored encrypted and found by their digests, and numbers
of their orders."""

from collections.abc import Collection, Iterator
from uuid import UUID

from sqlalchemy import or_, select
from sqlmodel import col

from domain.canonical.keys import IdentityKey, KeyKind, key, possible_keys
from domain.customers.traces import SHORTEST
from storage.accounts import Accounts
from storage.identities import Customers, Identities
from storage.orders import OrderRow
from storage.unit_of_work import Repository

_LONGEST = 200
_SHORTEST_ORDER = 10
"""Shorter texts are the number of some till's order by chance, as a postcode is: known as `order:…` only."""
_AT_ONCE = 100
"""Each may be a key of several kinds at each account."""
_OF_ONE_ACCOUNT: tuple[KeyKind, ...] = ("external_userid", "openid", "member")
"""Kinds of keys of which a subject `customer:{platform}/{value}` leaves the account out."""


class NamedPeople(Repository):
    """Who is named by texts of which nobody says what they are."""

    async def of_others(self, texts: Collection[str], mine: Collection[int]) -> set[str]:
        """Those of the texts that are an id or a key of a customer and none of these keys, or the number of an order of
        nobody who has these. Devices name nobody."""
        if not texts:
            return set()
        accounts, found, left = await Accounts(self.work).ids(), set[str](), sorted(texts)
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            found |= await self._of_others(some, accounts, mine)
        return found

    async def _of_others(self, texts: Collection[str], accounts: Collection[str], mine: Collection[int]) -> set[str]:
        told: dict[IdentityKey, set[str]] = {}
        ids: dict[UUID, str] = {}
        for text in texts:
            for each in _keys_in(text, accounts):
                told.setdefault(each, set()).add(text)
            if (customer := _id_in(text)) is not None:
                ids[customer] = text
        stored = await Identities(self.work).find(told)
        found = {ids[each] for each in await Customers(self.work).currents(ids)} if ids else set()
        found |= await self._orders_of_others(texts, mine)
        return found.union(*(told[each] for each, row in stored.items() if row.id not in mine and row.kind != "device"))

    async def _orders_of_others(self, texts: Collection[str], mine: Collection[int]) -> set[str]:
        numbers: dict[str, set[str]] = {}
        for text in texts:
            number = text.removeprefix("order:")
            shortest = SHORTEST if number != text else _SHORTEST_ORDER
            if shortest <= len(number) <= _LONGEST:
                numbers.setdefault(number, set()).add(text)
        order = OrderRow
        owned = or_(col(order.identity_id).is_(None), col(order.identity_id).not_in(mine))
        known = select(col(order.order_id)).where(col(order.order_id).in_(numbers), owned).distinct()
        return set[str]().union(*(numbers[each] for each in await self.session.scalars(known)))


def _keys_in(text: str, accounts: Collection[str]) -> Iterator[IdentityKey]:
    if not SHORTEST <= len(text) <= _LONGEST:
        return
    kind, _, said = text.partition(":")
    if kind == "customer":
        scope, _, value = said.rpartition("/")
        within = [each for each in accounts if each.startswith(f"{scope}/")]
        found = [key("buyer", value, scope), *(key(each, value, one) for one in within for each in _OF_ONE_ACCOUNT)]
    else:
        found = [key("phone", text), *possible_keys(said if kind == "key" else text, accounts)]
    yield from (each for each in found if each is not None)


def _id_in(text: str) -> UUID | None:
    try:
        return UUID(text.removeprefix("customer:"))
    except ValueError:
        return None
