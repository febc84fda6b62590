"""What a command finds: an empty folder, and no setting but a database and keys."""

import os
from pathlib import Path

import pytest

_KEY = "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The database is that of the test, with tables unless it asks for `empty_database_url`."""
    for name in [name for name in os.environ if name.startswith("TANDEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    url = "empty_database_url" if "empty_database_url" in request.fixturenames else "database_url"
    monkeypatch.setenv("TANDEM_DATABASE_URL", request.getfixturevalue(url))
    for name in ("FIELD_KEYS", "PAYLOAD_KEYS", "TOKEN_PEPPER"):
        monkeypatch.setenv(f"TANDEM_{name}", _KEY)
