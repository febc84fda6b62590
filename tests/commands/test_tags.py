"""`tandem tag` as operations use it."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
import typer

from commands.tags import tag
from domain.problems import NotFoundProblem, ValidationProblem
from services.definitions import DefinitionService
from storage.engine import Database
from tests.clock import SteppedClock
from tests.commands.terminal import run_beside
from tests.people import order
from tests.services.test_tagging import OPS, happens, publish, rule, somebody

app = typer.Typer()
app.add_typer(tag, name="tag")
RULE = rule("all: [ { orders: { count: { at-least: 3 } } } ]", name="loyal", tag="高价值")


pytestmark = pytest.mark.usefixtures("environment")


async def tandem(*arguments: str) -> str:
    return (await run_beside(app, "tag", *arguments)).output


async def test_a_customer_s_tags_their_reasons_and_decisions(database: Database, clock: SteppedClock) -> None:
    await publish(database, RULE)
    customer, identity = await somebody(database)
    await happens(database, customer, identity, *(order(f"E{number}", clock.now) for number in range(3)))
    assert "loyal 1.0.0" in await tandem("list", str(customer))
    assert "orders.count=3 ✓" in await tandem("why", str(customer), "高价值")
    found = json.loads(await tandem("why", str(customer), "高价值", "--json"))
    assert found["rules"][0]["held"] is True
    told = await tandem("exclude", str(customer), "高价值", "--reason", "员工")
    assert "该客户现在没有标签" in told
    assert "carries no tag now" in told
    assert "✗ 高价值" in await tandem("list", str(customer))
    await tandem("exclude", str(customer), "高价值", "--reason", "离职", "--undo")
    assert "熟客" in await tandem("add", str(customer), "熟客", "--reason", "电话")
    assert "熟客" not in await tandem("remove", str(customer), "熟客", "--reason", "填错")
    with pytest.raises(NotFoundProblem):
        await tandem("list", str(uuid4()))


async def test_a_preview_reads_a_file(database: Database, clock: SteppedClock, tmp_path: Path) -> None:
    customer, identity = await somebody(database)
    await happens(database, customer, identity, *(order(f"E{number}", clock.now) for number in range(3)))
    file = tmp_path / "loyal.yaml"
    file.write_text(RULE.text, encoding="utf-8")
    found = json.loads(await tandem("preview", str(file), "--json"))
    assert (found["gained"], found["gained_samples"]) == (1, [str(customer)])
    with pytest.raises(ValidationProblem, match="there is no such file"):
        await tandem("preview", str(tmp_path / "missing.yaml"))
    assert json.loads(await tandem("list", "--json")) == []


async def test_a_grading_is_not_previewed_for_a_share(tmp_path: Path) -> None:
    """Silence about the share would show what it does to everybody as what it does to few."""
    file = tmp_path / "grading.yaml"
    file.write_text("kind: grading", encoding="utf-8")
    with pytest.raises(ValidationProblem, match="leave --share out"):
        await tandem("preview", str(file), "--grading", "--share", "10")


async def test_amounts_are_told_in_their_currency(database: Database, clock: SteppedClock) -> None:
    home = rule("all: [ { orders: { sum: { of: paid, at-least: '100.00' } } } ]", name="home", tag="大额")
    dollars = "all: [ { orders: { where: { currency: USD }, sum: { of: paid, at-least: '1.00' } } } ]"
    await publish(database, home, rule(dollars, name="dollars", tag="美元"))
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now, paid_minor=29900))
    assert "orders.sum(paid)=¥299.00 ✓" in await tandem("why", str(customer), "大额")
    assert "orders.sum(paid)=USD 0.00 ✗" in await tandem("why", str(customer), "美元")


async def test_a_rule_is_released_to_a_share_and_taken_back(database: Database, clock: SteppedClock) -> None:
    customer, identity = await somebody(database)
    await happens(database, customer, identity, *(order(f"E{number}", clock.now) for number in range(3)))
    await DefinitionService(database).upload(OPS, [RULE])
    assert "tag-rule loyal 1.0.0: 10 % of the customers" in await tandem("release", "loyal", "1.0.0", "--share", "10")
    assert "1.0.0 10%" in await tandem("list")
    assert "(10%)" in await tandem("why", str(customer), "高价值")
    await tandem("release", "loyal", "1.0.0", "--share", "0", "--reason", "先不要")
    assert "10%" not in await tandem("list")
    with pytest.raises(NotFoundProblem):
        await tandem("release", "loyal", "1.0.0", "--share", "10", "--grading")
