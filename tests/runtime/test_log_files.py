import asyncio
import contextlib
import json
from pathlib import Path

from runtime.log_files import follow, keep_bounded, readable_line


async def _for_a_while(*endless: asyncio.Task[None]) -> None:
    await asyncio.sleep(0.2)
    for task in endless:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_new_warnings_reach_the_terminal_and_old_ones_do_not(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text(json.dumps({"event": "old", "level": "error"}) + "\n")
    shown: list[tuple[str, str]] = []
    following = asyncio.create_task(follow({"worker": log}, lambda name, line: shown.append((name, line))))
    await asyncio.sleep(0.1)
    with log.open("a") as file:
        file.write(json.dumps({"event": "started", "level": "info"}) + "\n")
        file.write(json.dumps({"event": "refund refused", "level": "warning", "run": "refund/1"}) + "\n")
        file.write("Traceback of something that does not log\n{half a line")
    await asyncio.sleep(0.6)
    await _for_a_while(following)
    assert shown == [
        ("worker", "WARNING refund refused run=refund/1"),
        ("worker", "Traceback of something that does not log"),
    ]


def test_a_failure_shows_its_type_and_reason() -> None:
    entry = {"event": "failed", "level": "error", "exception": [{"exc_type": "ValueError", "exc_value": "too long"}]}
    assert readable_line(json.dumps(entry)) == "ERROR failed ValueError: too long"


async def test_a_file_past_its_bound_is_turned_over_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("a") as writer:
        writer.write("x" * 2000 + "\n")
        writer.flush()
        await _for_a_while(asyncio.create_task(keep_bounded({"api": log}, largest=1000)))
        writer.write("after\n")
    assert log.read_text() == "after\n"
    assert len((tmp_path / "api.log.1").read_text()) == 2001
