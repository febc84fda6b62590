"""The customer commands as a person runs them."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from commands.consents import customer
from domain.problems import NotFoundProblem, ValidationProblem
from runtime.embedded.temporal import EmbeddedTemporal
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import printed
from tests.services.test_identities import told

app = typer.Typer()
app.add_typer(customer, name="customer")


pytestmark = pytest.mark.usefixtures("environment")


def tandem(*arguments: str) -> str:
    return printed(app, "customer", *arguments).strip()


def given(database_url: str, *records: str) -> list[str]:
    """The customers of records."""

    async def tell() -> list[str]:
        database = Database(database_url, Keyring({"k1": b"1" * 32}))
        assigned = await told(database, *records)
        await database.close()
        by_id = {number: assigned.customers[key] for key, number in assigned.identities.items()}
        return [str(by_id[number]) for number in assigned.identity_ids if number is not None]

    return asyncio.run(tell())


def why(customer_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tandem("why", customer_id, "--json"))
    return found


def test_merge_split_and_undo(database_url: str) -> None:
    first, second = given(database_url, "U1 J1", "U2")
    merged = tandem("merge", first, second, "--reason", "本人")
    assert [why(each)["customer"] for each in (first, second)] == [first, first]
    text = tandem("why", second)
    assert "order:U1 J1" in text
    assert "decision" in text
    tandem("undo", merged)
    assert why(second)["customer"] == second
    buyer = next(key["id"] for key in why(first)["keys"] if key["kind"] == "buyer")
    tandem("split", first, str(buyer), "--reason", "家人")
    assert [key["kind"] for key in why(first)["keys"]] == ["unionid"]


def test_the_review_list(database_url: str) -> None:
    given(database_url, "J1 D1", "G1 D1")
    (listed,) = json.loads(tandem("review", "--json"))
    assert listed["why"] == "shared_device"
    assert "shared_device" in tandem("review")
    with pytest.raises(ValidationProblem, match="verdict"):
        tandem("review", "--settle", listed["id"], "--reason", "同一人")
    tandem("review", "--settle", listed["id"], "--verdict", "join", "--reason", "同一人")
    assert json.loads(tandem("review", "--json")) == []


def test_show_find_export_and_erase(
    database_url: str, tmp_path: Path, temporal_server: EmbeddedTemporal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_TEMPORAL_ADDRESS", temporal_server.address)
    monkeypatch.setenv("TANDEM_TEMPORAL_NAMESPACE", temporal_server.namespace)
    (found,) = given(database_url, "U1 J1")
    assert json.loads(tandem("show", found, "--json"))["customer"] == found
    assert "unionid" in tandem("show", found)
    assert json.loads(tandem("find", "--key", "unionid//U1", "--json"))[0]["customer"] == found
    assert tandem("find", "--order", "none") == ""
    file = tmp_path / "export.ndjson"
    file.write_text("older")
    file.chmod(0o644)
    tandem("export", found, "--reason", "本人申请", "--file", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {each["data"]["value"] for each in lines if each.get("table") == "identities"} == {"U1", "J1"}
    assert "end" in lines[-1]
    assert tandem("export", found, "--reason", "本人申请").startswith('{"export":')
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(ValidationProblem, match="cannot be written"):
        tandem("export", found, "--reason", "本人申请", "--file", str(tmp_path / "no folder" / "export.json"))
    assert "working" in tandem("erase", found, "--reason", "本人申请", "--yes")
    assert "working" in tandem("erase", found)
    with pytest.raises(NotFoundProblem):
        tandem("show", found)


@pytest.fixture
def in_china(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_customer_is_left_alone_and_spoken_to_again(database_url: str, in_china: None) -> None:
    (customer_id,) = given(database_url, "U1 J1")
    tandem("silence", customer_id, "--reason", "来电要求", "--until", "2035-01-31")
    tandem("silence", customer_id, "--reason", "不喜欢", "--article", "youzan/flagship/2019")
    rows = json.loads(tandem("silenced", customer_id, "--json"))
    assert {(row["item_id"], row["until"]) for row in rows} == {(None, "2035-01-30T16:00:00.000Z"), ("2019", None)}
    assert all(row["made_by"].startswith("system:cli") for row in rows)
    for row in rows:
        tandem("lift", customer_id, str(row["id"]), "--reason", "本人同意")
    assert json.loads(tandem("silenced", customer_id, "--json")) == []
    with pytest.raises(ValidationProblem):
        tandem("silence", customer_id, "--reason", "x", "--article", "2019")


def test_a_consent_is_written_down_and_taken_back(database_url: str) -> None:
    (customer_id,) = given(database_url, "U1 J1")
    tandem("consent", customer_id, "given", "--source", "门店登记表", "--at", "2026-11-01 10:00:00")
    tandem("consent", customer_id, "withdrawn", "--source", "来电", "--channel", "wecom")
    rows = json.loads(tandem("consents", customer_id, "--json"))
    assert [(row["state"], row["channel"], row["source"], row["in_force"]) for row in rows] == [
        ("withdrawn", "wecom", "来电", True),
        ("given", None, "门店登记表", True),
    ]
    with pytest.raises(ValidationProblem):
        tandem("consent", customer_id, "given", "--source", " ")
