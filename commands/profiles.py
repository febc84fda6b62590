"""`tandem customer show|find|export|erase`: a customer from all sides, and the rights of the person behind it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from commands.customers import AsJson, CustomerId, customer
from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from domain.catalog import CATALOG
from domain.events import rfc3339
from domain.money import major_from_minor
from domain.problems import Problem, Text, ValidationProblem
from runtime.connections import connect_temporal
from runtime.settings import Settings
from services.customer_search import CustomerSearch, Wanted
from services.erasure import ErasureService
from services.export import ExportService
from services.orchestrator import Orchestrator, error_of
from services.profiles import Entry, Profile, ProfileService
from services.tag_book import StoredTags
from storage.engine import Database

__all__ = ["customer"]

Why = Annotated[str, typer.Option("--reason", help="原因，写入审计 / why; kept in the audit log")]


@customer.command("show")
def show(customer_id: CustomerId, as_json: AsJson = False) -> None:
    """客户全貌，已打码 / a customer from all sides, masked."""

    async def work(database: Database, settings: Settings) -> None:
        found = await ProfileService(database, CATALOG.masking(), StoredTags()).show(command_line_actor(), customer_id)
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str))
            return
        say(settings, Text(f"客户 {found.customer}", f"customer {found.customer}"))
        _tell(found)

    with_database(work)


def _tell(found: Profile) -> None:
    """The tables of a profile; what is empty is left out."""
    entries = [
        entry
        for some in (found.orders, found.refunds, found.parcels, found.chats, found.contacts, found.coupons)
        for entry in some
    ]
    entries += [*found.activities, *found.runs, *found.tasks, *found.touches]
    tables: list[list[dict[str, Any]]] = [
        [{"key": key.kind, "scope": key.scope, "value": key.value} for key in found.identities],
        [
            {
                "platform": total.platform,
                "orders": total.orders,
                "paid": major_from_minor(total.paid_minor, total.currency),
                "refunded": major_from_minor(total.refunded_minor, total.currency),
                "currency": total.currency,
                "last": rfc3339(total.last_order_at) if total.last_order_at else None,
            }
            for total in found.totals
        ],
        [{"tag": each.tag, "since": rfc3339(each.since)} for each in found.tags]
        + [{"tag": f"{each.grade} ({each.grading})", "since": rfc3339(each.since)} for each in found.grades],
        [
            {
                "category": each.category,
                "purchases": each.purchases,
                "last": rfc3339(each.last_at),
                "days": each.interval_days,
                "own": each.own,
                "due": rfc3339(each.due_at) if each.due_at else None,
            }
            for each in found.rhythms
        ],
        [
            {
                "left alone about": "/".join(filter(None, (each.platform, each.account, each.item_id))) or "*",
                "because of": each.note or each.reason,
                "until": rfc3339(each.until) if each.until else None,
                "by": each.made_by,
            }
            for each in found.suppressions
        ],
        [
            {
                "consent": each.state,
                "to": each.purpose,
                "by": each.channel or "*",
                "source": each.source,
                "at": rfc3339(each.at),
            }
            for each in found.consents
            if each.in_force
        ],
        [
            {"at": rfc3339(entry.at), "what": entry.kind, "account": entry.account_id, "number": _number(entry)}
            for entry in sorted(entries, key=lambda each: each.at, reverse=True)
        ],
    ]
    for rows in filter(None, tables):
        typer.echo()
        show_rows(rows, as_json=False)


def _number(entry: Entry) -> Any:
    """What people know a record by."""
    names = {"order": "order_id", "refund": "refund_id", "parcel": "waybill"}
    return entry.data.get(names.get(entry.kind, ""), entry.key)


@customer.command("find")
def find(
    phone: Annotated[str | None, typer.Option("--phone", help="完整手机号 / a whole phone number")] = None,
    order: Annotated[str | None, typer.Option("--order", help="订单号 / an order number")] = None,
    nickname: Annotated[str | None, typer.Option("--nickname", help="完整昵称 / a whole nickname")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="标签 / a tag")] = None,
    key: Annotated[str | None, typer.Option("--key", help="平台标识 / a platform's id of the person")] = None,
    as_json: AsJson = False,
) -> None:
    """查找客户 / find customers."""

    async def work(database: Database, _: Settings) -> None:
        search, actor = CustomerSearch(database, StoredTags()), command_line_actor()
        wanted = Wanted(phone, order, nickname, tag, key)
        found = await all_pages(lambda page: search.find(actor, wanted, page))
        show_rows(
            [
                {
                    "customer": str(each.customer),
                    "identities": [f"{identity.kind} {identity.value}" for identity in each.identities],
                }
                for each in found
            ],
            as_json=as_json,
        )

    with_database(work)


@customer.command("export")
def export(
    customer_id: CustomerId,
    reason: Why,
    file: Annotated[Path | None, typer.Option("--file", help="写入文件 / write to a file")] = None,
) -> None:
    """导出该客户的全部数据，明文，每行一个 JSON / everything about a customer, in clear, one JSON value a line."""

    async def work(database: Database, settings: Settings) -> None:
        exports = ExportService(database, Orchestrator(await connect_temporal(settings, database)))
        found = await exports.export(command_line_actor(), customer_id, reason)
        last = b"{}"
        with _opened(file) as out:
            async for last in found.lines:
                out.write(last)
        if problem := json.loads(last).get("problem"):
            raise error_of(Problem.model_validate(problem))
        if file is not None:
            say(settings, Text(f"已写入 {file}", f"written to {file}"), err=True)

    with_database(work)


@contextmanager
def _opened(file: Path | None) -> Iterator[BinaryIO]:
    """Where lines go: the output, or a file for the eyes of this account only, whoever could read it before."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    try:
        file.touch(mode=0o600)
        file.chmod(0o600)
        with file.open("wb") as out:
            yield out
    except OSError as failure:
        raise ValidationProblem(
            Text(f"无法写入 {file}：{failure.strerror}", f"{file} cannot be written: {failure.strerror}")
        ) from None


@customer.command("erase")
def erase(
    customer_id: CustomerId,
    reason: Annotated[str, typer.Option("--reason", help="原因；不给则只看进度 / why; without it: how far it is")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 / do not ask")] = False,
) -> None:
    """删除该客户的个人信息，不可撤销 / erase a customer's personal data; it cannot be taken back."""

    async def work(database: Database, settings: Settings) -> None:
        service, actor = ErasureService(database), command_line_actor()
        if reason:
            found = await service.erase(actor, customer_id, reason)
        else:
            found = await service.show(actor, customer_id)
        row = {
            "customer": str(found.customer),
            "state": found.state,
            "step": found.step,
            "since": rfc3339(found.requested_at),
            **({"problem": found.problem} if found.problem else {}),
        }
        show_rows([row | dict(found.changed)], as_json=False)
        if found.unreadable:
            rows = ", ".join(f"{name} {count}" for name, count in found.unreadable.items())
            say(
                settings,
                Text(
                    f"有记录已损坏、无法解密，其中可能仍含该客户的信息：{rows}。日志列有其编号，请删除这些记录",
                    f"Rows are damaged and cannot be decrypted, so that they may still name this customer: {rows}. "
                    "The log tells their keys; delete these rows",
                ),
            )

    if reason and not yes:
        typer.confirm("不可撤销，确定删除？/ This cannot be taken back. Erase?", abort=True)
    with_database(work)
