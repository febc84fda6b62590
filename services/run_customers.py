"""Runs about an order take its customer as soon as that is known, and follow when customers part.

Many platforms push a new order's number and nothing else, and whose it is comes when the order is read. From then on
what is told of the customer reaches the run too: that they are silenced above all, which ends it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from domain.canonical.keys import KINDS, IdentityKey
from domain.enrolments import CUSTOMER
from services.run_starts import NewRun
from storage.identities import Customers, Identities
from storage.order_owners import OrderOwners
from storage.orders import OrderName
from storage.run_enrolments import RunEnrolments
from storage.run_owners import RunOwners
from storage.unit_of_work import UnitOfWork

_ORDER = "order:"


async def with_customers(work: UnitOfWork, runs: Sequence[NewRun]) -> list[NewRun]:
    """The runs to be, in order; those about an order that its event did not say whose it is with whose it is by now.

    Whoever learns it at this moment waits until these runs are there, or is waited for.
    """
    orders = {run.id: order for run in runs if (order := _order_of(run)) is not None}
    names = await _names_of(work, set(orders.values()))
    found = {run_id: names[order] for run_id, order in orders.items() if order in names}
    return [replace(run, subjects=(*run.subjects, *found[run.id])) if run.id in found else run for run in runs]


async def take_customers(work: UnitOfWork, orders: Collection[OrderName]) -> None:
    """Let the open runs about these orders, of which it became known just now whose they are, take the customer."""
    for_orders = await _names_of(work, orders)
    subjects = {(account, f"{_ORDER}{number}"): each for (account, number), each in for_orders.items()}
    await RunEnrolments(work).take_subjects(subjects, CUSTOMER)


async def follow_parting(work: UnitOfWork, customers: Collection[UUID]) -> None:
    """Let the runs of customers of whom some gave keys to others be theirs whose order, refund or contact they are
    about today, with whom they took in. Those about nothing of the kind stay with whom they named first."""
    aliases = await Customers(work).aliases(customers)
    ids = {*customers, *(each for some in aliases.values() for each in some)}
    if not await RunOwners(work).any_named(ids):
        return
    contacts = {
        name: row.customer_id
        for row in await Identities(work).of_customers(customers)
        for name in _names_in_runs(IdentityKey(KINDS[row.kind], row.scope, row.value))
    }
    await RunOwners(work).follow(ids, contacts)


def _names_in_runs(key: IdentityKey) -> Iterator[tuple[str, str | None]]:
    """The subjects by which runs know a key, each with the account of the runs in which it does; None for any."""
    platform, _, slug = key.scope.partition("/")
    yield key.subject, None
    if key.kind == "buyer":
        yield key.customer_subject, None
    # A contact's event names the platform alone, and so did a buyer's of an account that numbers its own.
    if platform:
        yield f"{CUSTOMER}:{platform}/{key.value}", key.scope if slug else None


def _order_of(run: NewRun) -> OrderName | None:
    """The order that a run without a customer is about."""
    subjects, shop = (run.subject, *run.subjects), run.placement.account_id
    if shop is None or any(each.startswith(f"{CUSTOMER}:") and "/" not in each for each in subjects):
        return None
    return next(((shop, each.removeprefix(_ORDER)) for each in subjects if each.startswith(_ORDER)), None)


async def _names_of(work: UnitOfWork, orders: Collection[OrderName]) -> Mapping[OrderName, Sequence[str]]:
    """Each order's customer under all their ids, today's first; without the orders that are nobody's yet."""
    owners = await OrderOwners(work).of(orders)
    customers = await Identities(work).customers_of(set(owners.values())) if owners else {}
    aliases = await Customers(work).aliases(set(customers.values())) if customers else {}

    def names(customer: UUID) -> list[str]:
        return [f"{CUSTOMER}:{each}" for each in (customer, *aliases.get(customer, ()))]

    return {order: names(customers[owner]) for order, owner in owners.items() if owner in customers}
