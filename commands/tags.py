"""`tandem tag …`: what a customer carries and why, decisions about it, and what a rule would change.

The commands work on the database itself; each decision is audited under the account of the machine.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from commands.yaml_files import read_file
from domain.dsl.findings import Finding
from domain.dsl.source import decode_source
from domain.money import HOME_CURRENCY, major_from_minor
from domain.problems import Text, ValidationProblem
from domain.tags.facts import FACTS, field_of
from domain.tags.views import Explanation, GradePreview, RuleReason, RuleState, TagsOfCustomer
from runtime.settings import Settings
from services.customer_tags import CustomerTagService, Decision
from services.definitions import DefinitionService
from services.grade_previews import GradePreviews
from services.tag_trials import TagTrials, TriedKind
from storage.crowds import MOST_RECORDS
from storage.customer_tags import MOST_COUNTED
from storage.engine import Database

tag = typer.Typer(help="标签 / tags", no_args_is_help=True)

Customer = Annotated[UUID, typer.Argument(help="客户编号 / the customer's id")]
Name = Annotated[str, typer.Argument(help="标签 / the tag")]
Reason = Annotated[str, typer.Option("--reason", help="原因，写入审计 / the reason, audited")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@tag.command("list")
def list_tags(
    customer: Annotated[
        UUID | None, typer.Argument(help="客户编号；省略则列出规则 / a customer; else the rules")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """列出客户的标签，或生效的规则 / list a customer's tags, or the rules in force."""

    async def work(database: Database, _: Settings) -> None:
        tags = CustomerTagService(database)
        if customer is not None:
            _show_tags(await tags.of_customer(command_line_actor(), customer), as_json=as_json)
            return
        rules = await tags.rules(command_line_actor())
        if as_json:
            show_rows([asdict(each) for each in rules], as_json=True)
            return
        show_rows([_rule_row(each) for each in rules], as_json=False)

    with_database(work)


@tag.command("why")
def explain_tag(customer: Customer, name: Name, as_json: AsJson = False) -> None:
    """说明客户为何有或没有这个标签 / say why a customer carries a tag, or does not."""

    async def work(database: Database, _: Settings) -> None:
        found = await CustomerTagService(database).explain(command_line_actor(), customer, name)
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str))
            return
        _show_explanation(found)

    with_database(work)


@tag.command("preview")
def preview_rule(
    file: Annotated[Path, typer.Argument(help="一条规则的 YAML 文件 / a YAML file with one rule")],
    share: Annotated[
        float | None,
        typer.Option(
            "--share", min=0, max=100, help="只看这个比例的客户（仅规则）/ for this share of customers only (rules)"
        ),
    ] = None,
    grading: Annotated[bool, typer.Option("--grading", help="是分级 / it is a grading")] = False,
    as_json: AsJson = False,
) -> None:
    """发布前看规则或分级会改变什么；不写入 / see what a rule or grading would change; nothing is written."""
    if grading and share is not None:
        raise ValidationProblem(
            Text(
                "分级预览总是看全部客户：请去掉 --share；放量用 tandem tag release --grading",
                "A preview of a grading is for all customers: leave --share out; "
                "`tandem tag release --grading` gives it to a share",
            )
        )
    text = decode_source(read_file(file))
    if isinstance(text, Finding):
        raise ValidationProblem(text.message, file=str(file))

    async def work(database: Database, _: Settings) -> None:
        if grading:
            _show_moves(
                await GradePreviews(database).preview(command_line_actor(), text, budget_s=600), as_json=as_json
            )
            return
        tags = CustomerTagService(database)
        found = await tags.preview(
            command_line_actor(), text, share_percent=100 if share is None else share, budget_s=600
        )
        row = asdict(found)
        if as_json:
            typer.echo(json.dumps(row, ensure_ascii=False, indent=2, default=str))
            return
        for name in ("gained_samples", "lost_samples"):
            row[name] = ", ".join(map(str, row[name])) or None
        show_rows([{"": name, "value": value} for name, value in row.items()], as_json=False)

    with_database(work)


@tag.command("release")
def release_version(
    name: Annotated[str, typer.Argument(help="规则或分级的名称 / of the rule or grading")],
    version: Annotated[str, typer.Argument(help="已上传的版本 / an uploaded version")],
    share: Annotated[
        float,
        typer.Option(
            "--share",
            min=0,
            max=100,
            help="客户的百分比；0 撤回，100 发布 / percent of the customers; 0 takes it back, 100 publishes it",
        ),
    ],
    grading: Annotated[bool, typer.Option("--grading", help="是分级 / it is a grading")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="原因，写入审计 / the reason, audited")] = None,
) -> None:
    """让一部分客户先用一个版本 / let a share of the customers have a version first."""

    async def work(database: Database, settings: Settings) -> None:
        four_eyes = settings.four_eyes_publish
        trials = TagTrials(database, DefinitionService(database, four_eyes=four_eyes), four_eyes=four_eyes)
        kind: TriedKind = "grading" if grading else "tag-rule"
        found = await trials.release(command_line_actor(), kind, name, version, share, reason)
        say(settings, Text(f"{found.label}：{share:g}% 的客户", f"{found.label}: {share:g} % of the customers"))

    with_database(work)


def _decide(customer: UUID, name: str, decision: Decision, reason: str) -> None:
    async def work(database: Database, settings: Settings) -> None:
        found = await CustomerTagService(database).decide(command_line_actor(), customer, name, decision, reason)
        carried = ", ".join(dict.fromkeys(each.tag for each in found.carried))
        if carried:
            say(settings, Text(f"现有标签：{carried}", f"tags now: {carried}"))
        else:
            say(settings, Text("该客户现在没有标签", "the customer carries no tag now"))

    with_database(work)


