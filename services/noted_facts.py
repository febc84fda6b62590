"""What was typed in or noted by flows and is paid by: told to who approves, who may not have typed any of it."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from domain.access import Actor, require_second_person
from domain.problems import Text
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.booked_before import booked_before
from storage.calculation_tables import CalculationRow
from storage.definitions import Definitions
from storage.noted_facts import NOTHING, ChangedScore, Counted, NotedBy, NotedFacts, counted_facts
from storage.unit_of_work import UnitOfWork

FLOW = "flow:"
"""What stands before a flow's name as who noted a fact; no login has a colon."""
_SHOWN = 5


async def noted_facts_in(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> Sequence[Text]:
    """A sentence on the facts that count and did not when the period was booked last, and one on scores that were
    changed; nothing where there are none."""
    names = [*scheme.deeds, *scheme.scores]
    if row.facts_upto is None or not names:
        return []
    booked = await _booked(work, scheme, row)
    noted = await NotedFacts(work).by_whom(counted_facts(row, names, booked))
    if not noted:
        return []
    said = [_noted(row, noted)]
    if any(each.name in scheme.scores for each in noted):
        scores = counted_facts(row, scheme.scores, booked)
        changed, count = await NotedFacts(work).changed_scores(scores, _SHOWN)
        said += [_changed(row, changed, count)] if count else []
    return said


async def refuse_own_facts(work: UnitOfWork, actor: Actor, scheme: Scheme, row: CalculationRow) -> None:
    """Returns when nothing that counts and did not when the period was booked last was noted by this person.

    :raises AuthorizationProblem: something was.
    """
    names = [*scheme.deeds, *scheme.scores]
    # What was booked of them before was approved by others then.
    if names and await NotedFacts(work).has_noted(
        counted_facts(row, names, await _booked(work, scheme, row)), actor.login
    ):
        what = Text(
            f"账期 {row.start} 含有自己登记的到店、评价或考核分，其结算",
            f"A settlement of the period from {row.start}, with visits, reviews or scores that one noted oneself,",
        )
        require_second_person(actor, [actor.login], what)


async def _booked(work: UnitOfWork, now: Scheme, row: CalculationRow) -> Counted:
    """What of the facts counted when the calculation's period was booked last; nothing if it never was. Of names that
    are counted for other roles or on other days by now, nobody knows what others approved: all of it counts as new."""
    before = await booked_before(work, row)
    version = await Definitions(work).get((SCHEME, "", before.scheme, before.version)) if before is not None else None
    if before is None or version is None or before.facts_upto is None:
        return NOTHING
    then = scheme_of(version.properties)
    same = [name for name in (*then.deeds, *then.scores) if _counting(then, name) == _counting(now, name)]
    return Counted(before.id, same, before.facts_upto)


def _counting(scheme: Scheme, name: str) -> set[tuple[tuple[str, ...], tuple[date, date] | None]]:
    """For which roles and on which days facts of a name count in a scheme."""
    counting = (each for each in scheme.components if name in each.deeds or name in each.scores)
    return {(each.roles or scheme.roles, each.days) for each in counting}


def _noted(row: CalculationRow, noted: Sequence[NotedBy]) -> Text:
    """Who noted how many, people first: a flow is looked at before it is published."""
    sums: Counter[str] = Counter()
    for each in noted:
        sums[each.by] += each.facts
    people = sorted(sums, key=lambda by: (by.startswith(FLOW), -sums[by], by))
    zh, en = [], []
    for by in people[:_SHOWN]:
        named = _named(by)
        kinds = [each for each in noted if each.by == by]
        zh.append(f"{named.zh} {sums[by]} 条（{'、'.join(f'{each.name} {each.facts}' for each in kinds)}）")
        en.append(f"{named.en} {sums[by]} ({', '.join(f'{each.name} {each.facts}' for each in kinds)})")
    more = len(people) - _SHOWN
    return Text(
        f"账期 {row.start} 自上次记账以来登记了 {sum(sums.values())} 条计入的到店、评价、预约或考核分："
        f"{'；'.join(zh)}{f'；另有 {more} 位' if more > 0 else ''}",
        f"Since the period from {row.start} was booked last, {sum(sums.values())} visits, reviews, bookings or scores "
        f"that count were noted: {'; '.join(en)}{f'; and by {more} more' if more > 0 else ''}",
    )


def _changed(row: CalculationRow, changed: Sequence[ChangedScore], count: int) -> Text:
    shown = [f"{each.payee} {each.name} {each.before} → {each.after}" for each in changed]
    named = [_named(each.by) for each in changed]
    more = count > len(changed)
    zh = "、".join(f"{one}（{by.zh}）" for one, by in zip(shown, named, strict=True))
    en = ", ".join(f"{one} ({by.en})" for one, by in zip(shown, named, strict=True))
    return Text(
        f"账期 {row.start} 的考核分被改登 {count} 次，以最后一次为准：{zh}{' 等' if more else ''}",
        f"Scores of the period from {row.start} were noted anew as something else {count} times, and the last one "
        f"counts: {en}{' and others' if more else ''}",
    )


def _named(by: str) -> Text:
    name = by.removeprefix(FLOW)
    return Text(f"流程 {name}", f"flow {name}") if by.startswith(FLOW) else Text(by, by)
