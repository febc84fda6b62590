"""Puts the simulated world behind one HTTP application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from simulator.admin import admin_router
from simulator.gate import FaultGate
from simulator.pushing import Pusher, QueueFull
from simulator.registry import all_platforms
from simulator.replaying import AlreadyReplaying, Replayer
from simulator.settings import Settings
from simulator.trade import TradeRefusal
from simulator.trickle import trickle
from simulator.world import World

REFUSALS = {LookupError: 404, QueueFull: 503, TradeRefusal: 409, AlreadyReplaying: 409}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The simulator's application; its lifespan starts and stops the pusher.

    `app.state.world`, `.pusher`, `.replayer` and `.faults` are there for tests. Raises JournalMismatch for a state
    folder of another seed.
    """
    settings = settings or Settings()
    world = World(settings)
    book = world.faults
    platforms = all_platforms(world)
    pusher = Pusher(world, book, platforms)
    replayer = Replayer(world, pusher, platforms)
    world.bulletin.listen(pusher.take)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pusher.start()
        drip = asyncio.create_task(trickle(world)) if settings.trickle_s else None
        try:
            yield
        finally:
            if drip is not None:
                drip.cancel()
                await asyncio.gather(drip, return_exceptions=True)
            await replayer.stop()
            await pusher.stop()
            world.close()

    app = FastAPI(title="Platform simulator", version="1", lifespan=lifespan)
    app.state.world = world
    app.state.pusher = pusher
    app.state.replayer = replayer
    app.state.faults = book
    for platform in platforms.values():
        app.include_router(platform.router())
    app.include_router(admin_router(world, pusher, replayer, platforms))
    app.add_middleware(FaultGate, world=world, book=book, platforms=platforms)
    app.add_exception_handler(LookupError, _refused)
    app.add_exception_handler(ValueError, _refused)
    app.add_exception_handler(QueueFull, _refused)
    app.add_exception_handler(TradeRefusal, _refused)
    app.add_exception_handler(AlreadyReplaying, _refused)
    app.add_exception_handler(ClientDisconnect, _gone)
    return app


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in REFUSALS.items() if isinstance(error, kind)), 422)
    return JSONResponse({"message": str(error)}, status_code=status)


async def _gone(_request: Request, _error: Exception) -> Response:
    """Whoever asked ended in the midst of asking; nobody reads this."""
    return Response(status_code=400)
