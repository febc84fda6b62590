"""Fixtures of the simulator's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.simulator.harness import Receiver, Sim, served, simulator


@pytest.fixture
async def sim() -> AsyncIterator[Sim]:
    """A simulator that pushes nowhere."""
    async with simulator() as running:
        yield running


@pytest.fixture
async def pushed() -> AsyncIterator[tuple[Sim, Receiver]]:
    """A simulator and the receiver that it pushes to."""
    receiver = Receiver()
    async with served(receiver.app()) as address, simulator(push_base=address) as running:
        yield running, receiver
