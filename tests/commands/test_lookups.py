"""`tandem lookup …` as a person runs it."""

import asyncio
import json

import pytest
import typer

from commands.lookups import lookup
from domain.problems import ValidationProblem
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import printed, run
from tests.services.test_failed_lookups import three_failures

app = typer.Typer()
app.add_typer(lookup, name="lookup")


pytestmark = pytest.mark.usefixtures("environment")


def tandem(*arguments: str) -> str:
    return printed(app, "lookup", *arguments).strip()


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
    assert "0" in tandem("retry", str(10**18))
    assert [run(app, "lookup", "retry", number).exit_code for number in ("0", str(2**63))] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("retry",), "one condition"),
        (("list", "--state", "dead"), "given_up or retrying"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValidationProblem, match=why):
        tandem(*arguments)
