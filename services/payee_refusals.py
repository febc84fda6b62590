"""What is refused of what people say about payees, and why."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from domain.dsl.findings import did_you_mean, listed
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.attribution import Key
from domain.settlement.exact import WEIGHT
from domain.settlement.payees import NewFact
from storage.payee_facts import Contradicted
from storage.payees import PayeeKeyRow

MOST_AT_ONCE = 1_000


def refuse_overgiven(held: Sequence[PayeeKeyRow]) -> None:
    """Returns when on no day more than the whole of a key is given away, or twice to somebody. Raises ConflictProblem,
    with key and day."""
    by_key: dict[Key, list[PayeeKeyRow]] = defaultdict(list)
    for each in held:
        by_key[Key(each.kind, each.value)].append(each)
    for key, rows in by_key.items():
        for day in {each.since for each in rows}:
            on_day = [each for each in rows if each.since <= day and (each.until is None or day < each.until)]
            if len({each.payee for each in on_day}) < len(on_day):
                raise ConflictProblem(
                    Text(
                        f"{key.kind}:{key.value} 在 {day} 已属于同一收款人；请先给原有的归属加上截止日 until，"
                        "或按原有的 since 改份额",
                        f"{key.kind}:{key.value} is the same payee's on {day} already; end the earlier one by `until` "
                        "first, or change its share by its own `since`",
                    ),
                    key=f"{key.kind}:{key.value}",
                    day=str(day),
                )
            if (given := sum(each.share for each in on_day)) > WEIGHT:
                raise ConflictProblem(
                    Text(
                        f"{key.kind}:{key.value} 在 {day} 已分给收款人 {given / 100:g}%，合计不能超过 100%；"
                        "请先给原有的归属加上截止日 until",
                        f"{key.kind}:{key.value} would be given away to {given / 100:g}% on {day}; end the earlier "
                        "ones by `until` first",
                    ),
                    key=f"{key.kind}:{key.value}",
                    day=str(day),
                )


def refuse_too_many(given: Sequence[object]) -> None:
    """Raises ValidationProblem for none, or for more than are taken at once."""
    if not 1 <= len(given) <= MOST_AT_ONCE:
        raise ValidationProblem(
            Text(f"一次 1 到 {MOST_AT_ONCE} 条，请分批", f"1 to {MOST_AT_ONCE} at once: hand them in in parts")
        )


def unknown_payees(codes: Sequence[str]) -> NotFoundProblem:
    """That there are no such payees, for whoever asks."""
    shown = ", ".join(codes[:5])
    return NotFoundProblem(
        Text(
            f"没有收款人 {shown}，或不在您的数据范围内", f"No such payee within your data scope: {', '.join(codes[:5])}"
        ),
        codes=list(codes[:20]),
    )


def written_at_once(codes: Sequence[str]) -> ConflictProblem:
    """That somebody else was quicker."""
    shown = ", ".join(codes[:5])
    return ConflictProblem(
        Text(
            f"有人同时在登记 {shown} 中的收款人，未做改动；请再提交一次",
            f"Somebody writes down one of {shown} at the same moment, and nothing was changed: hand them in once more",
        )
    )


def elsewhere(code: str) -> AuthorizationProblem:
    """That a payee belongs to a unit which the person does not see."""
    return AuthorizationProblem(
        Text(f"收款人 {code} 的组织不在您的数据范围内", f"The unit of the payee {code} is not within your data scope")
    )


def unknown_fact(name: str, known: Collection[str]) -> Text:
    """That no scheme goes by facts of a name."""
    near, there = did_you_mean(name, known), listed(sorted(known))
    return Text(
        f"没有方案用到“{name}”。{near.zh}可用：{there}", f"No scheme goes by “{name}”.{near.en} There are: {there}"
    )


def noted_otherwise(fact: NewFact, noted: Contradicted) -> ConflictProblem:
    """That a fact says something else than was noted under its name and key, and how to correct it."""
    row, named = noted.place + 1, f"{fact.code} {fact.name} {fact.key}"
    return ConflictProblem(
        Text(
            f"第 {row} 条 {named}：已记为 {noted.day} {noted.amount}，与这次的 {fact.day} {fact.amount} 不同。"
            "另一件事请换一个 key；要更正，用新的 key 记一笔冲减（负数），考核分用新的 key 再记一次",
            f"Row {row}, {named}: noted as {noted.amount} on {noted.day}, and now as {fact.amount} on {fact.day}. Name "
            "another deed by another key; correct this one by a count below nothing under a new key, a score by noting "
            "it again under a new key",
        ),
        row=row,
        code=fact.code,
        name=fact.name,
        key=fact.key,
        noted={"day": str(noted.day), "amount": noted.amount},
    )
