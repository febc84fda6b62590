"""Records become identities and customers: the identity step of the drain, by what a batch brings."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from benchmarks.figures import Figure
from benchmarks.house import House
from domain.canonical.keys import IdentityKey
from services.identities import IdentityService, Sighting
from storage.encryption import Keyring
from storage.identities import VALUE_CONTEXT
from storage.identity_digests import digest_of
from storage.unit_of_work import UnitOfWork

TITLE = "Identity: whose is each record of a batch of 1,000, two keys a record"
NOTE = (
    "commit on disk not counted; limit: what encrypting and hashing the keys alone would allow; stored before: rising"
)
_BATCH, _ROUNDS = 1_000, 7
_AT = datetime(2026, 11, 11, tzinfo=UTC)
_numbers = count(1)

Batch = Sequence[Sighting]


async def measure(house: House) -> list[Figure]:
    """Keys a second and the time of a batch, when keys are new, known, join known customers, or merge them."""
    firsts = [next(_numbers) * _BATCH for _ in range(_ROUNDS + 1)]
    new = await _rounds(house, firsts, _new)
    known = await _rounds(house, firsts, _new)
    growing = await _rounds(house, firsts, _growing)
    await _rounds(house, firsts, _elsewhere)
    merging = await _rounds(house, firsts, _merging)
    floor = [_floor(house, _new(first)) for first in firsts[1:]]
    return [
        *_figures("new keys", new, 60, floor),
        *_figures("known keys", known, 25),
        *_figures("a new key for a known customer", growing),
        *_figures("a link that merges two customers", merging),
    ]


def _figures(
    name: str, seconds: Sequence[float], aim_ms: float | None = None, floor: Sequence[float] = ()
) -> list[Figure]:
    rates = [2 * _BATCH / each for each in seconds]
    return [
        Figure(name, rates, "keys/s", limit=[2 * _BATCH / each for each in floor]),
        Figure("  a batch", [each * 1_000 for each in seconds], "ms", "lower", aim=aim_ms),
    ]


async def _rounds(house: House, firsts: Sequence[int], batch: Callable[[int], Batch]) -> list[float]:
    """Seconds of each batch, the first one left out: it prepares the statements."""
    times = []
    for first in firsts:
        sightings = batch(first)
        async with UnitOfWork(house.application.database) as work:
            await work.session.connection()
            begun = time.perf_counter()
            await IdentityService().assign(work, sightings)
            times.append(time.perf_counter() - begun)
    return times[1:]


def _floor(house: House, batch: Batch) -> float:
    keyring: Keyring = house.application.database.keyring
    begun = time.perf_counter()
    for sighting in batch:
        for key in sighting.keys:
            digest_of(keyring, keyring.current_id, *key)
            keyring.encrypt(key.value.encode(), VALUE_CONTEXT)
    return time.perf_counter() - begun


def _new(first: int) -> Batch:
    return _batch(first, "jd", "order")


def _elsewhere(first: int) -> Batch:
    return [each._replace(keys=each.keys[:1]) for each in _batch(first, "pinduoduo", "group")]


def _merging(first: int) -> Batch:
    return _batch(first, "pinduoduo", "group")


def _growing(first: int) -> Batch:
    return [
        each._replace(keys=(each.keys[0], IdentityKey("unionid", "", f"oUNIONID-{number:018}")))
        for number, each in enumerate(_batch(first, "jd", "member"), first)
    ]


def _batch(first: int, platform: str, record: str) -> Batch:
    return [
        Sighting(
            (
                IdentityKey("buyer", platform, f"{platform}-buyer-{number:012}"),
                IdentityKey("phone", "", f"+86138{number:08}"),
            ),
            f"{platform}/flagship",
            f"{record}:{number}",
            _AT,
        )
        for number in range(first, first + _BATCH)
    ]
