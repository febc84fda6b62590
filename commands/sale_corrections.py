"""`tandem settle correct|corrections|approve-correction|fact`: whose an order should be, and what payees did."""

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from pydantic import ValidationError

from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from commands.settlement_calculations import AsJson
from domain.access import Role
from domain.problems import Text, ValidationProblem
from domain.settlement.exact import WEIGHT
from domain.settlement.payees import NewFact
from domain.validation_texts import reasons
from runtime.settings import Settings
from services.payees import PayeeRegister
from services.sale_corrections import Correction, Part, SaleCorrectionService
from storage.engine import Database


def correct_sale(
    account: Annotated[str, typer.Argument(help="平台/账号，如 youzan/flagship / platform/account")],
    order_id: Annotated[str, typer.Argument(help="订单号 / its number")],
    role: Annotated[str, typer.Argument(help="哪种角色，如 promoter / in which role")],
    reason: Annotated[str, typer.Option("--reason", help="为什么 / why")],
    shares: Annotated[
        list[str] | None,
        typer.Option(
            "--share", metavar="PAYEE=PERCENT", help="归谁、多少，可重复；不写则不归任何人 / whose; else nobody's"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """申请更正一单归谁，由另一人复核 / ask that an order be somebody else's; a second person decides."""
    parts = [_part(each) for each in shares or ()]

    async def work(database: Database, settings: Settings) -> None:
        actor, name = command_line_actor(Role.FINANCE), (account, order_id)
        found = await SaleCorrectionService(database).ask(actor, name, role, parts, reason)
        _show(found, settings, as_json=as_json)

    with_database(work)


def list_corrections(
    state: Annotated[
        Literal["asked", "approved", "refused"] | None, typer.Option("--state", help="只看一种状态 / of one state only")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """归属更正，最早的在前 / corrections of whose an order is, the oldest first."""

    async def work(database: Database, _: Settings) -> None:
        service, actor = SaleCorrectionService(database), command_line_actor(Role.FINANCE)
        found = await all_pages(lambda page: service.list(actor, page, state=state))
        show_rows([_row(each) for each in found], as_json=as_json)

    with_database(work)


def approve_correction(
    correction: Annotated[UUID, typer.Argument(help="更正的编号 / a correction's id")],
    note: Annotated[str | None, typer.Option("--note", help="意见 / what to note")] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help="拒绝，归属不变 / refuse it")] = False,
    as_json: AsJson = False,
) -> None:
    """同意（或拒绝）一条更正，不能是申请的人 / approve or refuse a correction; never who asked for it."""

    async def work(database: Database, settings: Settings) -> None:
        service, actor = SaleCorrectionService(database), command_line_actor(Role.APPROVER)
        _show(await service.decide(actor, correction, approve=not refuse, note=note), settings, as_json=as_json)

    with_database(work)


def note_fact(
    payee: Annotated[str, typer.Argument(help="收款人编号 / a payee's code")],
    name: Annotated[str, typer.Argument(help="visits、reviews、bookings，或考核分的名称 / or a score's name")],
    day: Annotated[datetime, typer.Argument(help="哪一天（上海）/ the Shanghai day", formats=["%Y-%m-%d"])],
    amount: Annotated[
        int, typer.Argument(help="次数（可为负以冲减）或分数 / a count, below nothing to undo, or a score")
    ],
    key: Annotated[
        str | None, typer.Option("--key", help="同名同 key 只记一次；不写则为编号/日期 / noted once; else code/day")
    ] = None,
) -> None:
    """记录到店、评价、预约或考核分 / note visits, reviews, bookings or a score."""
    named = key or f"{payee}/{day.date()}"
    try:
        fact = NewFact(code=payee, name=name, day=day.date(), amount=amount, key=named)
    except ValidationError as error:
        why = reasons(error)
        raise ValidationProblem(Text(f"不正确：{why.zh}", f"Wrong: {why.en}")) from None

    async def work(database: Database, settings: Settings) -> bool:
        new = await PayeeRegister(database).note_facts(command_line_actor(Role.FINANCE), [fact])
        if new:
            say(settings, Text(f"已记录 {name} {amount}（key {named}）", f"noted: {name} {amount} (key {named})"))
        else:
            zh = f"{name} 的 key {named} 早已记过，这次没有记；另记一次请换 --key"
            say(settings, Text(zh, f"{name} was noted under the key {named} before: give another --key"), err=True)
        return bool(new)

    if not with_database(work):
        raise typer.Exit(1)


def _part(given: str) -> Part:
    """A payee's part, all of it where no percentage is given."""
    code, _, percent = given.rpartition("=") if "=" in given else (given, "", "100%")
    try:
        share = Decimal(percent.removesuffix("%")) * WEIGHT / 100
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or share != share.to_integral_value():
        raise ValidationProblem(
            Text(f"--share 应如 P-0137=60%，至多两位小数，而不是 {given}", f"--share is like P-0137=60%, not {given}")
        )
    return Part(code, int(share))


def _row(each: Correction) -> dict[str, Any]:
    return {
        "id": str(each.id),
        "account": each.account,
        "order_id": each.order_id,
        "role": each.role,
        "shares": [f"{part.payee}={part.share / 100:g}%" for part in each.shares],
        "state": each.state,
        "asked_by": each.asked_by,
        "decided_by": each.decided_by,
        "reason": each.reason,
    }


def _show(found: Correction, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        shown = {**asdict(found), "counted_for": found.counted_for}
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2, default=str))
        return
    show_rows([_row(found)], as_json=False)
    if found.counted_for is not None:
        zh = f"份额只拆分金额；件数与成交单数不拆，都计给 {found.counted_for}"
        en = f"Shares split sums alone: pieces and the deal all count for {found.counted_for}"
        say(settings, Text(zh, en), err=True)
