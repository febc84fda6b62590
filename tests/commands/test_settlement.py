"""`tandem settle` as finance uses it."""

import json
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest
from typer.testing import CliRunner

from commands import settlement_reports
from commands.payouts import accounts_of, rails_of
from commands.settle import settle
from domain.problems import ValidationProblem
from domain.settlement.report_kinds import REPORTS

SHIPPED = Path("definitions/schemes/promoters.yaml")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(settle, [str(each) for each in arguments], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_a_scheme_is_told_in_the_person_s_own_language(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "城市返利：下级“推广提成”的返利：第 1 级 30%" in run("scheme", SHIPPED)
    monkeypatch.setenv("TANDEM_LOCALE", "en")
    assert "city-share: of what the downline earned by sales: 30% at level 1" in run("scheme", SHIPPED)
    assert json.loads(run("scheme", SHIPPED, "--json"))[0]["zh"].startswith("推广员与城市两级返利")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scheme: {name: a}", "结算方案定义不正确"),
        ("tag-rule: {name: a}", "没有可读的方案"),
        ("scheme: [", "没有可读的方案"),
    ],
)
def test_what_is_no_scheme_is_refused_in_words(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationProblem) as refused:
        run("scheme", file)
    assert why in refused.value.text.zh


def test_the_reports_are_listed_with_what_ties() -> None:
    told = run("reports")
    assert "channels" in told
    assert "按渠道" in told
    assert len(told.splitlines()) == len(REPORTS) + 1


def test_who_pays_is_named_for_all_rails_or_for_one() -> None:
    assert accounts_of(["main"]) == {"wechat-pay": "main", "profit-sharing": "main"}
    assert accounts_of(["profit-sharing=other", "main"]) == {"wechat-pay": "main", "profit-sharing": "other"}
    assert accounts_of(["wechat-pay=main"]) == {"wechat-pay": "main"}
    assert rails_of(["bank", "wechat-pay"]) == ["bank", "wechat-pay"]
    for strange in ("bank=main", "wechat-pay=", ""):
        with pytest.raises(ValidationProblem, match="profit-sharing=main"):
            accounts_of([strange])
    with pytest.raises(ValidationProblem, match="wechat-pay, profit-sharing, bank"):
        run("pay", "promoters", "--rail", "wechat")


def test_today_is_the_day_in_shanghai(monkeypatch: pytest.MonkeyPatch) -> None:
    """At eight in the evening UTC it is tomorrow there, and may be another month."""

    class _Evening(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2026, 11, 30, 20, tzinfo=UTC)

    monkeypatch.setattr(settlement_reports, "datetime", _Evening)
    assert settlement_reports.wanted_by(None, None, None, None).day == date(2026, 12, 1)
