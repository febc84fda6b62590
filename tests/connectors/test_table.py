"""The table of the contract suite shows what was tested, and only that."""

from typing import Literal

import pytest

from tests.connectors.table import ContractTable

_SUITE = "tests/connectors/test_contract.py::test_a_check"
_READING = "tests/connectors/test_contract_reading.py::test_a_reading"


def _report(platform: str, outcome: Literal["passed", "failed", "skipped"], check: str = _SUITE) -> pytest.TestReport:
    return pytest.TestReport(f"{check}[{platform}]", (check, 1, ""), {}, outcome, None, "call")


def test_what_was_skipped_or_failed_is_no_pass_and_what_was_not_tested_is_named() -> None:
    table = ContractTable({"jd", "taobao", "wecom", "youzan"})
    reports = [
        _report("jd", "passed"),
        _report("taobao", "skipped"),
        _report("wecom", "failed"),
        _report("wecom", "passed"),
        _report("jd", "passed", _READING),
        _report("jd", "passed", "tests/connectors/test_jd.py::test_another"),
    ]
    for report in reports:
        table.pytest_runtest_logreport(report)
    assert table.rows() == [
        ["check", "jd", "taobao", "wecom", "youzan"],
        ["a check", "1", "-", "1/2 FAILED", "-"],
        ["a reading", "1", "-", "-", "-"],
    ]
    assert table.untested() == ["taobao", "youzan"]
