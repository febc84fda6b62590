"""`tandem subscription …`: who gets Tandem's events, how far each is behind, and what was not taken.

The commands work on the database itself; each change is audited under the account of the machine.
"""

import json
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError

from commands.database import LARGEST_NUMBER, command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from connectors.web.guard import HostGuard, WebSettings
from domain.events import rfc3339
from domain.problems import Text, ValidationProblem
from domain.subscriptions import LONGEST_OVERLAP, NewSubscription, Start, Subscription
from domain.validation_texts import reasons
from runtime.settings import Settings
from services.subscriptions import SubscriptionService
from storage.engine import Database
from storage.subscriptions import DeadLetter

subscription = typer.Typer(help="事件订阅 / subscriptions to events", no_args_is_help=True)

Id = Annotated[UUID, typer.Argument(help="订阅编号 / the subscription's id")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
_HOURS = int(LONGEST_OVERLAP.total_seconds()) // 3600


@subscription.command("create")
def create_subscription(
    name: Annotated[str, typer.Argument(help="名称 / what it is for")],
    url: Annotated[str, typer.Option("--url", help="接收地址 / where events go")],
    types: Annotated[
        list[str], typer.Option("--type", help="事件类型，可重复 / an event type, prefix.* or *; repeatable")
    ],
    accounts: Annotated[
        list[str] | None,
        typer.Option("--account", help="只要这些账号的事件，可重复 / only events of this account; repeatable"),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="不打码 / personal data in clear")] = False,
    batched: Annotated[bool, typer.Option("--batched", help="一次多条 / many events in one request")] = False,
    start: Annotated[Start, typer.Option("--start", help="从现在或从最早 / from now on, or all kept")] = Start.NOW,
) -> None:
    """订阅事件；签名密钥只显示这一次 / subscribe to events; the signing secret is shown this once."""
    try:
        wanted = NewSubscription(
            name=name,
            url=url,
            types=tuple(types),
            accounts=tuple(accounts or ()),
            masked=not clear,
            batched=batched,
            start=start,
        )
    except ValidationError as error:
        raise _wrong(error) from None

    async def work(database: Database, settings: Settings) -> None:
        made, secret = await _service(database, settings).create(command_line_actor(), wanted)
        _show_secret(settings, made, secret)

    with_database(work)


@subscription.command("list")
def list_subscriptions(as_json: AsJson = False) -> None:
    """列出订阅 / list subscriptions."""

    async def work(database: Database, settings: Settings) -> None:
        found = await _service(database, settings).list(command_line_actor())
        show_rows([_row(each) for each in found], as_json=as_json)

    with_database(work)


@subscription.command("show")
def show_subscription(subscription_id: Id, as_json: AsJson = False) -> None:
    """查看一个订阅及其积压 / show one, and how far it is behind."""

    async def work(database: Database, settings: Settings) -> None:
        found = await _service(database, settings).show(command_line_actor(), subscription_id)
        lag = found.lag
        row = {
            **_row(found.subscription),
            "behind": lag.events,
            "since": rfc3339(lag.since) if lag.since else None,
            "dead": lag.dead,
        }
        show_rows([row], as_json=as_json)

    with_database(work)


@subscription.command("pause")
def pause_subscription(subscription_id: Id) -> None:
    """暂停投递，事件保留到恢复 / deliver nothing until it is resumed."""

    async def work(database: Database, settings: Settings) -> None:
        await _service(database, settings).pause(command_line_actor(), subscription_id)
        say(settings, Text("已暂停", "paused"))

    with_database(work)


@subscription.command("resume")
def resume_subscription(subscription_id: Id) -> None:
    """从停下处立即继续 / go on at once where it stopped."""

    async def work(database: Database, settings: Settings) -> None:
        await _service(database, settings).resume(command_line_actor(), subscription_id)
        say(settings, Text("已恢复", "resumed"))

    with_database(work)


@subscription.command("remove")
def remove_subscription(subscription_id: Id) -> None:
    """删除订阅，连同游标与死信 / remove it, with its cursor and dead letters."""

    async def work(database: Database, settings: Settings) -> None:
        await _service(database, settings).remove(command_line_actor(), subscription_id)
        say(settings, Text("已删除", "removed"))

    with_database(work)


@subscription.command("rotate-secret")
def rotate_secret(
    subscription_id: Id,
    overlap_hours: Annotated[
        int,
        typer.Option(
            "--overlap-hours", min=0, max=_HOURS, help="新旧密钥同时签名的小时数 / hours in which both secrets sign"
        ),
    ] = 24,
) -> None:
    """更换签名密钥；新密钥只显示这一次 / a new signing secret, shown this once."""

    async def work(database: Database, settings: Settings) -> None:
        overlap = timedelta(hours=overlap_hours)
        changed, secret = await _service(database, settings).rotate(command_line_actor(), subscription_id, overlap)
        _show_secret(settings, changed, secret)

    with_database(work)


@subscription.command("letters")
def list_letters(subscription_id: Id, as_json: AsJson = False) -> None:
    """列出死信 / list events that were not taken."""

    async def work(database: Database, settings: Settings) -> None:
        service, actor = _service(database, settings), command_line_actor()
        found = await all_pages(lambda page: service.dead_letters(actor, subscription_id, page))
        show_rows([_letter(each) for each in found], as_json=as_json)

    with_database(work)


@subscription.command("redrive")
def redrive(
    subscription_id: Id,
    seqs: Annotated[
        list[int] | None, typer.Option("--seq", help="只重投此封，可重复 / only this one", min=1, max=LARGEST_NUMBER)
    ] = None,
) -> None:
    """重投死信，默认全部 / deliver dead letters once more, all by default."""

    async def work(database: Database, settings: Settings) -> None:
        found = await _service(database, settings).redrive(command_line_actor(), subscription_id, seqs or None)
        say(settings, Text(f"将重投 {found} 封", f"{found} will be delivered again"))

    with_database(work)


def _service(database: Database, settings: Settings) -> SubscriptionService:
    guard = HostGuard(WebSettings(settings.http_allowed_hosts, settings.http_allow_private))
    return SubscriptionService(database, guard)


def _show_secret(settings: Settings, made: Subscription, secret: str) -> None:
    """The id and the secret, and nothing else, on the standard output."""
    until = made.previous_until
    say(settings, Text("请立即保存密钥，不会再显示：", "keep the secret now, it is not shown again:"), err=True)
    if until is not None:
        note = Text(f"旧密钥同时签名到 {rfc3339(until)}", f"the secret before it signs too until {rfc3339(until)}")
        say(settings, note, err=True)
    typer.echo(json.dumps({"id": str(made.id), "secret": secret}))


def _row(one: Subscription) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "name": one.name,
        "url": one.url,
        "types": list(one.types),
        "accounts": list(one.accounts),
        "masked": one.masked,
        "paused": rfc3339(one.paused_at) if one.paused_at else None,
        "delivered": one.delivered,
        "attempts": one.attempts,
        "problem": one.problem,
    }


def _letter(one: DeadLetter) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "source": one.event.source,
        "id": one.event.id,
        "type": one.event.type,
        "attempts": one.attempts,
        "failed": rfc3339(one.failed_at),
        "reason": one.reason,
        "due again": one.redriven_at is not None,
    }


def _wrong(error: ValidationError) -> ValidationProblem:
    why = reasons(error)
    return ValidationProblem(Text(f"订阅不正确：{why.zh}", f"Wrong subscription: {why.en}"), retryable=False)
