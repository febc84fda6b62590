"""A stage per module: a sandboxed worker on the real Temporal server, its inner activities kept in memory."""

from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client

from runtime.rehearsal import Rehearsal


@pytest.fixture(scope="module")
async def module_stage(temporal: Client) -> AsyncIterator[Rehearsal]:
    stage = Rehearsal(temporal)
    async with stage.worker():
        yield stage


@pytest.fixture
def stage(module_stage: Rehearsal) -> Iterator[Rehearsal]:
    """The module's stage, with nothing remembered and nothing in the way."""
    module_stage.forget()
    yield module_stage
    module_stage.forget()
