"""Flows that write to customers: whoever asked to be left alone leaves them at once."""

from collections.abc import Iterator

from domain.dsl.lint.calls import declared_calls
from domain.dsl.lint.events import awaited_types
from domain.dsl.lint.outline import TaskSite, as_dict
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import Text

SUPPRESSED = "tandem.customer.suppressed"
_PAUSES = ("wait-for", "wait-until", "human-task")


@rule("marketing-goes-on", "warning")
def marketing_goes_on(lint: Lint) -> Iterator[Remark]:
    """`send` skips who is silenced; the run would wait on, tag and disturb colleagues for somebody it cannot reach."""
    tasks = [*lint.outline.tasks, *lint.outline.functions.values()]
    advertising = [task for task in tasks if _is_marketing(task)]
    hears = any(name == SUPPRESSED for _, name in awaited_types(lint))
    if advertising and not hears and any(_pauses(task) for task in lint.outline.tasks):
        yield Remark(
            advertising[0].at("with", "purpose"),
            Text(
                f"流程会等待，之后再向客户营销，却没有等 {SUPPRESSED}：客户要求勿扰后流程仍会走到底。"
                "请用 fork（compete: true）加一个等这个事件的分支，见 docs/journeys.md",
                f"The flow waits and then advertises, and nothing waits for {SUPPRESSED}: it goes on to its end for "
                "who asked to be left alone. Add a branch that waits for it, in a fork with compete: true; see "
                "docs/journeys.md",
            ),
        )


@rule("unguarded-message", "info")
def unguarded_messages(lint: Lint) -> Iterator[Remark]:
    """A platform's own call knows neither who asked to be left alone nor how much one may hear in a week."""
    for task, declared in declared_calls(lint):
        if declared.writes_to is not None:
            yield Remark(
                task.at("call"),
                Text(
                    f"{declared.name} 直接发出，不看勿扰、同意、免打扰时段和频次：服务通知可以，推广请用 send",
                    f"{declared.name} writes at once, whatever the customer asked for and however often: fine for "
                    "service, but advertise with `send`",
                ),
            )


def _is_marketing(task: TaskSite) -> bool:
    call = task.data.get("call")
    is_send = isinstance(call, str) and call.partition(":")[0] == "send"
    return is_send and as_dict(task.data.get("with")).get("purpose") == "marketing"


def _pauses(task: TaskSite) -> bool:
    call = task.data.get("call")
    return task.keyword in ("wait", "listen") or (isinstance(call, str) and call.partition(":")[0] in _PAUSES)
