"""Whoever loses a record loses its tags in the same batch, and so does whoever a record does not even name."""

from typing import Any

import pytest
from sqlmodel import col, select

from domain.events import Event
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tagging import Tagging
from storage.engine import Database
from storage.events import EventRow
from storage.identities import IdentityRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_tagging import publish, rule

Told = tuple[str, dict[str, Any]]
SHOP = {"platform": "youzan", "account": "flagship"}
RULES = (
    rule("all: [ { orders: { count: { at-least: 1 } } } ]", name="bought", tag="买过"),
    rule("all: [ { orders: { sum: { of: kept, at-least: '10.00' } } } ]", name="keeps", tag="留下"),
    rule("all: [ { refunds: { count: { at-least: 1 } } } ]", name="refunds", tag="退过"),
    rule("all: [ { chats: { count: { at-least: 1 } } } ]", name="chats", tag="聊过"),
)


def whose(buyer: str | None) -> dict[str, Any]:
    return {"buyer": {"buyer_id": buyer}} if buyer else {}


def bought(version: int, buyer: str | None, status: str = "paid") -> Told:
    order = {"order_id": "E1", "status": status, "paid_minor": 2_000, "paid_at": "2026-11-01T00:00:00Z"}
    return "order.updated", {**SHOP, **order, **whose(buyer), "version": version}


def refunded(buyer: str | None) -> Told:
    refund = {"refund_id": "R1", "order_id": "E1", "status": "refunded", "amount_minor": 1_500}
    return "refund.succeeded", {**SHOP, **refund, **whose(buyer), "version": 1}


def said(version: int, buyer: str) -> Told:
    return "chat.message", {**SHOP, "message_id": "m1", "direction": "in", **whose(buyer), "version": version}


async def batch(database: Database, *tellings: Told) -> set[str]:
    """One batch of the drain; what the outbox learns of tags by it: `B1 +买过`."""
    async with UnitOfWork(database) as work:
        newest = select(col(EventRow.seq)).order_by(col(EventRow.seq).desc()).limit(1)
        before = await work.session.scalar(newest) or 0
        arrivals = [
            Arrival.of(
                Event(id=f"{before}-{number}", source="/shop", type=f"tandem.{name}", time=work.now, data=data),
                work.now,
            )
            for number, (name, data) in enumerate(tellings)
        ]
        await Intake(IdentityService(), Tagging(database)).take_in(work, arrivals)
    async with UnitOfWork(database) as work:
        names = {row.customer_id: row.value for row in await work.session.scalars(select(IdentityRow))}
        told = select(EventRow).where(col(EventRow.seq) > before, col(EventRow.type).like("tandem.customer.tag-%"))
        return {
            f"{names[customer]} {'+' if row.type.endswith('gained') else '-'}{row.envelope['data']['tag']}"
            for row in await work.session.scalars(told)
            for customer in names
            if str(customer) == row.envelope["data"]["customer"]
        }


@pytest.fixture
async def shop(database: Database, clock: SteppedClock) -> Database:
    await publish(database, *RULES)
    return database


async def test_an_order_that_turns_out_to_be_anothers_moves_both_at_once(shop: Database) -> None:
    assert await batch(shop, bought(1, "B1")) == {"B1 +买过", "B1 +留下"}
    assert await batch(shop, bought(2, "B2")) == {"B1 -买过", "B1 -留下", "B2 +买过", "B2 +留下"}
    assert await batch(shop, bought(1, "B1")) == set()


async def test_what_refunds_have_from_their_order_goes_with_it(shop: Database) -> None:
    await batch(shop, bought(1, "B1"), refunded(None))
    assert await batch(shop, bought(2, "B2")) == {"B1 -买过", "B1 -退过", "B2 +买过", "B2 +退过"}


async def test_an_order_that_nobody_is_named_in_moves_the_tags_of_its_owner(shop: Database) -> None:
    await batch(shop, bought(1, "B1"))
    assert await batch(shop, bought(2, None, "closed")) == {"B1 -买过", "B1 -留下"}


async def test_a_refund_that_comes_before_its_order_is_its_buyers(shop: Database) -> None:
    assert await batch(shop, refunded(None)) == set()
    assert await batch(shop, bought(1, "B1")) == {"B1 +买过", "B1 +退过"}


async def test_a_refund_by_somebody_else_takes_from_what_the_buyer_kept(shop: Database) -> None:
    await batch(shop, bought(1, "B1"))
    assert await batch(shop, refunded("B2")) == {"B1 -留下", "B2 +退过"}


async def test_a_message_that_turns_out_to_be_anothers_moves_both(shop: Database) -> None:
    assert await batch(shop, said(1, "B1")) == {"B1 +聊过"}
    assert await batch(shop, said(2, "B2")) == {"B1 -聊过", "B2 +聊过"}
