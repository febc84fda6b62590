"""What finance does by `tandem settle` beside the plain month: every step is there, and leaves its trace."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from commands.payees import payee
from commands.settle import settle
from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.calculation import first_pass
from services.audit import AuditTrail
from services.payout_planning import PARTS, PayoutPlanning
from storage.audit import AuditEntry
from storage.encryption import Keyring
from storage.engine import Database
from storage.paging import PageRequest
from tests.actors import an_actor
from tests.commands.terminal import printed, run
from tests.commands.test_payees import SCHEME, import_table, sell, write
from tests.services.test_selling import Counter, an_order

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def month(environment: None, database_url: str) -> str:
    """A payee with an order of May, and a scheme; the address of the database."""
    printed(payee, "import", write("P1,李小红,promoter,,2026-01-01,live-7"))
    asyncio.run(sell(database_url))
    return database_url


def entries(url: str) -> Sequence[AuditEntry]:
    """What stands in the audit log, the newest first."""

    async def read() -> Sequence[AuditEntry]:
        database = Database(url, Keyring({"k1": b"1" * 32}))
        found = await AuditTrail(database).list(an_actor("he", Role.AUDITOR), PageRequest(200))
        await database.close()
        return found.items

    return asyncio.run(read())


def trail(url: str) -> list[tuple[str, str]]:
    """What was done to what, the newest first."""
    return [(each.action, each.target) for each in entries(url)]


async def publish(url: str, scheme: str, version: str) -> None:
    database = Database(url, Keyring({"k1": b"1" * 32}))
    await Counter(database).publish(version, scheme)
    await database.close()


def told(*arguments: str) -> Any:
    return json.loads(printed(settle, *arguments, "--json"))


def test_a_preview_leaves_its_entry(month: str) -> None:
    shown = told("preview", "promoters", "2026-05-20")
    assert trail(month)[0] == ("settlement.calculate", f"calculation:{shown['id']}")


def test_a_repeat_says_whether_it_comes_to_the_same(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = told("preview", "promoters", "2026-05-20")["id"]
    again = told("repeat", first)
    assert (again["repeat"]["of"], again["repeat"]["same"]) == (first, True)
    assert "相同" in printed(settle, "repeat", first)
    listed = told("calculations", "--scheme", "promoters")
    assert [each["purpose"] for each in listed] == ["repeat", "repeat", "preview"]

    def poorer(*given: Any) -> Any:
        earned, passed = first_pass(*given)
        return [each._replace(amount=each.amount - 1) for each in earned], passed

    monkeypatch.setattr("services.calculations.first_pass", poorer)
    differs = run(settle, "repeat", first)
    assert differs.exit_code == 1
    assert "1 位收款人" in differs.stdout
    assert "1500          1499" in differs.stdout


def test_what_if_takes_a_version_that_is_not_for_the_month(month: str) -> None:
    asyncio.run(publish(month, SCHEME.replace("from: 2026-01-01", "from: 2026-06-01").replace("5%", "6%"), "2.0.0"))
    assert told("preview", "promoters", "2026-05-20")["version"] == "1.0.0"
    tried = told("what-if", "promoters", "2026-05-20", "--version", "2.0.0")
    assert (tried["total_minor"], "2026-06-01" in tried["remarks"][0]["zh"]) == (1_800, True)
    plain = run(settle, "what-if", "promoters", "2026-05-20", "--version", "2.0.0")
    assert "只是假设" in plain.stderr


def test_what_if_on_a_booked_month_goes_by_its_input_and_stands_beside_it(
    month: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(publish(month, SCHEME.replace("from: 2026-01-01", "from: 2026-06-01").replace("5%", "6%"), "2.0.0"))
    what_if = ("what-if", "promoters", "2026-05-20", "--version", "2.0.0")
    assert "comparison" not in told(*what_if), "nothing is booked yet"
    asked = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        printed(settle, "approve", asked)
    asyncio.run(sell_more(month, 2))
    tried = told(*what_if)
    beside = tried["comparison"]
    assert (tried["total_minor"], beside["before"]["total_minor"], beside["now"]["total_minor"]) == (
        1_800,
        1_500,
        1_800,
    )
    assert (beside["same_input"], beside["gaining"], beside["gained_minor"]) == (True, 1, 300)
    assert beside["largest"] == [{"payee": "P1", "before_minor": 1_500, "now_minor": 1_800}]
    assert told("compare", tried["id"]) == beside
    plain = printed(settle, *what_if)
    assert "15.00 → 18.00 (+3.00) CNY" in plain
    assert "多得 1 位 +3.00，少得 0 位 0.00，不变 0 位" in plain
    today = told(*what_if, "--today")
    assert (today["total_minor"], "comparison" in today) == (5_400, False)
    apart = run(settle, "compare", today["id"], asked)
    assert "15.00 → 54.00" in apart.stdout
    assert "不是同一次冻结" in apart.stderr
    assert told(*what_if, "--input-of", today["id"])["total_minor"] == 5_400
    with pytest.raises(ConflictProblem):
        run(settle, "compare", told("preview", "promoters", "2026-06-20")["id"])


def test_everything_behind_a_sum_is_listed_when_it_is_asked_for(month: str) -> None:
    asyncio.run(sell_more(month, 40))
    calculation = told("preview", "promoters", "2026-05-20")["id"]
    some = run(settle, "explain", "P1", calculation)
    assert "--all" in some.stderr
    (first,) = told("explain", "P1", calculation)["earnings"]
    (whole,) = told("explain", "P1", calculation, "--all")["earnings"]
    assert (len(first["lines"]), len(whole["lines"]), whole["lines_cursor"]) == (50, 82, None)
    plain = run(settle, "explain", "P1", calculation, "--all")
    assert "--all" not in plain.stderr
    assert plain.stdout.count("youzan/flagship") == 82


async def sell_more(url: str, orders: int, **more: Any) -> None:
    database = Database(url, Keyring({"k1": b"1" * 32}))
    await Counter(database).told(*(an_order(f"M{number}", **more) for number in range(orders)))
    await database.close()


def id_of(output: str) -> str:
    return next(line for line in output.splitlines() if line.count("-") == 4 and " " not in line)


def test_what_each_payee_is_given_is_listed_before_it_is_booked(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = printed(settle, "preview", "promoters", "2026-05-20", "--payees")
    assert "李**" in columns_of(plain, "payee")
    tried = told("preview", "promoters", "2026-05-20", "--payees", "--limit", "1")
    assert [(each["payee"], each["total_minor"], each["reasons"]) for each in tried["payees"]] == [
        ("P1", 1_500, ["first"])
    ]
    settled = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        printed(settle, "approve", settled, "--note", "已核对")
    printed(payee, "import", write("P2,王大明,promoter,,2026-01-01,live-8"))
    asyncio.run(sell_more(month, 1, channel="live-8"))
    again = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    status = run(settle, "status", again, "--payees", "--limit", "1")
    assert "已算分片 32/32，已记账分片 0/16" in status.stdout
    assert "王**" in columns_of(status.stdout, "payee")
    assert "--format csv" in status.stderr
    listed = told("payees", again, "--changed")
    assert [(each["payee"], each["before_minor"], each["difference_minor"]) for each in listed] == [("P2", 0, 1_500)]
    assert "2 行" in printed(settle, "payees", again, "--format", "csv", "--out", "payees.csv")
    table = Path("payees.csv").read_text(encoding="utf-8-sig")
    assert table.splitlines()[0] == "收款人,姓名,账期,币种,推广,保底与封顶,合计,此前已记,差额,记作,为什么不同"
    with pytest.raises(NotFoundProblem):
        run(settle, "payees", "0199f3a2-7c51-7b1e-9a44-3f1f5f0e6c11")


def test_the_status_says_who_approved_and_why_it_failed(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        printed(settle, "approve", asked, "--note", "已核对")
    status = printed(settle, "status", asked)
    assert "system:cli/wu 于 20" in status
    assert "批准：已核对" in status
    assert "已算分片 32/32，已记账分片 16/16" in status
    abroad = SCHEME.replace("of: kept", "of: fx-difference")
    asyncio.run(publish(month, abroad, "2.0.0"))
    printed(settle, "rate", "usd", "2026-05-03", "7.1")
    asyncio.run(sell_more(month, 1, currency="USD"))
    with pytest.raises(ValidationProblem, match="USD"):
        run(settle, "run", "promoters", "2026-05-20")
    failed = printed(settle, "status", told("runs")[0]["id"])
    assert "failed" in failed
    assert "出错：USD 在 2026-05-31 没有汇率" in failed
    printed(settle, "rate", "usd", "2026-05-31", "7.2")
    rated = run(settle, "run", "promoters", "2026-05-20")
    assert "冻结的期末汇率：1 USD = 7.2 CNY（2026-05-31 起，system:cli/" in rated.stderr


def test_a_settlement_that_is_refused_makes_room_for_another(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    with pytest.raises(ConflictProblem):
        run(settle, "run", "promoters", "2026-05-20")
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        assert "refused" in printed(settle, "approve", first, "--refuse", "--note", "少一人")
    assert "computed" in printed(settle, "run", "promoters", "2026-05-20")
    assert [each["state"] for each in told("runs", "--scheme", "promoters")] == ["computed", "refused"]


def test_another_name_in_the_environment_is_no_second_person(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "wu")
    with pytest.raises(AuthorizationProblem, match="second person"):
        run(settle, "approve", asked)


def test_what_is_beyond_an_approver_s_limit_is_approved_by_who_says_director(
    month: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"steps": [{"above_minor": 0, "approvals": 1}], "limits_minor": {"approver": 1_000}}
    monkeypatch.setenv("TANDEM_SETTLEMENT_APPROVALS", json.dumps(limits))
    asked = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    monkeypatch.setattr("commands.database.account_here", lambda: "wu")
    with pytest.raises(AuthorizationProblem, match="somebody with a higher limit"):
        run(settle, "approve", asked)
    assert "booked" in printed(settle, "approve", asked, "--director")
    (entry,) = (each for each in entries(month) if each.action == "settlement.approve")
    assert (entry.actor, entry.detail["roles"]) == ("system:cli/wu", ["director"])


def test_one_that_cannot_be_computed_makes_room_too(month: str) -> None:
    abroad = SCHEME.replace("of: kept", "of: fx-difference")
    asyncio.run(publish(month, abroad, "2.0.0"))
    printed(settle, "rate", "usd", "2026-05-03", "7.1")
    asyncio.run(sell_more(month, 1, currency="USD"))
    for _ in range(2):
        with pytest.raises(ValidationProblem, match="USD"):
            run(settle, "run", "promoters", "2026-05-20")
    assert [each["state"] for each in told("runs")] == ["failed", "failed"]


def test_who_is_settled_by_another_cycle_is_settled_closed_and_explained(
    month: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write("P2,王大明,promoter,,2026-01-01,live-8,day")
    Path(rows).write_text(
        Path(rows).read_text(encoding="utf-8-sig").replace(",渠道", ",渠道,周期", 1), encoding="utf-8-sig"
    )
    printed(payee, "import", rows)
    asyncio.run(sell_more(month, 2, channel="live-8"))
    assert told("preview", "promoters", "2026-05-03", "--cycle", "day")["total_minor"] == 3_000
    daily = id_of(printed(settle, "run", "promoters", "2026-05-03", "--cycle", "day"))
    monthly = id_of(printed(settle, "run", "promoters", "2026-05-03"))
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        for each in (daily, monthly):
            assert "booked" in printed(settle, "approve", each)
        with pytest.raises(ValidationProblem) as unclear:
            run(settle, "close", "promoters", "2026-05-03")
        assert unclear.value.problem.as_dict()["cycles"] == ["day", "month"]
        assert "day（2026-05-03 – 2026-05-04）" in unclear.value.text.zh
        assert "2026-05-03 – 2026-05-04" in printed(settle, "close", "promoters", "2026-05-03", "--cycle", "day")
    (own,) = told("explain", "P2", "2026-05-03")
    assert (own["cycle"], own["opening_minor"], own["closing_minor"]) == ("day", 0, 3_000)
    assert own["closed_at"] is not None
    (whole,) = told("explain", "P2", "2026-05-20", "--scheme", "promoters", "--cycle", "month")
    assert (whole["start"], whole["closing_minor"]) == ("2026-05-01", 3_000)


def test_what_is_due_is_settled_and_approved_at_once(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = told("due", "--scheme", "promoters")
    starts = [each["start"] for each in listed]
    assert starts[:5] == [f"2026-0{number}-01" for number in range(1, 6)]
    assert {(each["cycle"], each["why"], each["state"]) for each in listed} == {("month", "never", None)}
    begun = told("due", "--begin", "--most", "4")
    assert [each["start"] for each in begun] == starts[:4]
    rest = run(settle, "due", "--begin", "--most", "1", "--json")
    assert (rest.exit_code, [each["total"] for each in json.loads(rest.stdout)]) == (0, ["15.00 CNY"])
    assert rest.stderr.count("已在进行") == 4
    runs = [each["id"] for each in told("runs")]
    assert len(runs) == 5
    with pytest.raises(AuthorizationProblem):
        run(settle, "approve", runs[0])
    ours = run(settle, "approve", *runs)
    assert (ours.exit_code, ours.stderr.count("另一人") >= 5) == (1, True), ours.stderr
    monkeypatch.setattr("commands.database.account_here", lambda: "wu")
    printed(settle, "approve", *runs)
    assert [each["state"] for each in told("runs")] == ["booked"] * 5
    twice = run(settle, "approve", *runs[:2])
    assert (twice.exit_code, twice.stderr.count("不能复核")) == (1, 2)
    assert [each["start"] for each in told("due")] == starts[5:]


def test_a_batch_is_found_and_told_in_yuan_until_it_is_called_off(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import_table("编号,姓名,角色,真实姓名,银行账号,开户行", "P1,李小红,promoter,李小红,62220202,招商银行")
    settled = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    assert "15.00 CNY" in columns_of(printed(settle, "status", settled), "calculation")
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        printed(settle, "approve", settled)
    planned = printed(settle, "pay", "promoters", "--rail", "bank")
    assert "15.00 CNY" in planned.splitlines()[0]
    assert "15.00 CNY" in columns_of(planned, "rail")
    (batch,) = told("batches", "--scheme", "promoters")
    assert (batch["state"], batch["payouts"], batch["total"]) == ("planned", 1, "15.00 CNY")
    assert batch["id"] == id_of(planned)
    monkeypatch.setattr("commands.database.account_here", lambda: "wu")
    printed(settle, "approve-payouts", batch["id"])
    asyncio.run(reserve(month, UUID(batch["id"])))
    assert "reserved" in columns_of(printed(settle, "payouts", batch["id"]), "rail")
    assert "1 笔，15.00" in printed(settle, "call-off", batch["id"], "--note", "账户待核实")
    assert "cancelled" in columns_of(printed(settle, "payouts", batch["id"]), "rail")


def test_a_batch_says_who_approved_it_and_why_it_failed(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import_table("编号,姓名,角色,真实姓名,银行账号,开户行", "P1,李小红,promoter,李小红,62220202,招商银行")
    settled = id_of(printed(settle, "run", "promoters", "2026-05-20"))
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        printed(settle, "approve", settled)
    with monkeypatch.context() as broken:
        broken.setattr(PayoutPlanning, "finish_plan", give_up)
        failed = printed(settle, "pay", "promoters", "--rail", "bank")
    assert "出错：账户不可用" in failed
    assert "出错：账户不可用" in printed(settle, "payouts", id_of(failed))
    planned = id_of(printed(settle, "pay", "promoters", "--rail", "bank"))
    monkeypatch.setattr("commands.database.account_here", lambda: "wu")
    assert "system:cli/wu 于 20" in printed(settle, "approve-payouts", planned, "--note", "可付")
    assert "批准：可付" in printed(settle, "payouts", planned)


async def give_up(planning: PayoutPlanning, batch: UUID) -> None:
    """As the worker does when a plan is refused for good."""
    await planning.fail(batch, ValidationProblem(Text("账户不可用", "The account is out of use")).problem.as_dict())


def columns_of(output: str, first: str) -> str:
    """The line below the heading of a table."""
    lines = output.splitlines()
    return lines[next(place for place, line in enumerate(lines) if line.startswith(first + " ")) + 1]


async def reserve(url: str, batch: UUID) -> None:
    """As the worker does once a batch is approved."""
    database = Database(url, Keyring({"k1": b"1" * 32}))
    planning = PayoutPlanning(database)
    for part in range(PARTS):
        await planning.reserve_part(batch, part)
    await planning.finish_reserving(batch)
    await database.close()


def test_an_order_is_disputed_by_one_and_corrected_by_another(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed(payee, "import", write("P2,王大明,promoter,,2026-01-01,live-8"))
    order = ("youzan/flagship", "E1", "promoter", "--reason", "两人合播")
    for wrong in ("P2=x%", "P2=0.001%", "P2=", "P2=101%", "P2=0"):
        with pytest.raises(ValidationProblem):
            run(settle, "correct", *order, "--share", wrong)
    asked = told("correct", *order, "--share", "P1=40%", "--share", "P2=60%")
    assert asked["counted_for"] == "P2", "sums are split, and the deal is not"
    with pytest.raises(AuthorizationProblem):
        run(settle, "approve-correction", asked["id"])
    with monkeypatch.context() as other:
        other.setattr("commands.database.account_here", lambda: "wu")
        refused = run(settle, "approve-correction", asked["id"], "--refuse", "--note", "排班表里只有一人")
        assert "refused" in refused.stdout
        assert "都计给 P2" in refused.stderr
        again = told("correct", *order, "--share", "P2")
        assert (again["shares"], again["counted_for"]) == ([{"payee": "P2", "share": 10_000}], None)
    assert "approved" in printed(settle, "approve-correction", again["id"])
    assert [each["state"] for each in told("corrections")] == ["refused", "approved"]
    assert told("corrections", "--state", "asked") == []


def test_what_payees_did_is_noted_once(month: str) -> None:
    fact = ("fact", "P1", "visits", "2026-05-03")
    assert "P1/2026-05-03" in printed(settle, *fact, "37")
    again = run(settle, *fact, "37")
    assert (again.exit_code, "--key" in again.stderr) == (1, True)
    with pytest.raises(ConflictProblem, match="noted as 37"):
        run(settle, *fact, "5")
    assert "-2" in printed(settle, *fact, "-2", "--key", "storno")
    with pytest.raises(NotFoundProblem):
        run(settle, "fact", "nobody", "visits", "2026-05-03", "1")
    with pytest.raises(ValidationProblem):
        run(settle, "fact", "P1", "Visits!", "2026-05-03", "1")
    assert [action for action, _ in trail(month)].count("payee.facts") == 2
