"""A wrong command line: the real program, as a person mistypes it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cli

ROOT = Path(__file__).parents[2]
Tandem = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tandem(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tandem:
    """The program within this process, given some words: its exit code and what it wrote to each of its outputs."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tandem", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


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
def test_a_mistyped_command_is_told_in_both_languages(tandem: Tandem, words: list[str], zh: str, en: str) -> None:
    code, _, told = tandem(*words)
    assert code == 2
    assert zh in told
    assert en in told
    assert "--help" in told.splitlines()[-1]
    assert "Traceback" not in told


def test_without_a_command_the_commands_are_listed(tandem: Tandem) -> None:
    _, printed, told = tandem()
    shown = printed + told
    for command in ("up", "doctor", "migrate", "worker", "api", "simulator", "flow", "user", "token"):
        assert f" {command} " in shown
    assert "命令行有误" not in shown


def test_the_exit_code_of_a_command_gets_through(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: 1\n", encoding="utf-8")
    for file, code in (
        (broken, 1),
        (tmp_path / "nothing.yaml", 2),
        (ROOT / "definitions/journeys/third-order.yaml", 0),
    ):
        command = [sys.executable, "-m", "cli", "flow", "lint", str(file)]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60).returncode == code
