"""The operator's side of the simulator, below /_sim: make things happen, break things, look at what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from simulator.admin.bodies import Body, WhichAccount
from simulator.admin.faults import add_fault_routes
from simulator.admin.payees import add_payee_routes
from simulator.admin.pushes import add_push_routes, add_replay_routes
from simulator.admin.shopping import add_shopping_routes
from simulator.admin.truth import add_truth_routes
from simulator.entities import Customer, Parcel
from simulator.ledger import LedgerEntry
from simulator.platforms.base import Json, PlatformBase
from simulator.platforms.erp import Erp
from simulator.pushing import Pusher
from simulator.replaying import Replayer
from simulator.trade import Stage, open_refund, withdraw
from simulator.world import World

LEDGER_PAGE = 1_000


class NewRefunds(Body):
    """Refund requests to make; each on a paid order of its own."""

    shop: str = "demo-apparel"
    count: int = Field(default=1, ge=1, le=5_000)
    amount_minor: int | None = Field(default=None, ge=1, le=100_000_000)
    reason: str | None = Field(default=None, max_length=200)
    customer_id: str | None = None
    returns_goods: bool = True
    stage: Stage = Stage.RETURNING
    parcel: Parcel = Parcel.NORMAL
    transit_s: float | None = Field(default=None, ge=0)
    push: bool = True


class Advance(Body):
    """How far to move time, and what to do to one parcel."""

    seconds: float = Field(default=0, ge=0, le=366 * 24 * 3600)
    waybill: str | None = None
    parcel: Parcel | None = None


class Warehouse(Body):
    """Whether the ERP's warehouse works; what waited leaves with this carrier when it begins. parcels: how many an
    order of several lines leaves in."""

    ships: bool
    company: str = Field(default="顺丰速运", min_length=1, max_length=64)
    parcels: int = Field(default=1, ge=1, le=20)


def admin_router(world: World, pusher: Pusher, replayer: Replayer, platforms: Mapping[str, PlatformBase]) -> APIRouter:
    """All routes below /_sim."""
    router = APIRouter(prefix="/_sim", tags=["simulator"])
    _add_world_routes(router, world, pusher, replayer, platforms)
    _add_warehouse_route(router, platforms)
    add_shopping_routes(router, world)
    add_payee_routes(router, pusher, platforms)
    add_truth_routes(router, world, platforms)
    add_fault_routes(router, world.faults)
    add_push_routes(router, world, pusher, platforms)
    add_replay_routes(router, replayer)
    return router


def _add_warehouse_route(router: APIRouter, platforms: Mapping[str, PlatformBase]) -> None:
    @router.put("/warehouse")
    async def work(wanted: Warehouse) -> Json:
        """The warehouse stands still, or ships."""
        erp = platforms["erp"]
        return {"shipped": erp.work(**wanted.model_dump()) if isinstance(erp, Erp) else 0}


def _add_world_routes(
    router: APIRouter, world: World, pusher: Pusher, replayer: Replayer, platforms: Mapping[str, PlatformBase]
) -> None:
    @router.get("/health")
    async def health() -> Json:
        """Whether the simulator is up."""
        return {"status": "ok"}

    @router.get("/accounts")
    async def accounts(request: Request) -> Json:
        """The demo accounts with their credentials."""
        base = str(request.base_url).rstrip("/")
        return {"accounts": [account for platform in platforms.values() for account in platform.accounts(base)]}

    @router.get("/state")
    async def state() -> Json:
        """How much of everything there is."""
        return {
            "seed": world.settings.seed,
            "now": world.clock.now().isoformat(),
            "shops": [shop.id for shop in world.shops],
            "customers": len(world.customers),
            "contacts": len(world.contacts),
            "orders": len(world.orders),
            "refunds": _count(refund.status.value for refund in world.refunds),
            "pushes": {"waiting": len(world.pushes), **pusher.totals},
            "ledger": world.ledger.totals(),
        }

    @router.post("/refunds", status_code=201)
    async def make_refunds(wanted: NewRefunds) -> Json:
        """Makes paid orders with refund requests and pushes them."""
        made = []
        for _ in range(wanted.count):
            if wanted.push:
                pusher.ensure_room()
            with world.bulletin.quiet(not wanted.push):
                refund = open_refund(world, **wanted.model_dump(exclude={"count", "push"}))
            customer = world.customers.get(refund.customer_id)
            made.append(
                {
                    **refund.dump(),
                    "unionid": customer.unionid if customer else None,
                    "external_userid": customer.external_userid if customer else None,
                }
            )
        return {"refunds": made}

    @router.get("/refunds/{refund_id}")
    async def refund(refund_id: str) -> Json:
        """One refund as the world knows it."""
        row = world.refunds.get(refund_id)
        if row is None:
            raise LookupError(f"no refund {refund_id!r}")
        return row.dump()

    @router.post("/refunds/{refund_id}/withdraw")
    async def withdraw_refund(refund_id: str, push: bool = True) -> Json:
        """The buyer takes a refund request back."""
        row = world.refunds.get(refund_id)
        if row is None:
            raise LookupError(f"no refund {refund_id!r}")
        with world.bulletin.quiet(not push):
            return withdraw(world, row).dump()

    @router.get("/ledger")
    async def ledger(
        request: Request,
        effect: bool | None = None,
        after: int = 0,
        limit: Annotated[int, Query(ge=1, le=LEDGER_PAGE)] = LEDGER_PAGE,
    ) -> Json:
        """Entries, filtered by kind, platform, account and any subject (refund_id, tid, external_userid …)."""
        wanted = {
            name: value for name, value in request.query_params.items() if name not in ("effect", "after", "limit")
        }
        found = list(world.ledger.find(effect=effect, after=after, **wanted))
        return {
            "total": len(found),
            "effects": sum(entry.effect for entry in found),
            "attempts": sum(not entry.effect for entry in found),
            "entries": [_shown(entry) for entry in found[:limit]],
            "next_after": found[limit - 1].seq if len(found) > limit else None,
        }

    @router.get("/customers")
    async def customers(limit: Annotated[int, Query(ge=1, le=1000)] = 20, offset: int = 0) -> Json:
        """The true identities, to compare with what was found out."""
        rows = list(world.customers)[offset : offset + limit]
        return {"total": len(world.customers), "customers": [_person(world, row) for row in rows]}

    @router.post("/advance")
    async def advance(step: Advance) -> Json:
        """Moves simulated time forward, or decides a parcel's fate."""
        world.advance(step.seconds)
        if step.waybill is not None:
            waybill = world.waybills.get(step.waybill)
            if waybill is None:
                raise LookupError(f"no waybill {step.waybill!r}")
            world.waybills.change(waybill, fate=step.parcel or Parcel.SIGNED)
        return {"now": world.clock.now().isoformat(), "offset_s": world.clock.offset_s}

    @router.post("/tokens/kill")
    async def kill_tokens(whose: WhichAccount) -> Json:
        """Lets an account's tokens die before their time."""
        doomed = [
            token
            for token in world.tokens
            if (token.platform, token.account, token.killed) == (whose.platform, whose.account, False)
        ]
        for token in doomed:
            world.tokens.change(token, killed=True)
        return {"killed": len(doomed)}

    @router.post("/reset")
    async def reset() -> Json:
        """Back to the seeded start; fault rules stay."""
        await replayer.stop()
        pusher.forget()
        world.reset()
        return {"status": "reset"}


def _person(world: World, customer: Customer) -> Json:
    """A person with all their accounts; `openid` and `yz_open_id` are theirs at Youzan."""
    buyers = world.buyers.having(customer=customer.id)
    youzan = next((buyer for buyer in buyers if buyer.platform == "youzan"), None)
    return {
        **customer.dump(),
        "openid": world.openid(customer, "youzan"),
        "yz_open_id": youzan.buyer_id if youzan else None,
        "buyers": [
            {"platform": buyer.platform, "buyer_id": buyer.buyer_id, "phone": buyer.phone, "openid": buyer.openid}
            for buyer in buyers
        ],
        "followers": [
            {"account": row.account, "openid": row.id} for row in world.followers.having(customer=customer.id)
        ],
    }


def _shown(entry: LedgerEntry) -> Json:
    shown: dict[str, Any] = entry.model_dump(mode="json")
    shown.update(shown.pop("subjects"))
    return shown


def _count(values: Any) -> dict[str, int]:
    counted: dict[str, int] = {}
    for value in values:
        counted[value] = counted.get(value, 0) + 1
    return counted
