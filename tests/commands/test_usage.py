"""A wrong command line: the real program, as a person mistypes it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tandem(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "zh", "en"),
    [
        (["upp"], "没有这个命令", "No such command"),
        (["flow", "lnt"], "没有这个命令", "No such command"),
        (["doctor", "--jsn"], "没有选项 --jsn，是否想写 --json？", "No such option: --jsn"),
        (["flow", "lint"], "缺少", "Missing argument"),
        (["worker", "--queue"], "命令行有误", "requires an argument"),
        (["simulator", "--customers", "many"], "'--customers' 的值不正确", "Invalid value for '--customers'"),
        (["quarantine", "show", str(2**63)], "的值不正确", "Invalid value"),
        (["up", "now"], "命令行有误", "unexpected extra argument"),
    ],
    ids=" ".join,
)
def test_a_mistyped_command_is_told_in_both_languages(words: list[str], zh: str, en: str) -> None:
    outcome = tandem(*words)
    assert outcome.returncode == 2
    assert zh in outcome.stderr
    assert en in outcome.stderr
    assert "--help" in outcome.stderr.splitlines()[-1]
    assert "Traceback" not in outcome.stderr


def test_without_a_command_the_commands_are_listed() -> None:
    outcome = tandem()
    shown = outcome.stdout + outcome.stderr
    for command in ("up", "doctor", "migrate", "worker", "api", "simulator", "flow", "user", "token"):
        assert f" {command} " in shown
    assert "命令行有误" not in shown


def test_the_exit_code_of_a_command_gets_through(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: 1\n", encoding="utf-8")
    assert tandem("flow", "lint", str(broken)).returncode == 1
    assert tandem("flow", "lint", str(tmp_path / "nothing.yaml")).returncode == 2
    assert tandem("flow", "schema").returncode == 0
