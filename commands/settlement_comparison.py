"""`tandem settle compare`: a what-if beside the real settlement."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text
from runtime.settings import Settings
from services.calculation_comparisons import LARGEST_SHOWN, MOST_SHOWN, CalculationComparer, Comparison
from storage.engine import Database


def compare_calculations(
    calculation: Annotated[UUID, typer.Argument(help="核算（或结算）的编号 / a calculation's or settlement's id")],
    beside: Annotated[
        UUID | None,
        typer.Argument(help="与哪次比较；不写则为它所用的输入，否则为最近记账的 / with which one; else the real one"),
    ] = None,
    largest: Annotated[
        int, typer.Option("--largest", min=0, max=MOST_SHOWN, help="列出变化最大的几位 / how many payees are named")
    ] = LARGEST_SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """假设与实际并列：各项、合计、多得与少得的人 / what-if beside the real one, by component and payee."""

    async def work(database: Database, settings: Settings) -> None:
        found = await CalculationComparer(database).compare(
            command_line_actor(Role.FINANCE), calculation, beside, largest
        )
        if as_json:
            typer.echo(json.dumps(comparison_as_json(found), ensure_ascii=False, indent=2))
        else:
            show_comparison(found, settings)

    with_database(work)


def show_comparison(found: Comparison, settings: Settings) -> None:
    """Print what changes, in yuan or whatever the currency is."""
    before, now = found.before, found.now
    was, is_now = before.total_minor or 0, now.total_minor or 0
    change = f"{_major(was, found)} → {_major(is_now, found)} ({_signed(is_now - was, found)}) {found.currency}"
    zh = f"{before.purpose} {before.version}（{before.id}）→ {now.purpose} {now.version}：{change}"
    en = f"{before.purpose} {before.version} ({before.id}) → {now.purpose} {now.version}: {change}"
    more, less = _signed(found.gained_minor, found), _signed(-found.lost_minor, found)
    zh += f"\n多得 {found.gaining} 位 {more}，少得 {found.losing} 位 {less}，不变 {found.unchanged} 位"
    en += f"\n{found.gaining} get more {more}, {found.losing} less {less}, {found.unchanged} the same"
    say(settings, Text(zh, en))
    for remark in found.remarks:
        say(settings, remark, err=True)
    rows = [
        {
            "component": each.component,
            "title": each.title,
            "payees": f"{each.before_payees} → {each.now_payees}",
            "before": _major(each.before_minor, found),
            "now": _major(each.now_minor, found),
            "change": _signed(each.now_minor - each.before_minor, found),
        }
        for each in found.components
    ]
    show_rows(rows, as_json=False)
    payees = [
        {
            "payee": each.payee,
            "before": _major(each.before_minor, found),
            "now": _major(each.now_minor, found),
            "change": _signed(each.now_minor - each.before_minor, found),
        }
        for each in found.largest
    ]
    show_rows(payees, as_json=False)


def comparison_as_json(found: Comparison) -> Mapping[str, Any]:
    """In minor units."""
    told = {
        name: {
            "id": str(row.id),
            "version": row.version,
            "purpose": row.purpose,
            "digest": row.digest,
            "total_minor": row.total_minor,
        }
        for name, row in (("before", found.before), ("now", found.now))
    }
    rest = {
        name: getattr(found, name)
        for name in ("currency", "same_input", "gaining", "gained_minor", "losing", "lost_minor", "unchanged")
    }
    return {
        **told,
        **rest,
        "components": [asdict(each) for each in found.components],
        "largest": [asdict(each) for each in found.largest],
        "remarks": [each.as_dict() for each in found.remarks],
    }


def _major(amount: int, found: Comparison) -> str:
    return str(major_from_minor(amount, found.currency))


def _signed(amount: int, found: Comparison) -> str:
    return f"{'+' if amount > 0 else ''}{_major(amount, found)}"
