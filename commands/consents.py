"""`tandem customer consents|consent`: what a customer agreed to hear about and took back."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from commands.customers import AsJson, CustomerId
from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from commands.suppressions import customer
from domain.canonical.consents import Channel, ConsentState, Purpose
from domain.events import rfc3339
from domain.problems import Text
from runtime.settings import Settings
from services.consents import Consent, ConsentService
from storage.engine import Database

__all__ = ["customer"]


@customer.command("consents")
def consents(customer_id: CustomerId, as_json: AsJson = False) -> None:
    """同意与撤回的全部记录 / everything a customer agreed to or took back."""

    async def work(database: Database, _: Settings) -> None:
        _show(await ConsentService(database).of_customer(command_line_actor(), customer_id), as_json=as_json)

    with_database(work)


@customer.command("consent")
def consent(
    customer_id: CustomerId,
    state: Annotated[ConsentState, typer.Argument(help="given 同意，withdrawn 撤回 / given or withdrawn")],
    source: Annotated[
        str, typer.Option("--source", help="如何表示的，可供日后举证 / how they said so, as it can be proved later")
    ],
    purpose: Annotated[Purpose, typer.Option("--purpose", help="用途 / what for")] = "marketing",
    channel: Annotated[Channel | None, typer.Option("--channel", help="渠道；省略则全部 / else every one")] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", help="何时表示（本地时间）；省略则现在 / when (local time); else now")
    ] = None,
) -> None:
    """登记客户的同意或撤回 / write down a consent, or that it is taken back."""

    async def work(database: Database, settings: Settings) -> None:
        moment = at.astimezone() if at is not None else None
        found = await ConsentService(database).record(
            command_line_actor(), customer_id, state, source, purpose=purpose, channel=channel, at=moment
        )
        say(settings, Text("已登记", "written down"), err=True)
        _show(found, as_json=False)

    with_database(work)


def _show(found: list[Consent], *, as_json: bool) -> None:
    rows = [{**asdict(each), "at": rfc3339(each.at), "recorded_at": rfc3339(each.recorded_at)} for each in found]
    show_rows(rows, as_json=as_json)
