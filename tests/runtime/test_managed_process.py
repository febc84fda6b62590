import sys
from pathlib import Path

from domain.problems import Text
from runtime.child import ChildProcess


async def never(_: ChildProcess) -> bool:
    return False


async def logged(log_file: Path, script: str) -> str:
    process = ChildProcess(
        "a child", ["-c", script], environment={}, log_file=log_file, check=never, program=[sys.executable]
    )
    await process._spawn([sys.executable, "-c", script], {})
    assert await process.wait() == 0
    return process.logged(first=2, last=3)


async def test_shows_the_first_and_the_last_lines_since_it_was_started(tmp_path: Path) -> None:
    log_file = tmp_path / "child.log"
    log_file.write_text("of an earlier start\n")
    assert await logged(log_file, "print('one'); print('two')") == "one\ntwo"
    assert await logged(log_file, "for each in range(9): print(each)") == "0\n1\n…\n6\n7\n8"
    wide = await logged(log_file, "for each in range(900): print(each, 'x' * 400)")
    assert [line.split()[0] for line in wide.splitlines()] == ["0", "1", "…", "897", "898", "899"]


async def test_a_refusal_shows_what_it_logged(tmp_path: Path) -> None:
    process = ChildProcess("a child", [], environment={}, log_file=tmp_path / "none.log", check=never)
    assert "the process ended" in str(process.did_not_start(Text("进程已退出", "the process ended")))
