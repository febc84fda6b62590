"""`tandem settle bank-…` as finance uses it."""

import asyncio
from pathlib import Path

import pytest

from commands.settle import settle
from domain.problems import ConflictProblem, ValidationProblem
from domain.settlement.payees import NewPayee
from storage.encryption import Keyring
from storage.engine import Database
from tests.clock import SteppedClock
from tests.commands.terminal import run
from tests.services.test_bank_payouts import Cashier
from tests.services.test_calculations import QIAN, Office

pytestmark = pytest.mark.usefixtures("environment")


async def _prepare(database_url: str) -> tuple[str, str]:
    """A batch with one payout by bank: its id, and the payout's number."""
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    office = Office(database, SteppedClock())
    await office.publish()
    await office.scheme()
    await office.register.put(QIAN, [NewPayee(code="P1", name="P1", role="promoter")])
    cashier = Cashier(office)
    await cashier.accounts({"P1": "李小红"})
    batch = await cashier.batch({"P1": 68_765})
    await database.close()
    return str(batch), cashier.numbers["P1"]


def test_a_file_is_written_checked_and_answered(database_url: str) -> None:
    batch, number = asyncio.run(_prepare(database_url))
    said = run(settle, "bank-file", batch, "--out", "a.xlsx").stdout
    assert "1 / 687.65 CNY" in said
    file = said.partition(":")[0]
    assert "1 / 687.65 CNY" in run(settle, "bank-file", batch, "--out", "a.csv", "--number", file).stdout
    assert Path("a.csv").stat().st_mode & 0o777 == 0o600
    for path in ("a.csv", "a.xlsx"):
        assert f"与 {file} 一致" in run(settle, "bank-check", file, path).stdout
    Path("b.csv").write_text(Path("a.csv").read_text("utf-8").replace("687.65", "687.66"), "utf-8")
    with pytest.raises(ConflictProblem):
        run(settle, "bank-check", file, "b.csv")

    answer = Path("answer.csv")
    answer.write_text(f"付款编号,结果,金额,流水号\n{number},成功,687.65,S1\n", "utf-8")
    assert "成功 1，失败 0" in run(settle, "bank-answer", batch, "answer.csv").stdout
    assert "此前已知 1" in run(settle, "bank-answer", batch, "answer.csv").stdout
    answer.write_text(f"付款编号,结果,金额,流水号\n{number},失败,687.65,\nP1,成功,1,S2\n", "utf-8")
    wrong = run(settle, "bank-answer", batch, "answer.csv")
    assert wrong.exit_code == 1
    assert f"2  {number}  此前银行的结果是 paid" in wrong.stderr
    assert "3  付款编号  不是付款编号" in wrong.stderr
    assert "矛盾 1 行，错误 1 行" in wrong.stdout


def test_what_is_no_name_or_no_file_of_the_batch(database_url: str) -> None:
    batch, _ = asyncio.run(_prepare(database_url))
    with pytest.raises(ValidationProblem, match="xlsx"):
        run(settle, "bank-file", batch, "--out", "a.txt")
    with pytest.raises(ValidationProblem, match="no file"):
        run(settle, "bank-file", batch, "--out", "a.csv", "--number", "B999-1")
    run(settle, "bank-file", batch, "--out", "a.csv")
    with pytest.raises(ValidationProblem):
        run(settle, "bank-file", batch, "--out", "nowhere/a.csv")