@tag.command("add")
def add_tag(customer: Customer, name: Name, reason: Reason) -> None:
    """手工加标签 / give a tag by hand."""
    _decide(customer, name, "add", reason)


@tag.command("remove")
def remove_tag(customer: Customer, name: Name, reason: Reason) -> None:
    """撤销手工标签 / take back a tag that was given by hand."""
    _decide(customer, name, "remove", reason)


@tag.command("exclude")
def exclude_tag(
    customer: Customer,
    name: Name,
    reason: Reason,
    undo: Annotated[bool, typer.Option("--undo", help="取消排除 / let rules give it again")] = False,
) -> None:
    """不让任何规则给这位客户这个标签 / keep every rule from giving a customer a tag."""
    _decide(customer, name, "include" if undo else "exclude", reason)


def _show_tags(found: TagsOfCustomer, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str))
        return
    rows = [
        {
            "tag": each.tag,
            "source": f"{each.rule} {each.version}" if each.rule else f"{each.source} {each.actor}",
            "since": each.since.isoformat(timespec="seconds"),
            "why": _in_words(each.why) or each.reason,
        }
        for each in found.carried
    ]
    rows += [
        {
            "tag": f"✗ {mark.tag}",
            "source": f"{mark.source} {mark.actor}",
            "since": mark.marked_at.isoformat(timespec="seconds"),
            "why": mark.reason,
        }
        for mark in found.excluded
    ]
    rows += [
        {
            "tag": each.grade or "-",
            "source": f"{each.grading} {each.version}",
            "since": each.since.isoformat(timespec="seconds"),
            "why": ", ".join(f"{step['name']} {step['points'] or ''}".strip() for step in each.why),
        }
        for each in found.grades
    ]
    show_rows(rows, as_json=False)
    if found.too_many_records:
        typer.echo(
            f"记录超过 {MOST_RECORDS:,} 条，不像是一个人：规则和分级不再计算，保留上次的结果"
            f" / more than {MOST_RECORDS:,} records, as no person has: rules and gradings do not look any more, "
            "what they said last stays"
        )


def _show_moves(found: GradePreview, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    typer.echo(f"{found.grading} {found.version}: {found.examined} / {found.customers}")
    rows = [{"from": each.was or "-", "to": each.grade or "-", "customers": each.customers} for each in found.moves]
    show_rows(rows, as_json=False)


def _rule_row(rule: RuleState) -> dict[str, Any]:
    holders = f"≥{rule.holders}" if rule.holders == MOST_COUNTED else rule.holders
    return {
        "tag": rule.tag,
        "customers": holders,
        "rule": f"{rule.rule} {rule.version}",
        "tried out": f"{rule.candidate} {rule.share_percent:g}%" if rule.candidate else None,
        "group": rule.group,
        "title": rule.title,
        "state": ("✓" if rule.complete else f"… {rule.customers}") if rule.active else "✗",
    }


def _show_explanation(found: Explanation) -> None:
    rows: list[dict[str, Any]] = [
        {
            "rule": f"{each.rule} {each.version}".strip(),
            "decides": _deciding(each),
            "held": "✓" if each.held else "✗",
            "since": each.since.isoformat(timespec="seconds") if each.since else None,
            "then": _in_words(each.why),
            "now": _in_words(each.now),
            "next check": each.next_check_at.isoformat(timespec="seconds") if each.next_check_at else None,
        }
        for each in found.rules
    ]
    show_rows(rows, as_json=False)
    for grade in found.grades:
        since = grade.since.isoformat(timespec="seconds") if grade.since else "-"
        points = f" = {grade.score}" if any(step.points for step in grade.steps) else ""
        typer.echo(f"{grade.title} {grade.grading} {grade.version}: {grade.grade or '-'}{points}  {since}")
        steps = [
            {
                "": "✓" if each.met else "✗",
                "step": each.name,
                "points": each.points or None,
                "now": _in_words(each.seen),
            }
            for each in grade.steps
        ]
        show_rows(steps, as_json=False)
    for mark in found.marks:
        typer.echo(
            f"{mark.kind} {mark.source} {mark.actor} {mark.marked_at.isoformat(timespec='seconds')} {mark.reason}"
        )


def _deciding(reason: RuleReason) -> str:
    """The version that counts for the customer now, and whether another is being tried out."""
    share = "" if reason.share_percent is None else f" ({reason.share_percent:g}%)"
    return f"{reason.decides or '-'}{share}"


def _in_words(seen: Sequence[dict[str, Any]]) -> str:
    """`orders.count=3 ✓, refunds.sum(amount)=¥0.00 ✗`."""
    return ", ".join(
        f"{each['fact']}.{each['measure']}{'(' + each['of'] + ')' if each['of'] else ''}={_value(each)}"
        f" {'✓' if each['met'] else '✗'}"
        for each in seen
    )


def _value(seen: dict[str, Any]) -> Any:
    """An amount in the major units of its currency; another value as it is."""
    value, fact = seen["value"], FACTS.get(seen["fact"])
    known = field_of(fact, seen["of"]) if fact is not None and seen["measure"] == "sum" else None
    if known is None or known.type != "money" or not isinstance(value, int):
        return value
    currency = seen.get("currency", HOME_CURRENCY)
    return ("¥" if currency == HOME_CURRENCY else f"{currency} ") + major_from_minor(value, currency)
