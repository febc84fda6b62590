"""`tandem payee` and what finance asks of orders, as they are run."""

import asyncio
import json
from pathlib import Path

import pytest

from commands.payees import payee
from commands.settle import settle
from domain.access import Role, system_actor
from domain.canonical import OrderData
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from domain.settlement.payees import Payee
from services.payees import PayeeRegister
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
    assert [(each["since"], each["what"], each["value"]) for each in shown] == [
        ("2026-01-01", "terms", "promoter"),
        ("2026-01-01", "upline", "C1"),
        ("2026-01-01", "channel", "live-7 100%"),
    ]


def test_one_wrong_row_changes_nothing() -> None:
    refused = run(payee, "import", write("P1,李小红,promoter,,,live-7", "P2,王**,promoter,,,"))
    assert refused.exit_code == 1
    assert "3  姓名" in refused.stderr
    assert "未做任何改动" in refused.stderr
    assert json.loads(run(payee, "list", "--json").stdout) == []


def _codes() -> list[str]:
    return [each["code"] for each in json.loads(run(payee, "list", "--json").stdout)]


def test_a_circle_leaves_nothing_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.payee_imports.AT_ONCE", 2)
    rows = ("P1,李,promoter,P3,2026-01-01,live-1", "P2,王,promoter,P1,2026-02-01,", "P3,赵,promoter,P2,2026-03-01,")
    with pytest.raises(ValidationProblem) as refused:
        run(payee, "import", write(*rows))
    assert sorted(set(refused.value.problem.as_dict()["circle"])) == ["P1", "P2", "P3"]
    assert _codes() == []
    with pytest.raises(NotFoundProblem) as missing:
        run(payee, "import", write("P1,李,promoter,,,live-1", "P2,王,promoter,,,", "P4,赵,promoter,P9,2026-03-01,"))
    assert "P9" in missing.value.text.zh
    assert _codes() == []
    with pytest.raises(ConflictProblem) as overgiven:
        run(payee, "import", write("P1,李,promoter,,,live-1", "P2,王,promoter,,,", "P4,赵,promoter,,,live-1"))
    assert "live-1" in overgiven.value.text.zh
    assert _codes() == []
    assert "新增 3" in run(payee, "import", write(*rows[:2], "P3,赵,promoter,,,")).stdout


def test_a_payee_who_is_there_twice_is_told_by_line() -> None:
    refused = run(payee, "import", write("P1,李,promoter,,,", "P2,王,promoter,,,", "P1,李,city,,,"))
    assert refused.exit_code == 1
    assert "4  编号" in refused.stderr
    assert "第 2 行" in refused.stderr
    assert _codes() == []


def import_table(*lines: str) -> str:
    Path("table.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return run(payee, "import", "table.csv").stdout


def test_what_a_table_does_not_say_stays_as_it_is(database_url: str) -> None:
    titles = "编号,姓名,角色,周期,启用,上级,自,真实姓名,银行账号,开户行"
    import_table(titles, "C1,王大明,city,,,,,,,", "P1,李小红,promoter,day,否,C1,2026-01-01,李小红,62220202,招商银行")
    kept = asyncio.run(_payee(database_url, "P1"))
    assert "更新 1" in import_table("code,name,role", "P1,李红,promoter")
    after = asyncio.run(_payee(database_url, "P1"))
    assert after == kept.model_copy(update={"name": "李红", "version": 2, "changed_at": after.changed_at})
    empty = import_table(titles, "P1,李红,promoter,,,,,,,交通银行")
    assert "更新 1" in empty
    told = asyncio.run(_payee(database_url, "P1"))
    assert (told.cycle, told.active, told.details.bank_account) == ("day", False, "62220202")
    assert told.details.bank_name == "交通银行"
    assert "更新 1" in import_table(titles, "P1,李红,promoter,-,,-,2026-06-01,,-,-")
    gone = asyncio.run(_payee(database_url, "P1"))
    assert (gone.cycle, gone.active) == (None, False)
    assert gone.details.model_dump(exclude_none=True) == {"real_name": "李小红"}
    shown = json.loads(run(payee, "show", "P1", "--json").stdout)
    uplines = [(each["since"], each["value"]) for each in shown if each["what"] == "upline"]
    assert uplines == [("2026-06-01", None), ("2026-01-01", "C1")]


async def _payee(database_url: str, code: str) -> Payee:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    actor = system_actor("tests", Role.FINANCE)
    view = await PayeeRegister(database).show(actor, code, unmask_for="a test")
    await database.close()
    return view.payee


def test_a_settlement_is_computed_explained_and_booked(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(payee, "import", write("P1,李小红,promoter,,2026-01-01,live-7"))
    asyncio.run(sell(database_url))
    shown = json.loads(run(settle, "preview", "promoters", "2026-05-20", "--json").stdout)
    assert (shown["members"], shown["total_minor"]) == (1, 1_500)
    plain = run(settle, "preview", "promoters", "2026-05-20")
    assert "合计 15.00" in plain.stdout
    assert shown["digest"] in plain.stdout, "computed twice, it is the same"
    assert "没有角色为“agent”的收款人" in plain.stderr
    assert ["agent" in each["en"] for each in shown["remarks"]] == [True]
    explained = run(settle, "explain", "P1", shown["id"]).stdout
    assert "实付减退款的 5%" in explained
    assert "300.00 → 15.00" in explained
    assert "youzan/flagship  E1        1        200.00" in explained
    earnings = json.loads(run(settle, "explain", "P1", shown["id"], "--json").stdout)["earnings"]
    assert [each["counted"] for each in earnings[0]["lines"]] == ["200.00", "100.00"]
    asked = run(settle, "run", "promoters", "2026-05-20")
    settled = asked.stdout
    assert "computed, 15.00" in settled
    assert "没有角色为“agent”的收款人" in asked.stderr
    number = next(line for line in settled.splitlines() if line.count("-") == 4 and " " not in line)
    with pytest.raises(AuthorizationProblem):
        run(settle, "approve", number)
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
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


def test_orders_that_have_no_sales_are_told_and_left_out_when_that_is_said(database_url: str) -> None:
    run(payee, "import", write("P1,李小红,promoter,,2026-01-01,live-7"))
    asyncio.run(sell(database_url, an_order(), an_order("E2", currency="USD")))
    shown = json.loads(run(settle, "preview", "promoters", "2026-05-20", "--json").stdout)
    assert (shown["left_out"], shown["total_minor"]) == ({"no-rate": 1}, 1_500)
    assert "1 单未计入" in run(settle, "preview", "promoters", "2026-05-20").stderr
    with pytest.raises(ConflictProblem) as refused:
        run(settle, "run", "promoters", "2026-05-20")
    assert "youzan/flagship E2" in refused.value.text.zh
    settled = run(settle, "run", "promoters", "2026-05-20", "--leave-out")
    assert "computed, 15.00" in settled.stdout
    assert "1 单未计入" in settled.stderr


async def sell(database_url: str, *orders: OrderData) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    counter = Counter(database)
    await counter.publish()
    await counter.publish("1.0.0", SCHEME)
    await counter.told(*(orders or [an_order()]))
    await database.close()


SCHEME = """
scheme:
  name: promoters
  version: {version}
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter, agent] }}
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
    asyncio.run(sell(database_url))
    with pytest.raises(ValidationProblem) as refused:
        run(settle, command, "promoters", "9999-12-31")
    assert "9999-12-31" in refused.value.text.zh
    with pytest.raises(ValidationProblem):
        run(settle, "rate", "USD", "0001-01-01", "7.1")
