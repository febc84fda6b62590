"""What of a period was not reconciled when it is closed: told before, and closed over only when somebody says so."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from connectors.registry import ConnectorRegistry
from domain.access import Scope
from domain.problems import ConflictProblem, Text
from services.unreconciled import last_ready, listed_days
from storage.breaks import Breaks
from storage.settlement_periods import SettlementPeriodRow
from storage.unit_of_work import UnitOfWork

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class LeftUnreconciled:
    """Of the days of a period: by account how many were not reconciled, and how many breaks are not solved."""

    days: Mapping[str, int]
    breaks: int

    def __bool__(self) -> bool:
        return bool(self.days or self.breaks)

    @property
    def counts(self) -> dict[str, int]:
        """As the audit and problems tell it; days of several accounts count each."""
        return {"days": sum(self.days.values()), "breaks": self.breaks}

    def text(self, period: SettlementPeriodRow) -> Text:
        """What is left, and where it is listed."""
        zh, en = [], []
        if self.days:
            shown = [f"{account} {count}" for account, count in list(self.days.items())[:_SHOWN]]
            days, more_zh, more_en = self.counts["days"], "", ""
            if len(self.days) > _SHOWN:
                more_zh, more_en = " 等", " and others"
            zh.append(f"{days} 天没有对账（{'、'.join(shown)}{more_zh}，见 /api/v1/settlement/unreconciled）")
            en.append(
                f"{days} days are not reconciled ({', '.join(shown)}{more_en}: see /api/v1/settlement/unreconciled)"
            )
        if self.breaks:
            zh.append(f"{self.breaks} 条差异没有解决（见 /api/v1/settlement/breaks）")
            en.append(f"{self.breaks} breaks are not solved (see /api/v1/settlement/breaks)")
        last = period.end - timedelta(days=1)
        return Text(f"{period.start} 至 {last}：{'，'.join(zh)}", f"Of {period.start} to {last}, {', '.join(en)}")


async def left_unreconciled(
    work: UnitOfWork, connectors: ConnectorRegistry, period: SettlementPeriodRow, *, closing: bool = False
) -> LeftUnreconciled:
    """Of accounts that are reconciled at all. closing: also days whose bills are to come yet; whatever a later bill may
    still settle is not counted."""
    last = period.end - timedelta(days=1)
    if not closing:
        last = min(last, last_ready(work.now))
    days: Counter[str] = Counter()
    if last >= period.start:
        async for each in listed_days(work, connectors, Scope.everything(), last, period.start):
            if period.start <= each.day <= last:
                days[each.account] += 1
    return LeftUnreconciled(dict(sorted(days.items())), await Breaks(work).unsolved(period.start, period.end))


async def with_new_breaks(work: UnitOfWork, left: LeftUnreconciled, period: SettlementPeriodRow) -> LeftUnreconciled:
    """The same with the breaks as they stand by now: it may have taken a while until the period could be held."""
    return replace(left, breaks=await Breaks(work).unsolved(period.start, period.end))


def refuse_unreconciled(left: LeftUnreconciled, period: SettlementPeriodRow) -> None:
    """Returns when nothing is left. Raises ConflictProblem with what is, and what to do."""
    if not left:
        return
    said = left.text(period)
    raise ConflictProblem(
        Text(
            f"{said.zh}。关账不能重开：先取得账单、对账、解决差异；仍要关闭的，写明 unreconciled: true（记入审计）",
            f"{said.en}. Closed is closed: have the bills, reconcile and solve the breaks first, or say "
            "unreconciled: true to close it all the same, which is audited",
        ),
        unreconciled=left.counts,
    )
