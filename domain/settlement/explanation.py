"""A scheme told back in plain words, each component with a worked example: what finance reads before it is released."""

from collections.abc import Iterator

from domain.money import major_from_minor
from domain.problems import Text
from domain.settlement.evaluation import Doings, Downline, earned_alone, earned_by_downline
from domain.settlement.exact import RATE, WEIGHT, rounded
from domain.settlement.formulas import Bonus, Fixed, Package, Proportion, Step, Tiers
from domain.settlement.line_filters import LINE_FIELDS
from domain.settlement.scheme import BASES, LINE_BASES, MONEY_BASES, Component, LineTest, Scheme

_CYCLES = {
    "day": Text("每日", "daily"),
    "week": Text("每周", "weekly"),
    "half-month": Text("每半月", "twice a month"),
    "month": Text("每月", "monthly"),
}
_COUNTS = {"paid": Text("付款时", "when it is paid"), "completed": Text("完成时", "when it is completed")}
_BASE_WORDS = {
    "paid": "what buyers paid",
    "kept": "what buyers paid less refunds",
    "quantity": "pieces",
    "orders": "orders",
    "fx-difference": "the exchange difference",
    "visits": "visits",
    "reviews": "reviews",
    "bookings": "bookings",
    "count": "the count of",
    "score": "the score",
    "period": "each period",
}
_EXAMPLE_AMOUNT, _EXAMPLE_SCRAP, _EXAMPLE_COUNT, _EXAMPLE_SCORE = 1_234_567, 15, 37, 90


def explained(scheme: Scheme) -> list[Text]:
    """Sentences on the whole of a scheme, one after the other."""
    cycle, counts = _CYCLES[scheme.cycle], _COUNTS[scheme.counts]
    until = Text(f"至 {scheme.end}（不含）", f" until {scheme.end}, not included") if scheme.end else Text("", "")
    head = f"{scheme.name} {scheme.version}"
    said = [
        Text(
            f"{scheme.title}（{head}）：{cycle.zh}结算，币种 {scheme.currency}，订单{counts.zh}计入，"
            f"适用于 {scheme.start} 起{until.zh}的账期，收款人：{'、'.join(scheme.roles) or '所有收款人'}。",
            f"{scheme.title} ({head}): settled {cycle.en} in {scheme.currency}; an order counts {counts.en}; "
            f"for periods from {scheme.start}{until.en}; payees: {', '.join(scheme.roles) or 'all'}.",
        )
    ]
    if not scheme.active:
        said.append(
            Text(
                "已停用：这些账期不再结算，也不按更早的版本结算；已记账的照付。",
                "Not active: these periods are settled no more, by earlier versions neither; what is booked is paid.",
            )
        )
    said += [_component(scheme, each) for each in scheme.components]
    return [*said, *_terms(scheme)]


def rule_of(scheme: Scheme, component: Component) -> Text:
    """The rule of one component, with its conditions."""
    what, conditions = _rule(scheme, component), _conditions(scheme, component)
    sign = Text("扣减：", "Taken off: ") if component.deducts else Text("", "")
    return Text(f"{sign.zh}{what.zh}{conditions.zh}", f"{sign.en}{what.en}{conditions.en}")


def _component(scheme: Scheme, component: Component) -> Text:
    rule, example = rule_of(scheme, component), _example(scheme, component)
    return Text(f"{component.title}：{rule.zh}。{example.zh}", f"{component.name}: {rule.en}. {example.en}")


