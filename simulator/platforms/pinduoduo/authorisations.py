"""Authorisations of the application by shops: a code that works once, for ten minutes, and kills what was before."""

from __future__ import annotations

from datetime import timedelta

from simulator.entities import Counter
from simulator.world import World

CODE_LIFE = timedelta(minutes=10)


def authorise(world: World, account: str) -> str:
    """The shop authorises the application again; the code that it is sent back with."""
    for token in world.tokens.having(platform="pinduoduo"):
        if token.account == account:
            world.tokens.change(token, killed=True)
    number = world.next(_turn(account))
    world.counters.put(Counter(id=_given(account), value=world.clock.now().timestamp()))
    return _code(world, account, number)


def spend(world: World, account: str, code: str) -> bool:
    """Whether the code is the latest one, young enough and not used yet; it is used now."""
    turn, given = world.counters.get(_turn(account)), world.counters.get(_given(account))
    if turn is None or given is None or code != _code(world, account, int(turn.value)):
        return False
    world.counters.remove(_given(account))
    return world.clock.now().timestamp() - given.value <= CODE_LIFE.total_seconds()


def is_superseded(world: World, account: str) -> bool:
    """Whether the authorisation that the world was seeded with is dead."""
    return world.counters.get(_turn(account)) is not None


def _code(world: World, account: str, number: int) -> str:
    return world.token("code", account, number)[:40]


def _turn(account: str) -> str:
    return f"pdd-authorisation:{account}"


def _given(account: str) -> str:
    return f"pdd-code-given:{account}"
