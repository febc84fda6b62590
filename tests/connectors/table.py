"""`python -m tests.connectors.table`: the contract suite as one table, platform by check."""

import sys
from collections import defaultdict

import pytest

_CONTRACT = (
    "tests/connectors/test_contract.py",
    "tests/connectors/test_contract_connection.py",
    "tests/connectors/test_contract_reading.py",
)


class ContractTable:
    """Collects what became of each check at each platform while pytest runs."""

    def __init__(self, platforms: set[str]) -> None:
        self._platforms = platforms
        self._seen: dict[tuple[str, str], list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Pytest's hook: once for set-up, call and tear-down of each test."""
        if report.when != "call" and report.outcome == "passed":
            return
        path, _, test = report.nodeid.partition("::")
        name, _, case = test.rstrip("]").partition("[")
        platform = case.partition("-")[0]
        if path in _CONTRACT and platform in self._platforms:
            self._seen[name.removeprefix("test_").replace("_", " "), platform].append(report.outcome)

    def rows(self) -> list[list[str]]:
        """The table: a line for each check, `12` or `11/12` where parts passed, `-` where a check does not apply."""
        platforms = sorted(self._platforms)
        checks = list(dict.fromkeys(check for check, _ in self._seen))
        return [["check", *platforms], *([check, *(self._cell(check, each) for each in platforms)] for check in checks)]

    def untested(self) -> list[str]:
        """Platforms at which not one check passed: they stand in the table and say nothing."""
        passed = {platform for (_, platform), outcomes in self._seen.items() if "passed" in outcomes}
        return sorted(self._platforms - passed)

    def _cell(self, check: str, platform: str) -> str:
        outcomes = [each for each in self._seen.get((check, platform), ()) if each != "skipped"]
        if not outcomes:
            return "-"
        passed = outcomes.count("passed")
        return str(passed) if passed == len(outcomes) else f"{passed}/{len(outcomes)} FAILED"


def main() -> int:
    """Run the suite and print the table; pytest's exit code, 1 when a platform was not tested."""
    from tests.connectors.cases import RECEIVING
    from tests.connectors.harness import CONNECTORS

    table = ContractTable(set(CONNECTORS) - set(RECEIVING))
    code = int(pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *_CONTRACT, *sys.argv[1:]], plugins=[table]))
    rows = table.rows()
    # Whoever chooses some checks by -k asks about no more.
    untested = [] if "-k" in sys.argv else table.untested()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for platform in untested:
        print(f"FAILED: not one check passed at {platform}")
    return code or bool(untested)


if __name__ == "__main__":
    sys.exit(main())
