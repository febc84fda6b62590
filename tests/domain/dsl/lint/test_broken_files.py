"""Files as operators break them: all mistakes at once, each in its place, nothing said twice.

Beside each file stands what the linter has to say: `line:column severity code`, in order.
"""

from pathlib import Path

import pytest

from domain.dsl.lint import lint

BROKEN = sorted((Path(__file__).parents[1] / "broken").glob("*.yaml"))


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_broken_file_is_told_all_its_mistakes(file: Path) -> None:
    findings = lint(file.read_text(encoding="utf-8"))
    said = [f"{found.line}:{found.column} {found.severity} {found.code}" for found in findings]
    assert said == file.with_suffix(".expected").read_text(encoding="utf-8").splitlines()


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 10


def test_a_message_says_what_to_do() -> None:
    by_code = {found.code: found for file in BROKEN for found in lint(file.read_text(encoding="utf-8"))}
    assert "youzan.get_refund" in by_code["unknown-call"].message.en
    assert "空格" in by_code["tab-indentation"].message.zh
    assert "exit" in by_code["switch-falls-through"].message.en
    assert "line 35" in by_code["duplicate-task-name"].message.en
    assert "use.secrets" in by_code["unlisted-secret"].message.en
