"""The schemes that come along are right, and each is told back in words whose numbers a run would give."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from domain.resources import parse_resource
from domain.settlement.explanation import explained
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import check_scheme, read_scheme, scheme_of

SHIPPED = sorted(Path("definitions/schemes").glob("*.yaml"))


def shipped(name: str) -> Scheme:
    scheme = read_scheme(yaml.safe_load(Path(f"definitions/schemes/{name}.yaml").read_text("utf-8"))).scheme
    assert scheme is not None
    return scheme


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_scheme_that_comes_along_is_right_and_is_read_from_the_store_as_it_was_written(path: Path) -> None:
    document = yaml.safe_load(path.read_text("utf-8"))
    assert check_scheme(document) == []
    stored = parse_resource("scheme", document).model_dump(mode="json", by_alias=True)
    assert scheme_of(stored) == read_scheme(document).scheme
    said = explained(shipped(path.stem))
    assert len(said) >= 3
    for each in said:
        assert each.zh.endswith(("。", "取整", "）"))
        assert each.en.strip().endswith(".")


def test_the_sources_examples_have_worked_numbers() -> None:
    zh = {name: "\n".join(each.zh for each in explained(shipped(name))) for name in ("agents", "promoters", "stores")}
    assert "会员销售提成：实付减退款的 5%；适用角色 member。例：实付减退款 12345.67 → 617.28。" in zh["agents"]
    assert "第 1 级 20%；适用角色 city-agent。例：下级每级共得 12345.67 → 2469.13。" in zh["agents"]
    assert "分段计算：0.00 起 5%，10000.00 起 8%，50000.00 起 10%" in zh["promoters"]
    assert "例：实付减退款 12345.67 → 687.65。" in zh["promoters"]
    assert "每期固定 3000.00" in zh["stores"]
    assert "到店数每 10 个（不足也算）计 20.00。例：到店数 37 → 80.00。" in zh["stores"]


def test_a_deduction_a_coefficient_and_weights_are_told() -> None:
    fee = next(each for each in explained(shipped("cross-border")) if each.en.startswith("warehouse"))
    assert "扣减：按成交单数，每个 3.50；只计保税仓发货。例：成交单数 37 → -129.50。" in fee.zh
    leader = next(each for each in explained(shipped("group-leaders")) if each.en.startswith("sales"))
    assert "times a coefficient by after-sale: 0.6 from 0, 1 from 80, 1.2 from 95" in leader.en
    deals = next(each for each in explained(shipped("influencers")) if each.en.startswith("deals"))
    assert "客户首单 按 1.5 倍计；整单金额不低于 5000.00 按 2 倍计" in deals.zh


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_component_has_an_example(path: Path) -> None:
    scheme = shipped(path.stem)
    said = explained(scheme)[1 : 1 + len(scheme.components)]
    for component, each in zip(scheme.components, said, strict=True):
        assert each.zh.startswith(component.title)
        assert "例：" in each.zh
        assert " → " in each.zh
        assert "Example: " in each.en


def test_a_fixed_sum_and_lines_rounded_one_by_one_are_worked_out() -> None:
    rent = next(each for each in explained(shipped("stores")) if each.en.startswith("rent"))
    assert "每期固定 3000.00；适用角色 flagship-store。例：每期 → 3000.00。" in rent.zh
    lines = next(each for each in explained(shipped("influencers")) if each.en.startswith("live-sales"))
    # 432.09845 and 0.00525: each is rounded by itself, and together they would be 432.1037.
    assert "例：两笔实付减退款 12345.67 与 0.15 → 432.10 + 0.01 → 432.11。" in lines.zh
    assert (
        "Example: two lines of what buyers paid less refunds, 12345.67 and 0.15 → 432.10 + 0.01 → 432.11." in lines.en
    )


def test_a_limited_time_is_of_payment_for_orders_and_of_the_deed_itself_for_deeds() -> None:
    festival = next(each for each in explained(shipped("influencers")) if each.en.startswith("double-eleven"))
    assert "限 2026-11-01 至 2026-11-12（不含）付款的订单" in festival.zh
    assert "only orders paid from 2026-11-01 until 2026-11-12, not included" in festival.en
    text = """
    scheme: {name: a, title: a, cycle: month, from: 2026-01-01, earns: [
      {name: come, title: 到店, of: visits, each: '1.00', days: {from: 2026-11-01, until: 2026-11-12}}]}
    """
    scheme = read_scheme(yaml.safe_load(text)).scheme
    assert scheme is not None
    assert "限 2026-11-01 至 2026-11-12（不含）。" in explained(scheme)[1].zh


def test_that_a_version_ends_its_scheme_is_told() -> None:
    scheme = replace(shipped("stores"), active=False)
    told = [each for each in explained(scheme) if each not in explained(shipped("stores"))]
    assert ["已停用" in each.zh and "Not active" in each.en for each in told] == [True]


def test_what_a_coefficient_makes_of_a_fixed_sum_and_of_lines() -> None:
    factor = "factor: {score: care, steps: [{from: 0, times: '0.5'}, {from: 90, times: '0.8'}]}"
    text = f"""
    scheme: {{name: a, title: a, cycle: month, from: 2026-01-01, earns: [
      {{name: rent, title: 固定, fixed: '100.00', {factor}}},
      {{name: fee, title: 单, of: orders, grain: line, each: '0.37', deducts: true, {factor}}}]}}
    """
    scheme = read_scheme(yaml.safe_load(text)).scheme
    assert scheme is not None
    _, rent, fee, *_ = explained(scheme)
    assert "例：每期、care 90 分 → 80.00。" in rent.zh
    # Each line is rounded first: 0.37 + 0.74 = 1.11; × 0.8 = 0.888.
    assert "例：两笔成交单数 1 与 2、care 90 分 → 0.37 + 0.74 → -0.89。" in fee.zh
