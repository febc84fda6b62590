"""Argon2id, off the event loop and only so many at once: a flood of logins must not take the processor from others."""

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.problems import Text, UnavailableProblem

_AT_ONCE = 2
_LONGEST_WAIT_S = 10.0


class Passwords:
    """Hashes and verifies. Both raise UnavailableProblem when too many wait already."""

    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self._hasher = hasher or PasswordHash((Argon2Hasher(),))
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        async with _Turn(self._slots):
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a better hash to keep when the parameters changed since.

        Without a hash (no such user) the same work is done, so that the time tells nothing about who exists.
        """
        if password_hash is None and self._decoy is None:
            self._decoy = await self.hash("nobody has this password")
        async with _Turn(self._slots):
            verified, better = await asyncio.to_thread(
                self._hasher.verify_and_update, password, password_hash or self._decoy or ""
            )
        return (verified, better) if password_hash is not None else (False, None)


class _Turn:
    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise UnavailableProblem(
                Text("登录请求过多，请稍后重试", "Too many are logging in at the moment: try again shortly")
            ) from None

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()
