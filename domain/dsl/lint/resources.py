"""What a flow refers to by name and somebody else has to upload: forms, queues, templates, flows, secrets."""

from collections.abc import Collection, Iterator

from domain.dsl.findings import child, did_you_mean, listed
from domain.dsl.lint.outline import as_dict, as_list
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import Text


@rule("missing-queue", "error")
def missing_queue(lint: Lint) -> Iterator[Remark]:
    yield from _missing(lint, "human-task", "queue", lint.resources.queues, Text("队列", "queue"))


@rule("missing-form", "error")
def missing_form(lint: Lint) -> Iterator[Remark]:
    yield from _missing(lint, "human-task", "form", lint.resources.forms, Text("表单", "form"))


@rule("missing-template", "error")
def missing_template(lint: Lint) -> Iterator[Remark]:
    yield from _missing(lint, "send", "template", lint.resources.templates, Text("消息模板", "message template"))


@rule("missing-flow", "warning")
def missing_flow(lint: Lint) -> Iterator[Remark]:
    known = lint.resources.flows
    for task in lint.outline.tasks:
        child_flow = as_dict(as_dict(task.data.get("run")).get("workflow"))
        namespace, name = child_flow.get("namespace"), child_flow.get("name")
        if known is None or not isinstance(namespace, str) or not isinstance(name, str) or "${" in namespace + name:
            continue
        if f"{namespace}/{name}" not in known:
            near = did_you_mean(f"{namespace}/{name}", known)
            yield Remark(
                task.at("run", "workflow", "name"),
                Text(
                    f"还没有发布子流程“{namespace}/{name}”。{near.zh}请先上传并发布",
                    f"There is no published flow “{namespace}/{name}”.{near.en} Upload and publish it first",
                ),
            )


@rule("missing-secret", "warning")
def missing_secret(lint: Lint) -> Iterator[Remark]:
    known = lint.resources.secrets
    for index, name in enumerate(as_list(lint.outline.use.get("secrets"))):
        if known is not None and isinstance(name, str) and name not in known:
            near = did_you_mean(name, known)
            yield Remark(
                child("/use/secrets", index),
                Text(
                    f"还没有设置密钥“{name}”。{near.zh}请管理员先设置",
                    f"The secret “{name}” is not set yet.{near.en} An administrator has to set it",
                ),
            )


def _missing(lint: Lint, call: str, argument: str, known: Collection[str] | None, word: Text) -> Iterator[Remark]:
    if known is None:
        return
    for task, name in lint.outline.calls():
        value = as_dict(task.data.get("with")).get(argument)
        if name.partition(":")[0] != call or not isinstance(value, str) or "${" in value or value in known:
            continue
        near = did_you_mean(value, known)
        yield Remark(
            task.at("with", argument),
            Text(
                f"没有名为“{value}”的{word.zh}。{near.zh}已有：{listed(sorted(known)) or '无'}",
                f"There is no {word.en} “{value}”.{near.en} There are: {listed(sorted(known)) or 'none'}",
            ),
        )
