"""Which version of a scheme a period is settled by: the last published one whose days cover the whole period."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from domain.definitions import DefinitionVersion
from domain.problems import NotFoundProblem, Text, ValidationProblem
from domain.settlement.periods import period_of
from domain.settlement.scheme import Cycle, Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from storage.definitions import Definitions
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SchemeVersion:
    """A version of a scheme, read, and the period that a day is in by its cycle, or by the one that was asked for."""

    version: DefinitionVersion
    scheme: Scheme
    cycle: Cycle
    start: date
    end: date

    @property
    def covers(self) -> bool:
        """Whether the version is for the whole period."""
        return self.scheme.is_for(self.start, self.end)


def at(version: DefinitionVersion, day: date, cycle: Cycle | None = None) -> SchemeVersion:
    """A version of a scheme, with the period of a day."""
    scheme = scheme_of(version.properties)
    own = cycle or scheme.cycle
    return SchemeVersion(version, scheme, own, *period_of(own, day))


async def published_for(
    work: UnitOfWork, name: str, day: date, cycle: Cycle | None = None, *, any_period: bool = False
) -> SchemeVersion:
    """The version of a scheme that was published last among those that are for the period of a day.

    any_period: if none is, the one that was published last of all.
    :raises NotFoundProblem: no version is published. :raises ValidationProblem: none of them is for the period, or the
        one that is says that the scheme is not active in it.
    """
    published = await Definitions(work).published(SCHEME, name)
    if not published:
        raise NotFoundProblem(Text(f"没有已发布的方案 {name}", f"There is no published scheme {name}"))
    for each in published:
        if (found := at(each, day, cycle)).covers:
            if not any_period:
                _refuse_stopped(found)
            return found
    if any_period:
        return at(published[0], day, cycle)
    told = _days(scheme_of(each.properties) for each in published)
    raise ValidationProblem(
        Text(
            f"方案 {name} 没有适用于 {day} 所在账期的已发布版本（{told.zh}）；请发布一个 from、until 覆盖该账期的版本",
            f"No published version of the scheme {name} is for the whole period of {day} ({told.en}): publish one "
            "whose `from` and `until` cover it",
        )
    )


async def own_cycle(work: UnitOfWork, name: str, day: date) -> tuple[Cycle, str]:
    """The cycle and the currency of a scheme on a day: by the version that is for its period, else by the one that was
    published last; one that nobody publishes any more goes on as it was settled last.

    :raises NotFoundProblem: nothing was ever settled by such a scheme.
    """
    try:
        found = await published_for(work, name, day, any_period=True)
    except NotFoundProblem:
        last = await SettlementPeriods(work).last_of(name)
        if last is None:
            raise
        return last.cycle, last.currency
    return found.cycle, found.scheme.currency


def refuse_other_periods(asked: SchemeVersion) -> None:
    """Raise ValidationProblem when the version is not for the whole period."""
    if not asked.covers:
        told = _not_for(asked.scheme, asked.start, asked.end)
        raise ValidationProblem(
            Text(f"{told.zh}；要看若按它会怎样，请用 what-if", f"{told.en}: what it would have come to, what-if tells")
        )


def _refuse_stopped(found: SchemeVersion) -> None:
    """Raise ValidationProblem when the version ends its scheme."""
    if not found.scheme.active:
        name = f"{found.scheme.name} {found.scheme.version}"
        raise ValidationProblem(
            Text(
                f"方案 {name} 已停用（active: false），账期 {found.start} 至 {found.end} 不再结算；"
                "要恢复，请发布一个没有 active: false 的更高版本",
                f"The scheme {name} is not active (`active: false`): {found.start} to {found.end} is not settled. To "
                "settle it, publish a higher version without `active: false`",
            )
        )


def remark_on(scheme: Scheme, start: date, end: date) -> Text | None:
    """What there is to say of a period that was tried by a version which is not for it."""
    if scheme.is_for(start, end):
        return None
    told = _not_for(scheme, start, end)
    return Text(f"{told.zh}：只是假设，不能据此结算", f"{told.en}: this is what if, nothing can be settled by it")


def _not_for(scheme: Scheme, start: date, end: date) -> Text:
    name, until = f"{scheme.name} {scheme.version}", scheme.end or "…"
    return Text(
        f"方案 {name} 适用于 {scheme.start} 至 {until}，不含账期 {start} 至 {end}",
        f"The scheme {name} is for {scheme.start} to {until}, not for {start} to {end}",
    )


def _days(schemes: Iterable[Scheme]) -> Text:
    told = [(each.version, each.start, each.end) for each in schemes]
    return Text(
        "；".join(f"{version} 适用于 {start} 至 {end or '…'}" for version, start, end in told),
        "; ".join(f"{version} is for {start} to {end or '…'}" for version, start, end in told),
    )
