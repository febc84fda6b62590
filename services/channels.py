"""Platforms that push over a connection which we open: listened to for all accounts of an application at once.

A record enters the inbox, and is acknowledged then; what was not acknowledged comes again over the next connection. So
whoever listens may end at any moment, and a second one at the same time costs nothing but duplicates. What is told of a
shop that is not connected is refused: once the shop is, its past is read. While one shop's quarantine is full, its
frames are left unacknowledged, and the other shops are served. A frame that cannot be read goes into quarantine under
the account by which the channel was opened, as it may not even tell whose it is.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from connectors.channels import Channel, Listens, listen
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Refusal, Verified
from connectors.websocket import host_of, open_websocket
from domain.problems import ProblemError
from services.connections import Connections
from services.inbox import InboxService
from services.inbox_bounds import AccountFullProblem
from storage.accounts import Accounts
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_STEADY_S = 30.0


Count = Callable[[Refusal], None]


@dataclass(slots=True)
class _Application:
    """A channel, and which account each shop is that it tells of."""

    channel: Channel
    slugs: dict[str, str] = field(default_factory=dict)


class _Refusals:
    """What was not taken over one connection: each counted, the first of a shop logged, all of them at the end."""

    def __init__(self, platform: str, count: Count | None) -> None:
        self._platform = platform
        self._count = count
        self._owners: defaultdict[Refusal, Counter[str]] = defaultdict(Counter)

    def add(self, reason: Refusal, owner: str) -> None:
        if self._count is not None:
            self._count(reason)
        owners = self._owners[reason]
        owners[owner] += 1
        if owners[owner] == 1:
            log.warning("push refused", platform=self._platform, reason=reason.value, owner=owner)

    def tell(self) -> None:
        for reason, owners in self._owners.items():
            log.warning("pushes refused", platform=self._platform, reason=reason.value, owners=dict(owners))


class ChannelService:
    """Listens to the channels of one platform."""

    def __init__(
        self, database: Database, connectors: ConnectorRegistry, connections: Connections, inbox: InboxService
    ) -> None:
        self._database = database
        self._connectors = connectors
        self._connections = connections
        self._inbox = inbox

    async def listen(self, platform: str, seconds: float, count: Count | None = None) -> int:
        """Listen to every channel of the platform for so long, opening each again when it breaks; how many there are.

        count: is told of each frame that was not taken.
        :raises UnavailableProblem: the database is away.
        """
        applications = await self._applications(platform)
        if applications:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    for each in applications:
                        group.create_task(self._keep_listening(platform, each, count))
        return len(applications)

    async def _keep_listening(self, platform: str, application: _Application, count: Count | None) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            opened_at = loop.time()
            try:
                await self._listen_once(platform, application, count)
                why = "closed by the platform"
            except ProblemError as problem:
                why = str(problem)
            failures = 1 if loop.time() - opened_at > _STEADY_S else failures + 1
            pause_s = min(_FIRST_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S)
            log.warning("channel.broken", platform=platform, why=why, again_in_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _listen_once(self, platform: str, application: _Application, count: Count | None) -> None:
        clock = self._database.clock
        channel = application.channel
        address = channel.address(clock())
        refusals = _Refusals(platform, count)

        async def keep(owner: str, record: Verified) -> bool:
            slug = application.slugs.get(owner)
            if slug is None:
                refusals.add(Refusal.RECEIVER, owner)
                return True
            try:
                await self._inbox.accept(platform, slug, record)
            except AccountFullProblem:
                refusals.add(Refusal.UNAVAILABLE, owner)
                return False
            return True

        async def set_aside(frame: Verified) -> None:
            refusals.add(Refusal.UNREADABLE, channel.owner)
            with contextlib.suppress(AccountFullProblem):
                await self._inbox.accept(platform, application.slugs[channel.owner], frame)

        try:
            async with open_websocket(address) as connection:
                accounts = sorted(application.slugs.values())
                log.info("channel.open", platform=platform, host=host_of(address), accounts=accounts)
                await listen(channel, connection, keep, set_aside, clock)
        finally:
            refusals.tell()

    async def _applications(self, platform: str) -> Sequence[_Application]:
        connector = self._connectors[platform]
        if not isinstance(connector, Listens):
            return ()
        async with UnitOfWork(self._database) as work:
            slugs = [each.partition("/")[2] for each in await Accounts(work).ids() if each.startswith(f"{platform}/")]
        found: dict[str, _Application] = {}
        for slug in slugs:
            try:
                channel = connector.channel(await self._connections.account(platform, slug))
            except ProblemError as problem:
                # Disconnected, or incomplete: its connection test says so in plain words.
                log.debug("channel.none", account=f"{platform}/{slug}", why=str(problem))
                continue
            if channel.owner:
                found.setdefault(channel.application, _Application(channel)).slugs[channel.owner] = slug
        return list(found.values())


def listening(connectors: ConnectorRegistry) -> Mapping[str, str]:
    """By queue, the platforms that push over a channel."""
    return {each.queue: name for name, each in connectors.items() if isinstance(each, Listens)}
