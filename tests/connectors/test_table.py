"""The table of the contract suite shows what was tested, and only that."""

from typing import Literal

import pytest

from tests.connectors.table import ContractTable

_SUITE = "tests/connectors/test_contract.py::test_a_check"


def _report(platform: str, outcome: Literal["passed", "failed", "skipped"]) -> pytest.TestReport:
    return pytest.TestReport(f"{_SUITE}[{platform}]", (_SUITE, 1, ""), {}, outcome, None, "call")


def test_what_was_skipped_or_failed_is_no_pass_and_what_was_not_tested_is_named() -> None:
    table = ContractTable({"jd", "taobao", "wecom", "youzan"})
    reports = [
        _report("jd", "passed"),
        _report("taobao", "skipped"),
        _report("wecom", "failed"),
        _report("wecom", "passed"),
    ]
    for report in reports:
        table.pytest_runtest_logreport(report)
    assert table.rows() == [
        ["check", "jd", "taobao", "wecom", "youzan"],
        ["a check", "1", "-", "1/2 FAILED", "-"],
    ]
    assert table.untested() == ["taobao", "youzan"]
