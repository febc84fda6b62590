"""How far a settlement or a batch of payouts is, for the terminal: approvals, parts, and why it failed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import typer

from commands.database import say
from commands.listing import show_rows
from domain.money import major_from_minor
from domain.problems import Text
from runtime.settings import Settings
from services.left_out import told_left_out
from services.run_views import RunView

_SHANGHAI = ZoneInfo("Asia/Shanghai")


class Verdict(Protocol):
    """What somebody said of a settlement or a batch."""

    login: str
    approved: bool
    note: str | None
    decided_at: datetime


def show_run_view(view: RunView, settings: Settings) -> None:
    """A settlement as it stands."""
    run, period = view.run, view.period
    total = f"{major_from_minor(run.total_minor or 0, period.currency)} {period.currency}"
    said = f"{run.scheme} {period.start} – {period.end}: {run.state}, {total}"
    yes = sum(each.approved for each in view.approvals)
    zh = f"{said}；批准 {yes}/{run.approvals_needed or '-'}；记账 {view.transfers} 笔"
    en = f"{said}; approvals {yes}/{run.approvals_needed or '-'}; {view.transfers} transfers"
    say(settings, Text(zh, en))
    done, booked = f"{view.parts_done}/{view.parts}", f"{view.parts_booked}/{view.parts // 2}"
    say(settings, Text(f"已算分片 {done}，已记账分片 {booked}", f"parts computed {done}, parts booked {booked}"))
    show_problem(run.problem, settings)
    for calculation in view.calculations:
        show_problem(calculation.problem, settings)
    show_verdicts(view.approvals, settings)
    if run.waiting:
        zh = f"另有 {run.waiting} 个已关闭的账期有变化，下一次结算再调整"
        en = f"{run.waiting} more closed periods changed: the next settlement adjusts them"
        say(settings, Text(zh, en))
    typer.echo(str(run.id))
    for calculation in view.calculations:
        for each in told_left_out(calculation.left_out or {}):
            days = f"{calculation.start} – {calculation.end}"
            say(settings, Text(f"{days}：{each.zh}", f"{days}: {each.en}"), err=True)
    for remark in view.remarks:
        say(settings, remark, err=True)
    show_rows(_calculations(view), as_json=False)


def show_problem(problem: Mapping[str, Any] | None, settings: Settings) -> None:
    """Why something failed; nothing when it did not."""
    if problem is not None:
        told = problem_text(problem)
        say(settings, Text(f"出错：{told.zh}", f"failed: {told.en}"))


def problem_text(problem: Mapping[str, Any]) -> Text:
    """What a problem document says."""
    message, plain = problem.get("message"), str(problem.get("detail") or problem.get("title") or "?")
    if isinstance(message, Mapping):
        return Text(str(message.get("zh") or plain), str(message.get("en") or plain))
    return Text(plain, plain)


def show_verdicts(verdicts: Sequence[Verdict], settings: Settings) -> None:
    """Who approved or refused, when, and what they noted."""
    for each in verdicts:
        at = f"{each.decided_at.astimezone(_SHANGHAI):%Y-%m-%d %H:%M:%S}"
        zh = f"{each.login} 于 {at} {'批准' if each.approved else '拒绝'}"
        en = f"{'approved' if each.approved else 'refused'} by {each.login} at {at}"
        say(settings, Text(f"{zh}：{each.note}" if each.note else zh, f"{en}: {each.note}" if each.note else en))


def _calculations(view: RunView) -> list[dict[str, str | None]]:
    progress = {each.calculation: each for each in view.progress}
    currency = view.period.currency
    return [
        {
            "calculation": str(each.id),
            "period": str(each.start),
            "purpose": each.purpose,
            "done": f"{progress[each.id].parts_done}/{progress[each.id].parts}",
            "booked": f"{progress[each.id].parts_booked}/{each.parts}",
            "total": None if each.total_minor is None else f"{major_from_minor(each.total_minor, currency)} {currency}",
            "digest": each.digest,
        }
        for each in view.calculations
    ]
