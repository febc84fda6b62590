"""`tandem lookup …` as a person runs it."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from commands.lookups import lookup
from domain.problems import ValidationProblem
from storage.encryption import Keyring
from storage.engine import Database
from tests.services.test_failed_lookups import three_failures

app = typer.Typer()
app.add_typer(lookup, name="lookup")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> None:
    for name in [name for name in os.environ if name.startswith("TANDEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    key = "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
    monkeypatch.setenv("TANDEM_DATABASE_URL", database_url)
    for name in ("FIELD_KEYS", "PAYLOAD_KEYS", "TOKEN_PEPPER"):
        monkeypatch.setenv(f"TANDEM_{name}", key)


def tandem(*arguments: str) -> str:
    """What the command printed; raises what it refused with."""
    result = CliRunner().invoke(app, ["lookup", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_from_the_reason_to_asking_again(database_url: str) -> None:
    async def fail() -> None:
        database = Database(database_url, Keyring({"k1": b"1" * 32}))
        await three_failures(database)
        await database.close()

    asyncio.run(fail())
    refused, busy = json.loads(tandem("list", "--json"))
    assert (refused["state"], busy["state"]) == ("given_up", "retrying")
    assert "user.info" in refused["problem"]
    assert "1" in tandem("retry", "--state", "given_up")
    assert [each["id"] for each in json.loads(tandem("list", "--json"))] == [busy["id"]]
    assert "1" in tandem("retry", str(busy["id"]))
    assert tandem("list") == ""


@pytest.mark.parametrize(
    ("arguments", "why"), [(("retry",), "one condition"), (("list", "--state", "dead"), "given_up or retrying")]
)
def test_what_makes_no_sense_is_refused_with_what_to_do(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValidationProblem, match=why):
        tandem(*arguments)
