"""The quarantine commands as a person runs them."""

import asyncio
import json
from typing import Any

import pytest
import typer

from commands.quarantine import quarantine
from connectors.loading import load_connectors
from domain.calls import Catalog
from domain.problems import ValidationProblem
from services.inbox import InboxDrained, InboxService
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import printed
from tests.services.test_inbox import a_refund_push

app = typer.Typer()
app.add_typer(quarantine, name="quarantine")


pytestmark = pytest.mark.usefixtures("environment")


def tandem(*arguments: str) -> str:
    return printed(app, "quarantine", *arguments).strip()


def drained(database_url: str, *bad: str) -> InboxDrained:
    """The inbox read once, after refunds with such amounts came."""

    async def work() -> InboxDrained:
        database = Database(database_url, Keyring({"k1": b"1" * 32}))
        inbox = InboxService(database, load_connectors(Catalog()))
        for number, amount in enumerate(bad):
            await inbox.accept("youzan", "shop", a_refund_push(f"R{number}", refunded_fee=amount))
        done = await inbox.drain()
        await database.close()
        return done

    return asyncio.run(work())


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(tandem("list", "--json"))
    return found


def test_from_finding_them_to_an_empty_quarantine(database_url: str) -> None:
    assert drained(database_url, "much", "little", "nothing").quarantined == 3
    (group,) = json.loads(tandem("groups", "--json"))
    assert (group["count"], group["account"]) == (3, "youzan/shop")
    first, second, third = (each["id"] for each in listed())
    assert json.loads(tandem("show", str(first)))["type"] == "trade_refund_BuyerCreated"
    patch = json.dumps({"msg": json.loads(a_refund_push("R0").payload)["msg"]})
    assert "corrected" in tandem("correct", str(first), "--patch", patch, "--reason", "the shop typed a word")
    assert drained(database_url).events == 1
    assert "1" in tandem("retry", str(second))
    assert drained(database_url).quarantined == 1
    assert "2" in tandem("put-away", "--like", "refunded_fee", "--reason", "a test shop")
    assert tandem("list") == ""
    assert third not in [each["id"] for each in listed()]


def test_all_of_a_kind_are_corrected_at_once(database_url: str) -> None:
    assert drained(database_url, "much", "little").quarantined == 2
    patch = json.dumps({"msg": json.loads(a_refund_push("R0").payload)["msg"]})
    said = tandem("correct", "--like", "refunded_fee", "--patch", patch, "--reason", "the shop typed a word")
    assert "corrected: 2" in said
    assert tandem("list") == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("retry",), "one condition"),
        (("put-away", "--reason", "x"), "one condition"),
        (("correct", "1", "--reason", "x"), "either"),
        (("correct", "--patch", "{}", "--reason", "x"), "JSON object"),
        (("correct", "--patch", '{"a": 1}', "--reason", "x"), "one condition"),
        (("correct", "1", "--like", "y", "--patch", '{"a": 1}', "--reason", "x"), "either the number"),
        (("correct", "1", "--reason", "x", "--patch", "{"), "no JSON"),
        (("correct", "1", "--reason", "x", "--patch", "[1]"), "JSON object"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValidationProblem, match=why):
        tandem(*arguments)
