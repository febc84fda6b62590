"""When runs start by themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from domain.dsl.durations import parse_duration
from domain.dsl.lint.outline import as_dict
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.enrolments import KEY, read_enrolment
from domain.problems import ProblemError, Text

_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_SHORTEST_S = 10
_NICKNAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}


@rule("cron-with-every", "error")
def cron_with_every(lint: Lint) -> Iterator[Remark]:
    given = [key for key in ("cron", "every", "after") if key in as_dict(lint.outline.data.get("schedule"))]
    if len(given) > 1:
        yield Remark(
            f"/schedule/{given[1]}",
            Text(
                f"schedule 里 {' 和 '.join(given)} 只能写一个：cron 按日历，every 按固定间隔，after 在上次完成之后",
                f"Only one of {' and '.join(given)} may be in a schedule: cron follows the calendar, every a fixed "
                "interval, after the end of the last run",
            ),
            of_key=True,
        )


@rule("bad-cron", "error")
def bad_cron(lint: Lint) -> Iterator[Remark]:
    cron = as_dict(lint.outline.data.get("schedule")).get("cron")
    if not isinstance(cron, str):
        return
    fields = cron.split()
    if cron in _NICKNAMES:
        reason = Text(f"请写成“{_NICKNAMES[cron]}”", f"write “{_NICKNAMES[cron]}”")
    elif len(fields) != 5:
        reason = Text(
            f"应该有 5 段（分 时 日 月 周），现在有 {len(fields)} 段，例如“0 9 * * 1-5”",
            f"it takes five fields (minute hour day month weekday) and has {len(fields)}, such as “0 9 * * 1-5”",
        )
    else:
        try:
            next(CronSim(cron, _ANY_MOMENT))
        except CronSimError as error:
            reason = Text(f"{_cron_words(error).zh}，例如“0 9 * * 1-5”", f"{_cron_words(error).en}")
        except StopIteration:
            reason = Text("永远不会触发（没有这样的日期）", "it never comes: there is no such date")
        else:
            return
    yield Remark("/schedule/cron", Text(f"cron 不正确：{reason.zh}", f"Wrong cron expression: {reason.en}"))


def _cron_words(error: CronSimError) -> Text:
    names = {
        "minute": "分钟（0-59）",
        "hour": "小时（0-23）",
        "day-of-month": "日（1-31）",
        "month": "月（1-12）",
        "day-of-week": "星期（0-7）",
    }
    said = str(error)
    zh = next((name for key, name in names.items() if key in said.lower()), "某一段")
    return Text(f"{zh}超出范围或写法有误", said)


@rule("empty-schedule", "error")
def empty_schedule(lint: Lint) -> Iterator[Remark]:
    schedule = lint.outline.data.get("schedule")
    if isinstance(schedule, dict) and not {"every", "cron", "after", "on"} & schedule.keys():
        yield Remark(
            "/schedule",
            Text(
                "schedule 里要写 every、cron、after、on 之一，否则请删除",
                "A schedule needs one of every, cron, after, on; else remove it",
            ),
            of_key=True,
        )


@rule("schedule-until", "warning")
def schedule_until(lint: Lint) -> Iterator[Remark]:
    if "until" in as_dict(as_dict(lint.outline.data.get("schedule")).get("on")):
        yield Remark(
            "/schedule/on/until",
            Text(
                "schedule 里的 until 不起作用：每个匹配的事件都会启动一个流程。要收集多个事件，请在流程里用 listen",
                "`until` does nothing in a schedule: every matching event starts a run. Collect several with `listen`",
            ),
            of_key=True,
        )


@rule("hasty-schedule", "warning")
def hasty_schedule(lint: Lint) -> Iterator[Remark]:
    schedule = as_dict(lint.outline.data.get("schedule"))
    for key in ("every", "after"):
        try:
            length = parse_duration(schedule.get(key))
        except ProblemError:
            continue
        if length.total_seconds() < _SHORTEST_S:
            yield Remark(
                f"/schedule/{key}",
                Text(
                    f"间隔只有 {length.total_seconds():g} 秒，会不停地启动新流程。请至少 {_SHORTEST_S} 秒",
                    f"An interval of {length.total_seconds():g} s starts runs without pause; make it at least "
                    f"{_SHORTEST_S} s",
                ),
            )


@rule("bad-enrolment", "error")
def bad_enrolment(lint: Lint) -> Iterator[Remark]:
    metadata = as_dict(as_dict(lint.outline.data.get("document")).get("metadata"))
    try:
        read_enrolment(metadata)
    except ProblemError as problem:
        yield Remark(f"/document/metadata/{KEY}", problem.text, of_key=True)


@rule("enrolment-without-events", "warning")
def enrolment_without_events(lint: Lint) -> Iterator[Remark]:
    document = as_dict(lint.outline.data.get("document"))
    schedule = as_dict(lint.outline.data.get("schedule"))
    if KEY in as_dict(document.get("metadata")) and schedule and "on" not in schedule:
        yield Remark(
            f"/document/metadata/{KEY}",
            Text(
                "按时间启动的运行不涉及任何主体，enrolment 数不到它；请用 schedule.on，或不写 schedule",
                "A run that the clock starts is about nobody that enrolment could count; use schedule.on or none",
            ),
            of_key=True,
        )
