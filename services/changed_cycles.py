"""A scheme's new version may have another cycle, from a day on which both cycles begin a period; orders count by it on
the same day as before."""

from domain.definitions import DefinitionVersion
from domain.problems import ConflictProblem, RuntimeProblem, Text
from domain.settlement.periods import next_common_start
from domain.settlement.scheme_reading import scheme_of


def refuse_split_periods_of(before: DefinitionVersion, after: DefinitionVersion) -> None:
    """Returns when no period is cut where a version of a scheme follows another; a version that this Tandem cannot read
    is none that anybody is settled by.

    :raises ConflictProblem: one is; it names the next day that both cycles have in common. Or an order that is paid
        under the one and completed under the other would be settled twice, or never.
    """
    try:
        old, new = scheme_of(before.properties), scheme_of(after.properties)
    except RuntimeProblem:
        return
    if old.counts != new.counts:
        raise ConflictProblem(
            Text(
                f"{after.label} 按 {new.counts} 计订单，此前的 {before.version} 按 {old.counts}："
                f"{new.start} 前后付款与完成不在同一边的订单会结算两次，或一次也不结算。"
                f"请写明 counts: {old.counts}，停用的版本也一样；"
                "要换口径，请停用此方案并另写一个名字不同的方案",
                f"{after.label} counts orders when they are {new.counts}, and {before.version} before it when they are "
                f"{old.counts}: those paid on one side of {new.start} and completed on the other would be settled "
                f"twice, or never. Write `counts: {old.counts}`, in a version that ends the scheme as well; to count "
                "otherwise, write a scheme of another name",
            )
        )
    if old.cycle == new.cycle:
        return
    day = next_common_start((old.cycle, new.cycle), new.start)
    if day != new.start:
        raise ConflictProblem(
            Text(
                f"{after.label} 的周期是 {new.cycle}，此前的 {before.version} 是 {old.cycle}："
                f"from 要写两种周期共同的起点，否则有的日子会结算两次。{new.start} 之后的下一个是 {day}",
                f"{after.label} is by {new.cycle}, and {before.version} before it by {old.cycle}: `from` has to be a "
                f"day on which both begin a period, or some days are settled twice. The next one is {day}",
            ),
            next_day=str(day),
        )
