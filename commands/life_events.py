"""`tandem customer life`: a stage of life that staff heard of."""

from datetime import datetime
from typing import Annotated

import typer

from commands.consents import customer
from commands.customers import CustomerId
from commands.database import command_line_actor, say, with_database
from domain.problems import Text
from runtime.settings import Settings
from services.life_events import LifeEventService
from storage.engine import Database

__all__ = ["customer"]


@customer.command("life")
def life(
    customer_id: CustomerId,
    name: Annotated[str, typer.Argument(help="如 pregnancy、birthday、new_pet / such as these")],
    account: Annotated[str, typer.Option("--account", help="在哪个账号得知，如 wecom/main / where it was heard of")],
    due: Annotated[
        datetime | None,
        typer.Option("--due", formats=["%Y-%m-%d"], help="相关日期，如预产期 / the day it is about"),
    ] = None,
) -> None:
    """登记人生阶段，标签随即更新；再登记一次即更正 / note a stage of life; tags follow, noting it again corrects it."""

    async def work(database: Database, settings: Settings) -> None:
        day = due.date() if due is not None else None
        await LifeEventService(database).note(command_line_actor(), customer_id, account, name, day)
        say(settings, Text("已登记", "written down"), err=True)

    with_database(work)
