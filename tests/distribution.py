"""Which tests run in one process, and which first: for `make test`, which runs several processes."""

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

_TOGETHER = "tests/reports/"
"""Tests of this folder read the same books, which take the better part of a minute to make."""


class ByFile(LoadFileScheduling):  # type: ignore[misc] # pytest-xdist tells no types
    """Tests of one file stay together, and so do those of a folder that share what takes long to make."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests are the long ones, with servers of their own: they begin, so that no process is left alone
    with them at the end."""
    sizes = Counter(_scope(each.nodeid) for each in items)
    items.sort(key=lambda each: 0 if _scope(each.nodeid) == _TOGETHER else sizes[_scope(each.nodeid)])


def _scope(nodeid: str) -> str:
    return _TOGETHER if nodeid.startswith(_TOGETHER) else nodeid.partition("::")[0]
