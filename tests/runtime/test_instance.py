import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.problems import ConfigurationProblem, ConflictProblem
from runtime.instance import Addresses, hold_lock, lock_holder, read_addresses
from runtime.processes import ProcessIdentity


def test_a_second_instance_is_refused_with_the_process_to_stop(tmp_path: Path) -> None:
    with hold_lock(tmp_path), pytest.raises(ConflictProblem, match=str(os.getpid())), hold_lock(tmp_path):
        pass
    assert lock_holder(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}'], ids=["empty", "half", "garbled"])
def test_an_unreadable_lock_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "tandem.lock").write_text(content)
    with hold_lock(tmp_path):
        assert lock_holder(tmp_path) is not None


def test_a_lock_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "tandem.lock").write_text(json.dumps({"pid": ended.pid, "started_at": 1.0}))
    with hold_lock(tmp_path):
        holder = lock_holder(tmp_path)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_lock_whose_number_another_process_got_is_stale(tmp_path: Path) -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    (tmp_path / "tandem.lock").write_text(json.dumps({"pid": me.pid, "started_at": me.started_at - 3600}))
    assert lock_holder(tmp_path) is None
    with hold_lock(tmp_path):
        assert lock_holder(tmp_path) == me


def test_of_many_who_find_a_stale_lock_one_wins(tmp_path: Path) -> None:
    (tmp_path / "tandem.lock").write_text(json.dumps({"pid": 1, "started_at": 0.0}))
    program = (
        "import sys, time; from pathlib import Path; from runtime.instance import hold_lock\n"
        "with hold_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(3)"
    )
    contenders = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(6)
    ]
    answers = [contender.communicate(timeout=60)[0] for contender in contenders]
    assert answers.count(b"held\n") == 1


def test_addresses_are_those_of_a_live_instance_only(tmp_path: Path) -> None:
    addresses = Addresses("postgresql://db", "127.0.0.1:7233", "http://127.0.0.1:8000")
    with hold_lock(tmp_path):
        addresses.write(tmp_path)
        assert read_addresses(tmp_path) == addresses
    addresses.write(tmp_path)
    assert read_addresses(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationProblem, match="TANDEM_DATA_DIR"), hold_lock(tmp_path / "file" / "data"):
        pass
