"""`tandem payee` and what finance asks of orders, as they are run."""

import asyncio
import json
from pathlib import Path

import pytest

from commands.payees import payee
from commands.settle import settle
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import run
from tests.services.test_selling import Counter, an_order

pytestmark = pytest.mark.usefixtures("environment")
TITLES = "编号,姓名,角色,上级,自,渠道"


def write(*rows: str) -> str:
    Path("payees.csv").write_text("\n".join((TITLES, *rows)), encoding="utf-8-sig")
    return "payees.csv"


def test_a_table_of_payees_is_taken_over_and_shown() -> None:
    file = write("P1,李小红,promoter,C1,2026-01-01,live-7", "C1,王大明,city,,,")
    assert "2 行可导入" in run(payee, "import", file, "--dry-run").stdout
    assert json.loads(run(payee, "list", "--json").stdout) == []
    assert "新增 2" in run(payee, "import", file).stdout
    assert "未变 2" in run(payee, "import", file).stdout
    listed = json.loads(run(payee, "list", "--json").stdout)
    assert [(each["code"], each["name"]) for each in listed] == [("C1", "王**"), ("P1", "李**")]
    shown = json.loads(run(payee, "show", "P1", "--json").stdout)
    assert [(each["what"], each["value"]) for each in shown] == [("upline", "C1"), ("channel", "live-7 100%")]


def test_one_wrong_row_changes_nothing() -> None:
    refused = run(payee, "import", write("P1,李小红,promoter,,,live-7", "P2,王**,promoter,,,"))
    assert refused.exit_code == 1
    assert "3  姓名" in refused.stderr
    assert "未做任何改动" in refused.stderr
    assert json.loads(run(payee, "list", "--json").stdout) == []


def test_a_settlement_is_computed_explained_and_booked(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(payee, "import", write("P1,李小红,promoter,,2026-01-01,live-7"))
    asyncio.run(_sell(database_url))
    shown = json.loads(run(settle, "preview", "promoters", "2026-05-20", "--json").stdout)
    assert (shown["members"], shown["total_minor"]) == (1, 1_500)
    plain = run(settle, "preview", "promoters", "2026-05-20").stdout
    assert "合计 15.00" in plain
    assert shown["digest"] in plain, "computed twice, it is the same"
    explained = run(settle, "explain", "P1", shown["id"]).stdout
    assert "实付减退款的 5%" in explained
    assert "300.00 → 15.00" in explained
    assert "youzan/flagship  E1        1        200.00" in explained
    earnings = json.loads(run(settle, "explain", "P1", shown["id"], "--json").stdout)["earnings"]
    assert [each["counted"] for each in earnings[0]["lines"]] == ["200.00", "100.00"]
    settled = run(settle, "run", "promoters", "2026-05-20").stdout
    assert "computed, 15.00" in settled
    number = next(line for line in settled.splitlines() if line.count("-") == 4 and " " not in line)
    with pytest.raises(AuthorizationProblem):
        run(settle, "approve", number)
    with monkeypatch.context() as other:
        other.setattr("getpass.getuser", lambda: "wu")
        assert "booked, 15.00" in run(settle, "approve", number, "--note", "已核对").stdout
        assert "已关闭 promoters 2026-05-01" in run(settle, "close", "promoters", "2026-05-20").stdout
    assert "booked" in run(settle, "status", number).stdout
    _report()
    order = run(settle, "order", "youzan/flagship", "E1").stdout
    assert "channel:live-7" in order
    assert json.loads(run(settle, "order", "youzan/flagship", "E1", "--json").stdout)["is_first"]


def _report() -> None:
    """What was booked, on the screen, in files, and beside the journal."""
    frame = ("promoters", "2026-05-20")
    assert "15.00" in run(settle, "report", "payees", *frame).stdout
    assert "2 行" in run(settle, "report", "goods", *frame, "--format", "csv", "--out", "goods.csv").stdout
    assert "youzan/flagship,coat,CNY,1,200.00,10.00" in Path("goods.csv").read_text(encoding="utf-8-sig")
    assert run(settle, "report", "goods", *frame, "--format", "xlsx", "--out", "goods.xlsx").exit_code == 0
    assert Path("goods.xlsx").read_bytes().startswith(b"PK")
    assert run(settle, "statement", "P1", *frame, "--out", "P1.pdf").exit_code == 0
    assert Path("P1.pdf").read_bytes().startswith(b"%PDF")
    assert run(settle, "statement", "-", *frame, "--out", "all.zip").exit_code == 0
    assert Path("all.zip").read_bytes().startswith(b"PK")
    tied = run(settle, "tie-out", "-", "2026-05-20", "--span", "year")
    assert tied.exit_code == 0
    assert "15.00" in tied.stdout
    with pytest.raises(NotFoundProblem):
        run(settle, "report", "nothing", *frame)


async def _sell(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    counter = Counter(database)
    await counter.publish()
    await counter.publish("1.0.0", SCHEME)
    await counter.told(an_order())
    await database.close()


SCHEME = """
scheme:
  name: promoters
  version: {version}
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns: [{{ name: sales, title: 推广, of: kept, rate: '5%' }}]
"""


def test_rates_and_orders_that_are_not_there() -> None:
    assert "1 USD = 7.1234 CNY" in run(settle, "rate", "usd", "2026-05-01", "7.1234").stdout
    with pytest.raises(ValidationProblem):
        run(settle, "rate", "USD", "2026-05-01", "free")
    with pytest.raises(NotFoundProblem) as missing:
        run(settle, "order", "youzan/flagship", "E1")
    assert "没有订单" in missing.value.text.zh


@pytest.mark.parametrize("command", ["preview", "run"])
def test_a_year_that_was_mistyped_is_told(database_url: str, command: str) -> None:
    asyncio.run(_sell(database_url))
    with pytest.raises(ValidationProblem) as refused:
        run(settle, command, "promoters", "9999-12-31")
    assert "9999-12-31" in refused.value.text.zh
    with pytest.raises(ValidationProblem):
        run(settle, "rate", "USD", "0001-01-01", "7.1")
