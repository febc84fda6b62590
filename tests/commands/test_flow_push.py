"""`tandem flow push`: a folder of definitions goes in as a whole, or nothing of it does."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from commands.flow_push import push
from domain.problems import ConfigurationProblem, ConflictProblem, ValidationProblem
from runtime.embedded import EmbeddedTemporal
from services.release_book import ReleaseBook
from services.tag_rules import RuleBook
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.commands.terminal import run, run_beside

FLOW = """\
document: {{dsl: '1.0.3', namespace: shop, name: {name}, version: '1.0.0'}}
do:
  - a: {{set: {{x: {x}}}}}
"""

app = typer.Typer()
app.callback()(lambda: None)
app.command("push")(push)


@pytest.fixture(autouse=True)
def folder(
    environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, temporal_server: EmbeddedTemporal
) -> Path:
    """A folder with two flows, one of them further down."""
    monkeypatch.setenv("TANDEM_TEMPORAL_ADDRESS", temporal_server.address)
    folder = tmp_path / "flows"
    (folder / "later").mkdir(parents=True)
    (folder / "first.yaml").write_text(FLOW.format(name="first", x=1), encoding="utf-8")
    (folder / "later" / "second.yml").write_text(FLOW.format(name="second", x=2), encoding="utf-8")
    return folder


async def pushed(*arguments: object) -> Result:
    return await run_beside(app, "push", *map(str, arguments))


async def outcomes(*arguments: object) -> dict[str, tuple[str, str]]:
    """Outcome and state of each definition."""
    told = json.loads((await pushed(*arguments, "--json")).stdout)
    return {each["definition"]: (each["outcome"], each["state"]) for each in told}


async def test_a_folder_goes_in_and_once_more_changes_nothing(folder: Path) -> None:
    first, second = "flow shop/first 1.0.0", "flow shop/second 1.0.0"
    assert await outcomes(folder) == {first: ("created", "draft"), second: ("created", "draft")}
    assert await outcomes(folder) == {first: ("unchanged", "draft"), second: ("unchanged", "draft")}
    assert (await pushed(folder / "first.yaml")).stdout.startswith(f"unchanged  {first}")


async def test_what_is_pushed_may_be_released_at_once(folder: Path, database_url: str) -> None:
    assert set((await outcomes(folder, "--release", "25")).values()) == {("created", "released 25 %")}
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        snapshot = await ReleaseBook().current(work)
    await database.close()
    taken = [snapshot.choose("shop", "first", f"customer:{number}") is not None for number in range(400)]
    assert 60 < sum(taken) < 140


async def test_a_rule_that_is_released_to_a_share_is_not_in_force_for_everybody(
    folder: Path, database_url: str
) -> None:
    (folder / "rule.yaml").write_text(
        "tag-rule: { name: loyal, version: 1.0.0, tag: 高价值, title: t, when: { all: [ { orders: {} } ] } }", "utf-8"
    )
    assert (await outcomes(folder, "--release", "10"))["tag-rule loyal 1.0.0"] == ("created", "released 10 %")
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        (rule,) = await RuleBook().current(work)
    await database.close()
    assert (rule.digest, rule.share_percent) == ("", 10)


async def test_one_broken_file_and_nothing_changes(folder: Path) -> None:
    broken = folder / "later" / "broken.yaml"
    broken.write_text(FLOW.format(name="broken", x=3).replace("set", "sett"), encoding="utf-8")
    refused = await pushed(folder, "--publish")
    assert refused.exit_code == 1
    assert f"{broken}:3:" in refused.stderr
    assert "没有说要做什么" in refused.stderr
    assert "does not say what to do" in refused.stderr
    broken.unlink()
    assert {outcome for outcome, _ in (await outcomes(folder)).values()} == {"created"}


async def test_another_text_under_a_version_that_is_there_is_refused(folder: Path) -> None:
    await pushed(folder)
    (folder / "first.yaml").write_text(FLOW.format(name="first", x=9), encoding="utf-8")
    with pytest.raises(ConflictProblem):
        await pushed(folder, "--publish")
    (folder / "first.yaml").unlink()
    assert await outcomes(folder) == {"flow shop/second 1.0.0": ("unchanged", "draft")}


async def test_another_encoding_is_told_with_its_place(folder: Path) -> None:
    (folder / "gbk.yaml").write_bytes("标题: 退货".encode("gbk"))
    refused = await pushed(folder)
    assert refused.exit_code == 1
    assert "gbk.yaml:1:1  error  not-utf8" in refused.stderr


def test_what_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ValidationProblem, match=r"nothing\.yaml cannot be read: there is no such file"):
        run(app, "push", str(folder), str(folder / "nothing.yaml"))
    (folder / "empty").mkdir()
    with pytest.raises(ValidationProblem, match="no YAML files"):
        run(app, "push", str(folder / "empty"))


def test_without_a_running_tandem_it_says_how_to_get_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TANDEM_TEMPORAL_ADDRESS")
    with pytest.raises(ConfigurationProblem, match="make run"):
        run(app, "push", str(folder))
