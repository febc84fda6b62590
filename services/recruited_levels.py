"""How many levels earn by one sale where a scheme meets the attribution: checked when either is published."""

from collections.abc import AsyncIterator, Sequence
from datetime import date

from domain.definitions import DefinitionVersion
from domain.dsl.findings import listed
from domain.problems import ConflictProblem, RuntimeProblem, Text
from domain.settlement.attribution import AttributionRules
from domain.settlement.attribution_reading import ATTRIBUTION, ONLY_NAME, attribution_of
from domain.settlement.levels import LevelLimit
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from domain.settlement.upline_ways import furthest_reach
from services.payee_terms import today
from storage.definitions import Definitions
from storage.unit_of_work import UnitOfWork


async def levels_with_others(work: UnitOfWork, version: DefinitionVersion, limit: LevelLimit) -> int:
    """The most levels of recruitment that earn by one sale once this scheme or attribution is in force, with what is in
    force already; 0 without any. What this Tandem cannot read is nobody's.

    :raises ConflictProblem: they are more than the settings, or the scheme itself, allow; it says which roles lead so
        far.
    """
    try:
        if version.kind == SCHEME:
            scheme, current = scheme_of(version.properties), await Definitions(work).in_force(ATTRIBUTION, ONLY_NAME)
            if current is None or not scheme.active:
                return 0
            return _refuse_deeper(scheme, attribution_of(current.properties), limit)
        rules = attribution_of(version.properties)
    except RuntimeProblem:
        return 0
    if rules.most_invitations > limit.most:
        refusal, most = limit.refusal(), rules.most_invitations
        raise ConflictProblem(
            Text(
                f"{version.label} 的 inviter 向上找 {most} 级：{refusal.zh}",
                f"{version.label} looks {most} invitations up (`inviter`). {refusal.en}",
            )
        )
    return max([rules.most_invitations, *[_refuse_deeper(each, rules, limit) async for each in _settling(work)]])


def _refuse_deeper(scheme: Scheme, rules: AttributionRules, limit: LevelLimit) -> int:
    reach = furthest_reach(scheme, rules)
    if reach.levels > min(scheme.levels, limit.most):
        refusal, roles = limit.refusal(), listed(reach.roles)
        raise ConflictProblem(
            Text(
                f"方案 {scheme.name} {scheme.version} 与归属规则 {rules.version} 合在一起，一笔销售有 {reach.levels} "
                f"级获酬：角色 {roles} 按邀请（inviter）找到，方案再付给其上级；方案写明 levels: {scheme.levels}。"
                f"{refusal.zh}。请减少 inviter 的 levels，或方案的 level、overrides",
                f"The scheme {scheme.name} {scheme.version} and the attribution {rules.version} together pay "
                f"{reach.levels} levels for one sale: {roles} are found by invitations (`inviter`), and the scheme "
                f"pays those above, with `levels: {scheme.levels}`. {refusal.en}. Lower `levels` of `inviter`, or "
                "`level` and `overrides` of the scheme",
            ),
            levels=reach.levels,
            roles=list(reach.roles),
        )
    return reach.levels


async def _settling(work: UnitOfWork) -> AsyncIterator[Scheme]:
    """Every version of a scheme that a period of today or later may be settled by."""
    day = today(work.now)
    for name in sorted(await Definitions(work).names(SCHEME)):
        later: list[Scheme] = []
        for version in await Definitions(work).published(SCHEME, name):
            try:
                scheme = scheme_of(version.properties)
            except RuntimeProblem:
                continue
            if (scheme.end is None or scheme.end > day) and not _is_over(scheme, later, day):
                if scheme.active:
                    yield scheme
                later.append(scheme)


def _is_over(scheme: Scheme, later: Sequence[Scheme], day: date) -> bool:
    """Whether a version that was published later settles all that is left for this one."""
    start, end = max(scheme.start, day), scheme.end or date.max
    return any(each.start <= start and (each.end or date.max) >= end for each in later)
