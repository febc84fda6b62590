"""One simulator for the whole session, as good as new for every test."""

from collections.abc import AsyncIterator

import pytest

from tests.connectors.harness import Outside, outside


@pytest.fixture(scope="session")
async def running_outside() -> AsyncIterator[Outside]:
    """A simulator and a receiver of its pushes."""
    async with outside() as running:
        yield running


@pytest.fixture
async def world(running_outside: Outside) -> Outside:
    """The simulator as good as new."""
    await running_outside.be_new()
    return running_outside