def _rule(scheme: Scheme, component: Component) -> Text:
    money, base = component.base in MONEY_BASES, _base(component)
    match component.formula:
        case Fixed(amount):
            return Text(f"每期固定 {_shown(amount, scheme)}", f"{_shown(amount, scheme)} for each period")
        case Proportion(rate) if money:
            return Text(f"{base.zh}的 {_percent(rate)}", f"{_percent(rate)} of {base.en}")
        case Proportion(rate):
            each = _shown(rate // RATE, scheme)
            return Text(f"按{base.zh}，每个 {each}", f"{each} for each of: {base.en}")
        case Tiers(kind, steps):
            flats = [_shown(step.flat, scheme) if step.flat else "" for step in steps]
            tiers = [
                f"{_mark(step, scheme, money)} 起 {_worth(step, scheme, money)}{f' 另加 {flat}' if flat else ''}"
                for step, flat in zip(steps, flats, strict=True)
            ]
            english = [
                f"{_worth(step, scheme, money)}{f' and {flat}' if flat else ''} from {_mark(step, scheme, money)}"
                for step, flat in zip(steps, flats, strict=True)
            ]
            how = (
                Text("分段计算", "each slice at its own rate")
                if kind == "graduated"
                else Text("达到后全额按该档", "all of it at the rate reached")
            )
            return Text(f"{base.zh}，{how.zh}：{'，'.join(tiers)}", f"of {base.en}, {how.en}: {', '.join(english)}")
        case Package(size, price, free):
            after = Text(f"（前 {free} 个不计）", f" after the first {free}") if free else Text("", "")
            return Text(
                f"{base.zh}每 {size} 个（不足也算）计 {_shown(price, scheme)}{after.zh}",
                f"{_shown(price, scheme)} for every {size} of {base.en} begun{after.en}",
            )
        case Bonus(steps, each):
            marks = [f"达到 {_mark(step, scheme, money)} 奖 {_shown(step.worth, scheme)}" for step in steps]
            english = [f"{_shown(step.worth, scheme)} on reaching {_mark(step, scheme, money)}" for step in steps]
            which = Text("逐档累加", "all that were reached") if each else Text("取最高一档", "the highest reached")
            return Text(
                f"{base.zh}{'，'.join(marks)}（{which.zh}）", f"by {base.en}: {', '.join(english)} ({which.en})"
            )
    levels = component.override.rates if component.override else ()
    of = component.override.component if component.override else ""
    title = next((each.title for each in scheme.components if each.name == of), of)
    return Text(
        f"下级“{title}”的返利：" + "，".join(f"第 {place} 级 {_percent(rate)}" for place, rate in enumerate(levels, 1)),
        f"of what the downline earned by {of}: "
        + ", ".join(f"{_percent(rate)} at level {place}" for place, rate in enumerate(levels, 1)),
    )


def _base(component: Component) -> Text:
    base = str(component.base)
    of = component.score or "、".join(_times(name, weight) for name, weight in component.counted)
    name = f"{BASES[component.base] if component.base else ''}{f' {of}' if of else ''}"
    english = f"{_BASE_WORDS.get(base, base)}{f' {of}' if of else ''}"
    if component.level:
        return Text(f"下 {component.level} 级的{name}", f"{english} of level {component.level} below")
    return Text(name, english)


def _times(name: str, weight: int) -> str:
    return name if weight == WEIGHT else f"{name}×{weight / WEIGHT:g}"


def _conditions(scheme: Scheme, component: Component) -> Text:
    zh, en = [], []
    for said in _parts(scheme, component):
        zh.append(said.zh)
        en.append(said.en)
    return Text("".join(f"；{each}" for each in zh), "".join(f"; {each}" for each in en))


def _parts(scheme: Scheme, component: Component) -> Iterator[Text]:
    if component.roles:
        yield Text(f"适用角色 {'、'.join(component.roles)}", f"for {', '.join(component.roles)}")
    if component.tests:
        tests = [_test(test, scheme) for test in component.tests]
        yield Text("只计" + "且".join(each.zh for each in tests), "only " + " and ".join(each.en for each in tests))
    for each in component.weightings:
        tests = [_test(test, scheme) for test in each.tests]
        times = f"{each.weight / WEIGHT:g}"
        yield Text(
            f"{'且'.join(test.zh for test in tests) or '其他'} 按 {times} 倍计",
            f"{' and '.join(test.en for test in tests) or 'others'} count {times} times",
        )
    if component.days:
        start, end = component.days
        zh, en = ("付款的订单", "only orders paid ") if component.base in LINE_BASES else ("", "")
        yield Text(f"限 {start} 至 {end}（不含）{zh}", f"{en}from {start} until {end}, not included")
    if component.factor:
        steps = [f"{step.mark} 分起 {step.worth / WEIGHT:g}" for step in component.factor.steps]
        english = [f"{step.worth / WEIGHT:g} from {step.mark}" for step in component.factor.steps]
        if least := component.factor.steps[0].mark:
            steps, english = [f"低于 {least} 分为 0", *steps], [f"0 below {least}", *english]
        yield Text(
            f"乘以 {component.factor.score} 系数：{'，'.join(steps)}",
            f"times a coefficient by {component.factor.score}: {', '.join(english)}",
        )
    if component.floor is not None:
        yield Text(f"保底 {_shown(component.floor, scheme)}", f"at least {_shown(component.floor, scheme)}")
    if component.cap is not None:
        yield Text(f"封顶 {_shown(component.cap, scheme)}", f"at most {_shown(component.cap, scheme)}")
    if component.rising:
        yield Text("承诺只升不降", "promised never to fall")
    if component.grain == "line":
        yield Text("逐笔取整", "each line rounded by itself")


def _test(test: LineTest, scheme: Scheme) -> Text:
    title = LINE_FIELDS[test.field].title
    if test.field == "first" and test.flag is False:
        return Text("已知客户的再次购买", "a further order of a known customer")
    if test.flag is not None:
        return title if test.flag else Text(f"非{title.zh}", f"not {title.en}")
    if test.values:
        return Text(f"{title.zh}为 {'/'.join(test.values)}", f"{title.en} {' or '.join(test.values)}")
    low = (
        Text(f"不低于 {_shown(test.low, scheme)}", f"from {_shown(test.low, scheme)}") if test.low is not None else None
    )
    high = (
        Text(f"低于 {_shown(test.high, scheme)}", f"below {_shown(test.high, scheme)}")
        if test.high is not None
        else None
    )
    bounds = [each for each in (low, high) if each is not None]
    return Text(
        title.zh + "、".join(each.zh for each in bounds), f"{title.en} " + ", ".join(each.en for each in bounds)
    )


def _example(scheme: Scheme, component: Component) -> Text:
    """What one imagined payee would get, computed as a run computes it."""
    role = component.roles[0] if component.roles else (scheme.roles[0] if scheme.roles else "")
    scores = {component.factor.score: _EXAMPLE_SCORE} if component.factor else {}
    said = _done(scheme, component)
    if component.override is not None:
        levels = range(1, len(component.override.rates) + 1)
        earned = {(component.override.component, level): _EXAMPLE_AMOUNT for level in levels}
        found = earned_by_downline(scheme, Doings(role, {}, {}, scores), Downline({}, earned))
    elif component.grain == "line":
        rounded_lines = _lines(scheme, component)
        found = earned_alone(scheme, Doings(role, {}, {component.name: sum(rounded_lines)}, scores))
    else:
        base = _example_base(component)
        if component.score:
            scores[component.score] = base
        doings = Doings(role, {component.name: base * WEIGHT}, {}, scores)
        downline = Downline({component.name: base * WEIGHT}, {})
        found = earned_by_downline(scheme, doings, downline) if component.level else earned_alone(scheme, doings)
    if component.factor:
        score = f"{component.factor.score} {scores[component.factor.score]}"
        said = Text(f"{said.zh}、{score} 分", f"{said.en}, {score}")
    amount = _shown(next(each.amount for each in found if each.component == component.name), scheme)
    by_line = "".join(f" + {_shown(each, scheme)}" for each in _lines(scheme, component))
    way = f"→ {by_line.removeprefix(' + ')} → {amount}" if by_line else f"→ {amount}"
    return Text(f"例：{said.zh} {way}。", f"Example: {said.en} {way}.")


def _done(scheme: Scheme, component: Component) -> Text:
    """What the imagined payee did."""
    if component.override is not None:
        amount = _shown(_EXAMPLE_AMOUNT, scheme)
        return Text(f"下级每级共得 {amount}", f"each level below earned {amount}")
    if component.base == "period":
        return Text("每期", "each period")
    base, money = _base(component), component.base in MONEY_BASES
    if component.grain == "line":
        first, second = (_shown(each, scheme) if money else str(each) for each in _example_lines(component))
        return Text(f"两笔{base.zh} {first} 与 {second}", f"two lines of {base.en}, {first} and {second}")
    shown = _shown(_example_base(component), scheme) if money else str(_example_base(component))
    return Text(f"{base.zh} {shown}", f"{base.en} {shown}")


def _example_base(component: Component) -> int:
    return _EXAMPLE_AMOUNT if component.base in MONEY_BASES else _EXAMPLE_COUNT


def _example_lines(component: Component) -> tuple[int, int]:
    return (_EXAMPLE_AMOUNT, _EXAMPLE_SCRAP) if component.base in MONEY_BASES else (1, 2)


def _lines(scheme: Scheme, component: Component) -> list[int]:
    """What each line of the example comes to, where each is rounded by itself."""
    if component.grain != "line" or component.formula is None:
        return []
    exact = [component.formula.earned(each * WEIGHT) for each in _example_lines(component)]
    return [rounded(each, grain=scheme.grain, rule=scheme.rounding) for each in exact]


def _terms(scheme: Scheme) -> Iterator[Text]:
    if scheme.floor is not None or scheme.cap is not None:
        bounds = [
            Text(word.zh + " " + _shown(bound, scheme), word.en + " " + _shown(bound, scheme))
            for word, bound in (
                (Text("保底", "at least"), scheme.floor),
                (Text("封顶", "at most"), scheme.cap),
            )
            if bound is not None
        ]
        yield Text(
            f"每期合计{'，'.join(each.zh for each in bounds)}。",
            f"The sum of a period is {' and '.join(each.en for each in bounds)}.",
        )
    if scheme.minimum:
        yield Text(
            f"合计不足 {_shown(scheme.minimum, scheme)} 的转入下期。",
            f"Less than {_shown(scheme.minimum, scheme)} is carried over.",
        )
    if scheme.hold_days:
        yield Text(
            f"账期结束 {scheme.hold_days} 天后可付。", f"Payable {scheme.hold_days} days after the period's end."
        )
    if scheme.instalments > 1 or scheme.keep:
        yield Text(
            f"扣回分 {scheme.instalments} 期，每期至少留下 {_percent(scheme.keep)}。",
            f"Clawbacks go over {scheme.instalments} periods and leave {_percent(scheme.keep)} of each.",
        )
    yield Text(
        f"每人每项合计后取整一次，单位 {_shown(scheme.grain, scheme)}，规则 {scheme.rounding}；"
        f"一笔销售最多 {scheme.levels} 级获酬。",
        f"Rounded once for each payee and component, to {_shown(scheme.grain, scheme)}, {scheme.rounding}; at most "
        f"{scheme.levels} levels earn by one sale.",
    )


def _mark(step: Step, scheme: Scheme, money: bool) -> str:
    return _shown(step.mark, scheme) if money else str(step.mark)


def _worth(step: Step, scheme: Scheme, money: bool) -> str:
    return _percent(step.worth) if money else _shown(step.worth // RATE, scheme)


def _percent(rate: int) -> str:
    return f"{rate / 10_000:g}%"


def _shown(amount: int, scheme: Scheme) -> str:
    return major_from_minor(amount, scheme.currency)
