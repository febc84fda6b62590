"""`tandem customer silence|silenced|lift`: what a customer is not to be spoken to about."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from commands.customers import AsJson, CustomerId
from commands.database import LARGEST_NUMBER, command_line_actor, say, with_database
from commands.listing import show_rows
from commands.profiles import customer
from domain.events import rfc3339
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.suppressions import Silenced, SuppressionService
from storage.engine import Database
from storage.suppressions import Article

__all__ = ["customer"]

Why = Annotated[str, typer.Option("--reason", help="原因，写入审计 / why; kept in the audit log")]


@customer.command("silence")
def silence(
    customer_id: CustomerId,
    reason: Why,
    article: Annotated[
        str | None,
        typer.Option("--article", help="只针对一件商品，如 youzan/flagship/2019 / one article only"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", help="到何时（本地时间）；省略则直到解除 / until when (local time); else until lifted"),
    ] = None,
) -> None:
    """不再向客户营销，等待中的旅程随即结束 / no marketing to a customer; journeys that wait end at once."""

    async def work(database: Database, settings: Settings) -> None:
        end = until.astimezone() if until is not None else None
        found = await SuppressionService(database).silence(
            command_line_actor(), customer_id, reason, article=_article(article), until=end
        )
        say(settings, Text("已停止触达", "left alone from now on"), err=True)
        _show(found, as_json=False)

    with_database(work)


@customer.command("silenced")
def silenced(customer_id: CustomerId, as_json: AsJson = False) -> None:
    """当前生效的停止触达 / what a customer is left alone about."""

    async def work(database: Database, _: Settings) -> None:
        _show(await SuppressionService(database).of_customer(command_line_actor(), customer_id), as_json=as_json)

    with_database(work)


@customer.command("lift")
def lift(
    customer_id: CustomerId,
    suppression: Annotated[
        int, typer.Argument(help="编号，见 silenced / its number, see silenced", min=1, max=LARGEST_NUMBER)
    ],
    reason: Why,
) -> None:
    """解除人工设置的停止触达 / speak to a customer again."""

    async def work(database: Database, settings: Settings) -> None:
        found = await SuppressionService(database).lift(command_line_actor(), customer_id, suppression, reason)
        say(settings, Text("已恢复触达", "may be spoken to again"), err=True)
        _show(found, as_json=False)

    with_database(work)


def _article(text: str | None) -> Article | None:
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise ValidationProblem(
            Text("--article 应写成 平台/店铺/商品编号", "Write --article as platform/account/item"), article=text
        )
    return Article(f"{parts[0]}/{parts[1]}", parts[2])


def _show(found: list[Silenced], *, as_json: bool) -> None:
    rows = [
        {**asdict(each), "until": each.until and rfc3339(each.until), "made_at": rfc3339(each.made_at)}
        for each in found
    ]
    show_rows(rows, as_json=as_json)
