"""One simulator for the whole session, as good as new for every test."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connectors.tokens import MemoryTokenStore
from tests.connectors.harness import Outside, outside


@pytest.fixture(scope="session")
async def running_outside() -> AsyncIterator[Outside]:
    """A simulator and a receiver of its pushes."""
    async with outside() as running:
        yield running


@pytest.fixture
async def world(running_outside: Outside) -> Outside:
    """The simulator without faults and without memory, and no token of ours."""
    await running_outside.break_things()
    await running_outside.sim.admin("POST", "/reset")
    running_outside.receiver.pushes.clear()
    running_outside.link = replace(running_outside.link, tokens=MemoryTokenStore())
    return running_outside
