"""The true answers below /_sim/truth, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from simulator import truth
from simulator.platforms.base import Json, PlatformBase
from simulator.world import World

LIMIT = 10_000
Limit = Annotated[int, Query(ge=1, le=LIMIT)]
After = Annotated[int, Query(ge=0)]


def add_truth_routes(router: APIRouter, world: World, platforms: Mapping[str, PlatformBase]) -> None:
    """GET /truth, /truth/orders, /truth/refunds and /truth/identities."""

    @router.get("/truth")
    async def summary() -> Json:
        """Per platform the orders, refunds and their sums."""
        return truth.summary(world)

    @router.get("/truth/orders")
    async def orders(
        platform: str | None = None, account: str | None = None, after: After = 0, limit: Limit = 1_000
    ) -> Json:
        """Every order as it really stands."""
        return truth.orders(world, platform, account, after, limit)._asdict()

    @router.get("/truth/refunds")
    async def refunds(
        platform: str | None = None, account: str | None = None, after: After = 0, limit: Limit = 1_000
    ) -> Json:
        """Every refund as it really stands."""
        return truth.refunds(world, platform, account, after, limit)._asdict()

    @router.get("/truth/identities")
    async def identities(
        kind: str | None = None, platform: str | None = None, after: After = 0, limit: Limit = 1_000
    ) -> Json:
        """Who is who: every identity with the person behind it; `limit` counts persons."""
        return truth.identities(world, platforms, kind, platform, after, limit)._asdict()
