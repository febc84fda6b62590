"""A process that has not asked any platform for names of categories yet."""

import importlib

import pytest

from connectors.category_names import CategoryNames

_MODULES = ("jd", "pinduoduo", "taobao", "wechat_store", "youzan")


def forget_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connector ask again: names are remembered for a day."""
    for name in _MODULES:
        module = importlib.import_module(f"connectors.{name}.goods")
        for each in ("_NAMES", "_NUMBERS"):
            if hasattr(module, each):
                monkeypatch.setattr(module, each, CategoryNames())
