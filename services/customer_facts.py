"""What flows may know of a customer: figures over all shops, and how to write to them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.canonical.keys import KINDS, IdentityKey
from domain.catalog.customers import (
    ProfileCart,
    ProfileContact,
    ProfileOrder,
    ProfileOutput,
)
from domain.catalog.goods import GoodsCheckArguments
from storage.customer_facts import CustomerFacts
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.erasures import Erasures
from storage.identities import Customers, Identities
from storage.unit_of_work import UnitOfWork


class CustomerFactsService:
    """Answers about customers, at the moment of asking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str, categories: Sequence[str] = ()) -> ProfileOutput:
        """The profile of a customer by id, `customer:{id}` or `key:{kind}/{scope}/{value}`; also by an earlier id.

        categories: see `ProfileArguments`.
        """
        async with UnitOfWork(self._database) as work:
            customer = await customer_named(work, name)
            if customer is None or await Erasures(work).of(customer) is not None:
                return ProfileOutput(known=False)
            profiles = CustomerFacts(work)
            figures = await profiles.figures(customer)
            last = await profiles.last_order(customer, categories)
            cart = await profiles.open_cart(customer)
            contact = await profiles.contact(customer)
            tags = await CustomerTags(work).carried(customer)
            now = work.now
        return ProfileOutput(
            known=True,
            customer_id=str(customer),
            days_since_paid=(now - last["paid_at"]).days if last else None,
            last_order=ProfileOrder(**_with_goods(last)) if last else None,
            open_cart=ProfileCart(**_with_goods(cart)) if cart else None,
            contact=_contact(*contact) if contact else None,
            tags=tuple(tags),
            **figures,
        )


async def customer_named(work: UnitOfWork, name: str) -> UUID | None:
    """Who a customer's id or a subject stands for today; None when it is nobody's."""
    if name.startswith("key:"):
        found = await Identities(work).find(_readings(name.removeprefix("key:")))
        return next((stored.customer_id for stored in found.values()), None)
    try:
        named = UUID(name.removeprefix("customer:"))
    except ValueError:
        return None
    return await Customers(work).current(named)


def _readings(subject: str) -> list[IdentityKey]:
    """The keys that `kind/scope/value` may mean: scopes and values hold slashes themselves."""
    kind, _, rest = subject.partition("/")
    if (named := KINDS.get(kind)) is None:
        return []
    parts = rest.split("/")
    return [IdentityKey(named, "/".join(parts[:cut]), "/".join(parts[cut:])) for cut in range(1, len(parts))]


def _with_goods(row: Mapping[str, Any]) -> dict[str, Any]:
    platform, _, account = str(row["account_id"]).partition("/")
    items = (GoodsCheckArguments(platform=platform, account=account, item_id=each) for each in row["items"])
    return {**row, "items": tuple(items)}


def _contact(account_id: str, key: str) -> ProfileContact:
    external_userid, _, userid = key.partition("/")
    return ProfileContact(account=account_id.partition("/")[2], external_userid=external_userid, userid=userid or None)
