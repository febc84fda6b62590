"""Access tokens: issued, reused while they live, expired on time or killed early."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from simulator.entities import Token
from simulator.world import World


class TokenState(StrEnum):
    """What a presented token is worth."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    GOOD = "good"


class TokenDesk:
    """Issues and checks the tokens of one platform."""

    def __init__(self, world: World, platform: str, life_s: float) -> None:
        self._world = world
        self._platform = platform
        self._life = timedelta(seconds=life_s)

    def current(self, account: str, app: str) -> Token | None:
        """The living token of an app, if there is one."""
        now = self._world.clock.now()
        for token in self._mine():
            if token.account == account and token.app == app and not token.killed and token.expires_at > now:
                return token
        return None

    def issue(self, account: str, app: str) -> Token:
        """A new token; the older ones of the app die."""
        self.kill(account, app)
        now = self._world.clock.now()
        for token in [token for token in self._mine() if token.expires_at + self._life < now]:
            self._world.tokens.remove(token.id)
        number = self._world.next(f"token:{self._platform}")
        return self._world.tokens.put(
            Token(
                id=self._world.token("access", self._platform, account, app, number)[:40],
                platform=self._platform,
                account=account,
                app=app,
                issued_at=now,
                expires_at=now + self._life,
                refresh_token=self._world.token("refresh", self._platform, account, app, number)[:40],
            )
        )

    def by_refresh_token(self, refresh_token: str) -> Token | None:
        """The newest token that this refresh token came with; None once it was used or killed, or grew twice as old as
        the token itself may."""
        now = self._world.clock.now()
        for token in self._mine():
            is_alive = not token.killed and token.expires_at + self._life > now
            if token.refresh_token == refresh_token and is_alive:
                return token
        return None

    def check(self, token_id: str | None) -> tuple[TokenState, Token | None]:
        """What a presented token is worth, and whose it is when good."""
        if not token_id:
            return TokenState.MISSING, None
        token = self._world.tokens.get(token_id)
        if token is None or token.platform != self._platform or token.killed:
            return TokenState.UNKNOWN, None
        if token.expires_at <= self._world.clock.now():
            return TokenState.EXPIRED, None
        return TokenState.GOOD, token

    def kill(self, account: str, app: str | None = None) -> int:
        """Kills the living tokens of an account (or of one of its apps) before their time; how many."""
        doomed = [
            token
            for token in self._mine()
            if token.account == account and app in (None, token.app) and not token.killed
        ]
        for token in doomed:
            self._world.tokens.change(token, killed=True)
        return len(doomed)

    def _mine(self) -> list[Token]:
        return self._world.tokens.having(platform=self._platform)
