"""`tandem settle import-facts`, as it is run."""

from pathlib import Path

import pytest

from commands.payees import payee
from commands.settle import settle
from tests.commands.terminal import run

pytestmark = pytest.mark.usefixtures("environment")


def write(*rows: str) -> str:
    Path("facts.csv").write_text("\n".join(("编号,事项,日期,数值", *rows)), encoding="utf-8-sig")
    return "facts.csv"


def test_a_table_of_facts_is_checked_taken_over_and_known_afterwards() -> None:
    Path("payees.csv").write_text("编号,姓名,角色\nP1,李小红,promoter", encoding="utf-8-sig")
    run(payee, "import", "payees.csv")
    file = write("P1,visits,2026-05-01,3", "P1,visits,2026-05-02,-1")
    assert "2 行可导入" in run(settle, "import-facts", file, "--dry-run").stdout
    assert "新登记 2，早已登记 0" in run(settle, "import-facts", file).stdout
    assert "新登记 0，早已登记 2" in run(settle, "import-facts", file).stdout
    refused = run(settle, "import-facts", write("P1,visits,2026-05-03,3", "P2,visits,2026-05-01,3"))
    assert refused.exit_code == 1
    assert "3  编号" in refused.stderr
    assert "2 行中 1 行不对，未做任何改动" in refused.stderr
    assert "新登记 1" in run(settle, "import-facts", write("P1,visits,2026-05-03,3")).stdout
