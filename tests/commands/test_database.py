"""Whoever sits at this machine: named by the system, on every system."""

import os
import subprocess
import sys

import pytest

from commands.database import account_here

_WITHOUT_ACCOUNTS = "import sys; sys.modules['pwd'] = None; import cli; print('ready')"


def test_commands_are_there_on_a_system_without_unix_accounts() -> None:
    """As on Windows, which has no `pwd`."""
    tried = subprocess.run([sys.executable, "-c", _WITHOUT_ACCOUNTS], capture_output=True, text=True, check=False)
    assert tried.stdout.strip() == "ready", tried.stderr


@pytest.mark.parametrize("platform", [sys.platform, "win32"])
def test_who_it_is_is_told_by_the_system(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("USERNAME", "somebody-else")
    monkeypatch.setattr(os, "getlogin", lambda: "wu")
    monkeypatch.setattr(sys, "platform", platform)
    assert account_here() != "somebody-else"
    assert (account_here() == "wu") is (platform == "win32")
