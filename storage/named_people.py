"""Whom texts name: ids of customers, and keys of theirs, which are stored encrypted and found by their digests."""

from collections.abc import Collection, Iterator
from uuid import UUID

from domain.canonical.keys import IdentityKey, key, possible_keys
from domain.customers.traces import SHORTEST
from storage.accounts import Accounts
from storage.identities import Customers, Identities
from storage.unit_of_work import Repository

_LONGEST = 200
_AT_ONCE = 100
"""Each may be a key of several kinds at each account."""


class NamedPeople(Repository):
    """Who is named by texts of which nobody says what they are."""

    async def of_others(self, texts: Collection[str], mine: Collection[int]) -> set[str]:
        """Those of the texts that are an id or a key of a customer, and none of these keys. Devices name nobody."""
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
        return found.union(*(told[each] for each, row in stored.items() if row.id not in mine and row.kind != "device"))


def _keys_in(text: str, accounts: Collection[str]) -> Iterator[IdentityKey]:
    if not SHORTEST <= len(text) <= _LONGEST:
        return
    kind, _, said = text.partition(":")
    if kind == "customer":
        scope, _, value = said.rpartition("/")
        corps = [each for each in accounts if each.startswith(f"{scope}/")]
        found = [key("buyer", value, scope), *(key("external_userid", value, corp) for corp in corps)]
    else:
        found = [key("phone", text), *possible_keys(said if kind == "key" else text, accounts)]
    yield from (each for each in found if each is not None)


def _id_in(text: str) -> UUID | None:
    try:
        return UUID(text.removeprefix("customer:"))
    except ValueError:
        return None
