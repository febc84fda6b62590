"""The order of tasks: names, jumps, switches, loops, and what can never be reached."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.dsl.findings import child, did_you_mean, listed
from domain.dsl.lint.outline import Scope, TaskSite
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.dsl.lint.structure import RESERVED_NAMES
from domain.problems import Text

_WAITING_CALLS = frozenset({"human-task", "wait-for", "wait-until"})


@rule("duplicate-task-name", "error")
def duplicate_task_name(lint: Lint) -> Iterator[Remark]:
    for scope in lint.outline.scopes:
        first: dict[str, TaskSite] = {}
        for task in scope.tasks:
            known = first.setdefault(task.name, task)
            if known is not task and known.index != task.index:
                line = lint.document.place(known.pointer, of_key=True).line
                yield Remark(
                    task.pointer,
                    Text(
                        f"同一层里已经有任务“{task.name}”（第 {line} 行），then 只会跳到那一个。请改名",
                        f"There is a task “{task.name}” in this list already (line {line}), and `then` reaches only "
                        "that one. Rename one of them",
                    ),
                    of_key=True,
                )


@rule("unknown-then", "error")
def unknown_then(lint: Lint) -> Iterator[Remark]:
    for task, pointer, target in _jumps(lint):
        if target in RESERVED_NAMES or task.scope.named(target) is not None or task.scope.kind == "branches":
            continue
        elsewhere = next((other for other in lint.outline.tasks if other.name == target), None)
        if elsewhere is not None:
            line = lint.document.place(elsewhere.pointer, of_key=True).line
            yield Remark(
                pointer,
                Text(
                    f"任务“{target}”在另一层（第 {line} 行），then 只能跳到同一个列表里的任务。"
                    "请用 exit 先离开当前层，在外层再跳转",
                    f"The task “{target}” is in another list (line {line}); `then` reaches only tasks of the same "
                    "list. Leave this list with `exit` and jump from the outer one",
                ),
            )
            continue
        names = [other.name for other in task.scope.tasks]
        near = did_you_mean(target, [*names, *RESERVED_NAMES])
        yield Remark(
            pointer,
            Text(
                f"没有名为“{target}”的任务。{near.zh}同一层有：{listed(names)}；或写 continue / exit / end",
                f"There is no task “{target}”.{near.en} In this list: {listed(names)}; or continue / exit / end",
            ),
        )


@rule("then-in-branch", "warning")
def then_in_branch(lint: Lint) -> Iterator[Remark]:
    for task, pointer, target in _jumps(lint):
        if task.scope.kind == "branches" and target not in RESERVED_NAMES:
            yield Remark(
                pointer,
                Text(
                    "并行分支之间不能跳转，这个 then 不起作用。请把先后步骤放进分支自己的 do 里",
                    "Parallel branches cannot jump to each other; this `then` does nothing. Put steps that follow one "
                    "another into the branch's own `do`",
                ),
            )


def _jumps(lint: Lint) -> Iterator[tuple[TaskSite, str, str]]:
    """Every directive: the task, the pointer of the directive, what it says."""
    for task in lint.outline.tasks:
        if task.then is not None:
            yield task, task.at("then"), task.then
        for pointer, _, case in task.cases:
            if isinstance(case.get("then"), str):
                yield task, child(pointer, "then"), case["then"]


@rule("switch-several-defaults", "error")
def switch_several_defaults(lint: Lint) -> Iterator[Remark]:
    for task in _switches(lint):
        defaults = [(pointer, name) for pointer, name, case in task.cases if "when" not in case]
        for pointer, name in defaults[1:]:
            yield Remark(
                pointer,
                Text(
                    f"switch 只能有一个默认分支（没有 when 的），“{defaults[0][1]}”已经是。请给“{name}”加上 when",
                    f"A switch has one default, the case without `when`, and “{defaults[0][1]}” is it. Give “{name}” a "
                    "`when`",
                ),
                of_key=True,
            )


@rule("switch-no-default", "info")
def switch_no_default(lint: Lint) -> Iterator[Remark]:
    for task in _switches(lint):
        if task.cases and all("when" in case for _, _, case in task.cases):
            following = task.scope.named(task.then) if task.then else None
            if task.then in (None, "continue"):
                following = _next(task)
            arm = following is not None and any(case.get("then") == following.name for _, _, case in task.cases)
            zh = f"继续执行“{following.name}”" if following else "结束这一层"
            en = f"goes on with “{following.name}”" if following else "leaves this list"
            yield Remark(
                task.pointer,
                Text(
                    f"switch 没有默认分支：都不匹配时会{zh}。如果不是本意，请加一个没有 when 的分支",
                    f"The switch has no default: when nothing matches, the flow {en}. If that is not meant, add a case "
                    "without `when`",
                ),
                of_key=True,
                severity="warning" if arm else None,
            )


@rule("switch-falls-through", "warning")
def switch_falls_through(lint: Lint) -> Iterator[Remark]:
    for task in _switches(lint):
        targets = {case["then"] for _, _, case in task.cases if isinstance(case.get("then"), str)} - RESERVED_NAMES
        arms = [other for other in task.scope.tasks if other.name in targets and other is not task]
        for arm in arms:
            last, following = _runs_on(arm, task, arms)
            if following is not None:
                yield Remark(
                    last.pointer,
                    Text(
                        f"“{last.name}”做完后会接着执行“{following.name}”，而后者是“{task.name}”的另一个分支。"
                        "请加 then: exit、end 或汇合任务的名字",
                        f"After “{last.name}” the flow runs on into “{following.name}”, which is another case of "
                        f"“{task.name}”. Add `then: exit`, `end` or the task where the cases meet",
                    ),
                    of_key=True,
                )


def _runs_on(arm: TaskSite, switch: TaskSite, arms: list[TaskSite]) -> tuple[TaskSite, TaskSite | None]:
    """The last task of a case, and the other case that follows it merely because it is listed next, if one does."""
    last = arm
    while _goes_on(last):
        following = _next(last)
        if following is None or following is switch:
            break
        if following in arms:
            return last, following
        last = following
    return last, None


@rule("unreachable-task", "warning")
def unreachable_task(lint: Lint) -> Iterator[Remark]:
    for scope in lint.outline.scopes:
        if scope.kind in ("branches", "before", "after") or not scope.tasks:
            continue
        reached = _reachable(scope)
        for task in scope.tasks:
            if task not in reached:
                yield Remark(
                    task.pointer,
                    Text(
                        f"任务“{task.name}”永远不会执行：前面的任务都跳走或结束了，也没有 then 指向它",
                        f"The task “{task.name}” can never run: the tasks before it jump away or end, and no `then` "
                        "names it",
                    ),
                    of_key=True,
                )
                break


@rule("endless-loop", "error")
def endless_loop(lint: Lint) -> Iterator[Remark]:
    for circle in _circles(lint):
        if not circle.leaves:
            yield Remark(
                circle.pointer,
                Text(
                    f"死循环：{listed(circle.names)} 会一直重复，没有任何条件能离开。请用 switch 或 if 给出出口",
                    f"Endless loop: {listed(circle.names)} repeat for ever and nothing leaves them. Give a way out "
                    "with `switch` or `if`",
                ),
            )


@rule("busy-loop", "warning")
def busy_loop(lint: Lint) -> Iterator[Remark]:
    for circle in _circles(lint):
        if circle.leaves and not circle.waits:
            yield Remark(
                circle.pointer,
                Text(
                    f"往回跳的循环（{listed(circle.names)}）里没有等待，会不停地重复。请加一个 wait 或等待事件的任务",
                    f"The backward loop ({listed(circle.names)}) waits for nothing and repeats at full speed. Add a "
                    "`wait` or a task that waits for an event",
                ),
            )


def _switches(lint: Lint) -> Iterator[TaskSite]:
    return (task for task in lint.outline.tasks if task.keyword == "switch")


def _next(task: TaskSite) -> TaskSite | None:
    tasks = task.scope.tasks
    place = next(index for index, other in enumerate(tasks) if other is task)
    return tasks[place + 1] if place + 1 < len(tasks) else None


def _goes_on(task: TaskSite) -> bool:
    """Whether the task that is listed next can follow it."""
    if "if" in task.data:
        return True
    if task.keyword == "raise":
        return False
    if task.keyword == "switch":
        directives = [case.get("then") for _, _, case in task.cases]
        no_default = all("when" in case for _, _, case in task.cases)
        return "continue" in directives or (no_default and task.then in (None, "continue"))
    return task.then in (None, "continue")


def _successors(task: TaskSite) -> tuple[list[TaskSite], bool]:
    """The tasks that can follow in the same list, and whether the list can be left after this one."""
    directives = [task.then] if task.then and task.keyword != "switch" else []
    if task.keyword == "switch":
        directives = [case["then"] for _, _, case in task.cases if isinstance(case.get("then"), str)]
        if task.then and all("when" in case for _, _, case in task.cases):
            directives.append(task.then)
    leaves = any(directive in ("exit", "end") for directive in directives) or task.keyword == "raise"
    found = [target for directive in directives if (target := task.scope.named(directive)) is not None]
    if _goes_on(task):
        following = _next(task)
        if following is None:
            leaves = True
        else:
            found.append(following)
    return found, leaves or any(_ends_inside(inner) for inner in task.below())


def _ends_inside(task: TaskSite) -> bool:
    directives = [task.then, *(case.get("then") for _, _, case in task.cases)]
    return "end" in directives or task.keyword == "raise"


def _reachable(scope: Scope) -> list[TaskSite]:
    reached: list[TaskSite] = []
    waiting = [scope.tasks[0]]
    while waiting:
        task = waiting.pop()
        if task not in reached:
            reached.append(task)
            waiting += _successors(task)[0]
    return reached


@dataclass(frozen=True, slots=True)
class _Circle:
    """Tasks that can follow one another in a circle. pointer: the jump that closes it."""

    pointer: str
    names: list[str]
    leaves: bool
    waits: bool


def _circles(lint: Lint) -> Iterator[_Circle]:
    for scope in lint.outline.scopes:
        if scope.kind == "branches":
            continue
        seen: set[frozenset[int]] = set()
        for task, pointer, target in _jumps_of(scope):
            goal = scope.named(target)
            if goal is None or goal.index > task.index:
                continue
            members = [other for other in scope.tasks if _leads(goal, other) and _leads(other, task)]
            if not any(member is task for member in members):
                continue
            key = frozenset(member.index for member in members)
            if key in seen:
                continue
            seen.add(key)
            leaves = any(
                left or any(follower not in members for follower in followers)
                for followers, left in map(_successors, members)
            )
            waits = any(_waits(member) for member in members)
            yield _Circle(pointer, [member.name for member in members], leaves, waits)


def _jumps_of(scope: Scope) -> Iterator[tuple[TaskSite, str, str]]:
    for task in scope.tasks:
        if task.then is not None:
            yield task, task.at("then"), task.then
        for pointer, _, case in task.cases:
            if isinstance(case.get("then"), str):
                yield task, child(pointer, "then"), case["then"]


def _leads(start: TaskSite, goal: TaskSite) -> bool:
    """Whether the goal can follow the start, at once or after others."""
    seen: list[TaskSite] = []
    waiting = [start]
    while waiting:
        task = waiting.pop()
        if task is goal:
            return True
        if task not in seen:
            seen.append(task)
            waiting += _successors(task)[0]
    return False


def _waits(task: TaskSite) -> bool:
    """Whether time passes, or a person or an event is waited for, within a task."""
    own = task.keyword in ("wait", "listen") or (
        task.keyword == "call" and str(task.data.get("call")).partition(":")[0] in _WAITING_CALLS
    )
    return own or any(_waits(inner) for scope in task.scopes for inner in scope.tasks)
