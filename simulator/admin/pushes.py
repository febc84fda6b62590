"""Pushes and replays, below /_sim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from simulator.admin.bodies import Body, WhichAccount
from simulator.entities import Push, PushState, Target
from simulator.platforms.base import Json, PlatformBase
from simulator.pushing import Pusher
from simulator.replaying import Replayer, ReplayWish
from simulator.world import World


class NewPush(Body):
    """A push to send: again by `push_id` (or message id), or an event about something."""

    push_id: str | None = None
    platform: str = "youzan"
    account: str = "demo-apparel"
    event: str | None = None
    subjects: dict[str, str] = Field(default_factory=dict)


def add_push_routes(router: APIRouter, world: World, pusher: Pusher, platforms: Mapping[str, PlatformBase]) -> None:
    """/push-targets, /pushes, /push and /verify-url."""

    def known(platform: str) -> PlatformBase:
        if platform not in platforms:
            raise LookupError(f"no platform {platform!r}: one of {', '.join(platforms)}")
        return platforms[platform]

    @router.get("/push-targets")
    async def targets() -> dict[str, str | None]:
        """Where each account's pushes go."""
        pairs = [
            (account["platform"], account["account"])
            for platform in platforms.values()
            for account in platform.accounts("")
        ]
        return {f"{platform}/{account}": pusher.target_of(platform, account) for platform, account in pairs}

    @router.put("/push-targets")
    async def put_targets(wanted: dict[str, str]) -> dict[str, str]:
        """Sets URLs by platform/account."""
        for key, url in wanted.items():
            known(key.partition("/")[0])
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{url!r} is not an http(s) URL")
            world.targets.put(Target(id=key, url=url))
        return wanted

    @router.get("/pushes")
    async def pushes(
        state: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, list[Json]]:
        """Pushes, waiting ones first, then the latest done."""
        rows = [*world.pushes, *reversed(pusher.done)]
        shown = [row for row in rows if state is None or row.state == state]
        return {"pushes": [_without_payload(row) for row in shown[:limit]]}

    @router.post("/verify-url")
    async def verify_url(whose: WhichAccount) -> Json:
        """Does what an administrator's click on "save" does: proves the callback URL."""
        known(whose.platform)
        verified, answered = await pusher.verify(whose.platform, whose.account)
        return {"verified": verified, "answered": answered}

    @router.post("/push", status_code=202)
    async def push(wanted: NewPush) -> Json:
        """Sends a push again, or an event about a refund, order or contact."""
        if wanted.push_id is not None:
            old = pusher.find(wanted.push_id)
            if old is None:
                raise LookupError(f"no push {wanted.push_id!r} among those waiting or lately done")
            fresh = {
                "id": f"{old.id}-again-{world.next('repush')}",
                "due_at": world.clock.wall(),
                "state": PushState.PENDING,
                "attempts": 0,
            }
            return _pushed(pusher.submit(old.replaced(**fresh)))
        if wanted.event is None:
            raise ValueError("either push_id or event is needed")
        return _pushed(pusher.submit(known(wanted.platform).event(wanted.account, wanted.event, wanted.subjects)))


def add_replay_routes(router: APIRouter, replayer: Replayer) -> None:
    """POST, GET and DELETE /replay."""

    @router.post("/replay", status_code=202)
    async def replay(wish: ReplayWish) -> Json:
        """Begins to push the past again."""
        return replayer.start(wish)

    @router.get("/replay")
    async def progress() -> Json:
        """How far the replay is."""
        return replayer.progress()

    @router.delete("/replay", status_code=204)
    async def stop() -> Response:
        """Ends the replay."""
        await replayer.stop()
        return Response(status_code=204)


def _pushed(push: Push) -> Json:
    shown = push.dump()
    return {name: shown[name] for name in ("id", "message_id", "platform", "account", "event", "state")}


def _without_payload(push: Push) -> Json:
    shown = push.dump()
    del shown["payload"]
    return shown
