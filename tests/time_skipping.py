"""The Temporal test server that jumps over waiting time."""

import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from runtime.search_attributes import register_search_attributes


@asynccontextmanager
async def time_skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """A new one, whose time is that of now. It cannot list or count runs, nor keep schedules."""
    program = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=str(program)) as environment:
        await register_search_attributes(environment.client)
        yield environment
