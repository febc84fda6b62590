"""Orders that a settlement would leave out: told, refused, and left out only when somebody says so."""

from collections.abc import Mapping
from datetime import date

from domain.problems import ConflictProblem, Text
from services.sale_problems import PROBLEMS
from storage.left_out import WAITING, Omitted

REASONS: Mapping[str, Text] = {
    **PROBLEMS,
    WAITING: Text(
        "订单还在等待折算：发布归属规则、登记归属键或邀请之后，已有的订单逐批重新判定，会自行完成。请稍后再试；一直如此时检查"
        " worker 是否在运行",
        "Orders still wait to be looked at: after rules of attribution are published, and keys or invitations written "
        "down, those that are there already are, bit by bit, which ends by itself. Try again shortly, and see whether "
        "the worker runs when it stays so",
    ),
}
"""Why an order that counts within a period has no sales, or not all of them, and what to do."""


def told_left_out(counts: Mapping[str, int]) -> list[Text]:
    """How many orders are left out, in a sentence for each reason."""
    said = ((count, REASONS.get(reason, Text(reason, reason))) for reason, count in counts.items())
    return [
        Text(f"{count} 单未计入或未计全：{why.zh}", f"{count} orders are left out, or not counted in full: {why.en}")
        for count, why in said
    ]


def refuse_left_out(omitted: Omitted, start: date, end: date) -> None:
    """Returns when no order of the period is left out. Raises ConflictProblem naming some, and what to do."""
    if not omitted.counts:
        return
    names = [f"{account} {order_id}" for account, order_id in omitted.some]
    said, total = told_left_out(omitted.counts), sum(omitted.counts.values())
    raise ConflictProblem(
        Text(
            f"账期 {start} 至 {end} 有 {total} 单没有计入业绩，或没有计全。{'；'.join(each.zh for each in said)}。"
            f"例如 {'、'.join(names)}。处理后再结算，或写明 leave_out: true 先不计它们（记入审计，之后作为差额结算）",
            f"{total} orders of {start} to {end} have no sales, or not all of them. "
            f"{'; '.join(each.en for each in said)}. Such are {', '.join(names)}. See to them first, or say "
            "leave_out: true to settle without them, which is audited; they are settled as a difference later",
        ),
        left_out=dict(omitted.counts),
        orders=names,
    )
