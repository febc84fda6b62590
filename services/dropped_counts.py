"""A new version of the attribution counts in every way that a scheme counts by."""

from collections.abc import Sequence

from domain.definitions import DefinitionVersion
from domain.problems import ConflictProblem, RuntimeProblem, Text
from domain.settlement.attribution import BASES, Basis
from domain.settlement.attribution_reading import attribution_of
from domain.settlement.scheme_reading import scheme_of

_SHOWN = 5


def refuse_dropped_counts(
    before: DefinitionVersion, after: DefinitionVersion, schemes: Sequence[DefinitionVersion]
) -> None:
    """Returns when an attribution drops no way of counting by which one of the published schemes counts, also one that
    has ended: its closed periods are still adjusted. Of versions that this Tandem cannot read nothing is said.

    :raises ConflictProblem: it does, so that orders would be counted for nobody and no period of those schemes settled.
    """
    try:
        dropped = set(attribution_of(before.properties).counts) - set(attribution_of(after.properties).counts)
    except RuntimeProblem:
        return
    by: dict[Basis, list[str]] = {}
    for each in schemes if dropped else ():
        try:
            scheme = scheme_of(each.properties)
        except RuntimeProblem:
            continue
        if scheme.counts in dropped:
            by.setdefault(scheme.counts, []).append(scheme.name)
    if by:
        counts = ", ".join(each for each in BASES if each in by or each not in dropped)
        names = sorted({name for some in by.values() for name in some})
        shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        raise ConflictProblem(
            Text(
                f"{after.label} 不再按 {'、'.join(sorted(by))} 计业绩，而已发布的方案 {shown} 按它计"
                "（已停用的也要用它调整已关闭的账期）：新的订单会不计给任何人，这些方案也无法结算。"
                f"请写明 counts: [{counts}] 后重新上传",
                f"{after.label} counts orders no more when they are {' and '.join(sorted(by))}, by which the published "
                f"schemes {shown} count; those that have ended need it to adjust closed periods. New orders would be "
                f"counted for nobody, and none of these schemes settled. Write `counts: [{counts}]`, upload it again",
            ),
            schemes=names,
        )
