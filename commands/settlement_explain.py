"""`tandem settle explain`: why somebody's sum is what it is, down to order lines."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import typer

from commands.complete_explanations import whole_account, whole_earnings
from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from commands.settlement_calculations import AsJson, CycleOption
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.earning_explanations import ExplainedEarning, Line
from services.payee_accounts import ExplainedEntry, PayeeAccount, PayeeAccounts
from services.settlement_views import SettlementViews
from storage.engine import Database


def explain(
    payee: Annotated[str, typer.Argument(help="收款人编号 / a payee's code")],
    period: Annotated[
        str, typer.Argument(help="账期内任一天，或核算的编号 / any day of the period, or a calculation's id")
    ],
    scheme: Annotated[str | None, typer.Option("--scheme", help="只看一个方案 / of one scheme only")] = None,
    cycle: CycleOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="列出全部账目与订单行 / every entry and every order line")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """一位收款人的金额为什么是这样，直到每一行订单 / why a payee's sum is what it is, down to order lines."""
    actor = command_line_actor(Role.FINANCE)

    async def of_calculation(database: Database, settings: Settings) -> None:
        views = SettlementViews(database)
        found = await views.explain(actor, UUID(period), payee)
        earnings = await whole_earnings(views, actor, payee, found.earnings) if everything else found.earnings
        if as_json:
            _print_json({**asdict(found), "earnings": [_earning(each) for each in earnings]})
            return
        total = major_from_minor(found.amount_minor, found.currency)
        say(settings, Text(f"{payee} 合计 {total}", f"{payee}: {total} in all"))
        _show_earnings(earnings, payee, found.currency, settings)

    async def of_period(database: Database, settings: Settings) -> None:
        accounts = PayeeAccounts(database)
        day = _day(period)
        found = (
            await accounts.of_day(actor, day, payee, cycle)
            if scheme is None
            else [await accounts.explain(actor, scheme, day, payee, cycle)]
        )
        if everything:
            found = [await whole_account(database, actor, each) for each in found]
        if as_json:
            _print_json([_account(each) for each in found])
            return
        if not found:
            say(settings, Text(f"{payee} 在该账期没有任何账目", f"{payee} has no entries in that period"))
        for each in found:
            _show_account(each, settings)

    with_database(of_calculation if _is_id(period) else of_period)


def _is_id(told: str) -> bool:
    try:
        UUID(told)
    except ValueError:
        return False
    return True


def _day(told: str) -> date:
    try:
        return date.fromisoformat(told)
    except ValueError:
        raise ValidationProblem(
            Text(
                f"“{told}” 既不是日期（如 2026-11-11）也不是核算的编号",
                f"{told} is neither a day, as 2026-11-11, nor a calculation's id",
            )
        ) from None


def _print_json(told: Any) -> None:
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))


def _show_account(account: PayeeAccount, settings: Settings) -> None:
    opening, closing = (
        major_from_minor(each, account.currency) for each in (account.opening_minor, account.closing_minor)
    )
    head = f"{account.payee} {account.scheme} {account.start} – {account.end}"
    say(settings, Text(f"{head}：期初 {opening}，期末 {closing}", f"{head}: opening {opening}, closing {closing}"))
    for each in account.entries:
        _show_entry(each, account, settings)
    if account.next_cursor is not None:
        shown, count = len(account.entries), account.count
        say(
            settings,
            Text(
                f"共 {count} 笔账目，列出 {shown} 笔；全部请加 --all", f"{shown} of {count} entries; --all lists them"
            ),
            err=True,
        )


def _show_entry(told: ExplainedEntry, account: PayeeAccount, settings: Settings) -> None:
    entry, currency = told.entry, account.currency
    amount = major_from_minor(entry.net_minor or entry.amount_minor, currency)
    of = f" {told.start} – {told.end}" if told.start is not None else ""
    payout = " ".join(told.payout) if told.payout is not None else ""
    typer.echo(f"\n{entry.day}  {entry.kind}{of}  {entry.taken} → {entry.given}  {amount}  {payout}".rstrip())
    for each in told.changes:
        change = f"{major_from_minor(each.before_minor, currency)} → "
        typer.echo(f"  {each.earning.title}: {change}{major_from_minor(each.earning.amount_minor, currency)}")
        _show_earnings([each.earning], account.payee, currency, settings)


def _show_earnings(earnings: Sequence[ExplainedEarning], payee: str, currency: str, settings: Settings) -> None:
    for each in earnings:
        rule = each.rule.zh if settings.locale == "zh" else each.rule.en
        typer.echo(f"\n{each.title}  {rule}")
        typer.echo(f"  {each.base} → {major_from_minor(each.amount_minor, currency)}")
        show_rows([_line(line, payee, currency) for line in each.lines], as_json=False)
        show_rows([asdict(fact) for fact in each.facts], as_json=False)
        show_rows([asdict(one) for one in each.below], as_json=False)
        if each.lines_cursor or each.facts_cursor or each.below_cursor:
            say(settings, Text("还有更多，未列出；全部请加 --all", "There are more: --all lists them"), err=True)


def _line(line: Line, payee: str, currency: str) -> dict[str, Any]:
    """What is worth showing: who sold it where it is somebody else, what it comes to where it is rounded by itself."""
    shown = {"account": line.account, "order_id": line.order_id, "line_id": line.line_id, "counted": line.counted}
    if line.amount_minor is not None:
        shown["amount"] = major_from_minor(line.amount_minor, currency)
    return shown if line.payee == payee else {**shown, "payee": line.payee}


def _earning(each: ExplainedEarning) -> dict[str, Any]:
    return {**asdict(each), "rule": each.rule.as_dict()}


def _account(account: PayeeAccount) -> dict[str, Any]:
    entries = [
        {
            **each.entry._asdict(),
            "start": each.start,
            "end": each.end,
            "calculation": each.calculation,
            "before": each.before,
            "payout": each.payout,
            "changes": [
                {
                    "before_minor": change.before_minor,
                    "change_minor": change.change_minor,
                    "earning": _earning(change.earning),
                }
                for change in each.changes
            ],
        }
        for each in account.entries
    ]
    return {**asdict(account), "entries": entries}
