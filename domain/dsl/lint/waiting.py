"""Every wait has an end, every retry a limit."""

from collections.abc import Iterator

from domain.dsl.lint.outline import TaskSite, as_dict
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.dsl.lint.structure import retry_policies
from domain.problems import Text


@rule("listen-without-timeout", "warning")
def listen_without_timeout(lint: Lint) -> Iterator[Remark]:
    for task in lint.outline.tasks:
        if task.keyword == "listen" and not _bounded(task, lint):
            yield Remark(
                task.pointer,
                Text(
                    f"“{task.name}”等待事件却没有期限，事件不来就会一直等。请加 timeout（如 after: P3D），"
                    "外面用 try/catch 处理超时",
                    f"“{task.name}” waits for events without a deadline and may wait for ever. Add a timeout (such as "
                    "after: P3D) and catch it with try/catch",
                ),
                of_key=True,
            )


@rule("human-task-without-timeout", "warning")
def human_task_without_timeout(lint: Lint) -> Iterator[Remark]:
    for task, name in lint.outline.calls():
        if name.partition(":")[0] == "human-task" and not _bounded(task, lint):
            yield Remark(
                task.pointer,
                Text(
                    f"人工任务“{task.name}”没有期限，没人处理就会一直等。请加 timeout，外面用 try/catch 升级处理",
                    f"The human task “{task.name}” has no deadline and waits for ever when nobody takes it. Add a "
                    "timeout, and escalate it with try/catch",
                ),
                of_key=True,
            )


def _bounded(task: TaskSite, lint: Lint) -> bool:
    """Whether the task, something around it, or the whole flow has a timeout."""
    holders = [task.data, *(outer.data for outer in task.around()), lint.outline.data]
    return any(holder.get("timeout") is not None for holder in holders)


@rule("retry-without-limit", "error")
def retry_without_limit(lint: Lint) -> Iterator[Remark]:
    for pointer, policy in retry_policies(lint):
        limit = as_dict(policy.get("limit"))
        if limit.get("duration") is None and as_dict(limit.get("attempt")).get("count") is None:
            yield Remark(
                pointer,
                Text(
                    "重试没有上限，会无限重试。请加 limit，例如 limit: { attempt: { count: 5 } }",
                    "The retry has no limit and would go on for ever. Add one, such as "
                    "limit: { attempt: { count: 5 } }",
                ),
                of_key=True,
            )


@rule("retry-without-delay", "warning")
def retry_without_delay(lint: Lint) -> Iterator[Remark]:
    for pointer, policy in retry_policies(lint):
        if policy and policy.get("delay") is None and policy.get("jitter") is None:
            yield Remark(
                pointer,
                Text(
                    "重试之间没有间隔，出错后会立刻连续重试。请加 delay，例如 delay: PT5S",
                    "There is no pause between retries: they follow at once. Add a delay, such as delay: PT5S",
                ),
                of_key=True,
            )
