"""Periods that are not over: what may be done with them, and from which Shanghai day on the rest."""

from datetime import date, datetime

from domain.problems import ConflictProblem, Text
from domain.settlement.bills import day_of
from domain.settlement.formulas import Fixed, Tiers
from domain.settlement.scheme import Scheme


def refuse_settling_early(scheme: Scheme | None, start: date, end: date, now: datetime) -> None:
    """Returns when days `[start, end)` may be settled: they are over, or have begun and nothing is paid in advance.

    What was earned so far is booked, and what comes of the rest of the days as a difference. A fixed sum or a floor is
    due whatever is done, so that it would be paid before it is earned. scheme: None where nothing of these days is.
    :raises ConflictProblem: they may not, and it says from when on.
    """
    today = day_of(now)
    if today < start:
        raise _early(
            Text(f"账期 {start} 至 {end} 还没有开始", f"The period {start} to {end} has not begun"),
            Text("可结算", "it can be settled"),
            start,
        )
    if today < end and (sure := _paid_whatever_is_done(scheme)) is not None:
        raise _early(
            Text(
                f"账期 {start} 至 {end} 还没有结束，而“{sure.zh}”不论做了多少都要付，不能提前付",
                f"The period {start} to {end} is not over, and “{sure.en}” is due whatever is done: it is not paid in "
                "advance",
            ),
            Text("可结算", "it can be settled"),
            end,
        )


def refuse_closing_early(start: date, end: date, now: datetime) -> None:
    """Returns when days `[start, end)` are over. Raises ConflictProblem, which says from when on they are."""
    if day_of(now) < end:
        raise _early(
            Text(f"账期 {start} 至 {end} 还没有结束", f"The period {start} to {end} is not over"),
            Text("可关闭", "it can be closed"),
            end,
        )


def _paid_whatever_is_done(scheme: Scheme | None) -> Text | None:
    """What of a scheme is due before anything is done; None when nothing is."""
    if scheme is None:
        return None
    for each in scheme.components:
        is_flat = isinstance(each.formula, Tiers) and each.formula.steps[0].flat > 0
        if not each.deducts and (isinstance(each.formula, Fixed) or is_flat or each.floor):
            return Text(each.title, each.name)
    return Text("方案的保底 floor", "the scheme's floor") if scheme.floor else None


def _early(why: Text, what: Text, day: date) -> ConflictProblem:
    return ConflictProblem(
        Text(
            f"{why.zh}；{day} 起{what.zh}（上海日期），在此之前可以试算",
            f"{why.en}; {what.en} from {day} on, in Shanghai. A preview works at any time",
        ),
        possible_from=str(day),
        retryable=False,
    )
