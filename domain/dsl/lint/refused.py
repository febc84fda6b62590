"""What the standard has and Tandem refuses: processes outside the platform, protocols it does not speak."""

from collections.abc import Iterator

from domain.dsl.findings import child, listed
from domain.dsl.lint.outline import REFUSED_CALLS, as_dict
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import Text

_REFUSED_PROCESSES = ("script", "shell", "container")


@rule("refused-run", "error")
def refused_run(lint: Lint) -> Iterator[Remark]:
    for task in lint.outline.tasks:
        for process in _REFUSED_PROCESSES:
            if task.keyword == "run" and process in as_dict(task.data["run"]):
                yield Remark(
                    task.at("run", process),
                    Text(
                        f"不支持 run.{process}：流程里不能运行外部程序。请改用 call（平台能力、http）"
                        "或子流程 run.workflow",
                        f"run.{process} is refused: a flow cannot run programs. Use a call (a platform's capability, "
                        "http) or a child flow with run.workflow",
                    ),
                    of_key=True,
                )


@rule("refused-call", "error")
def refused_call(lint: Lint) -> Iterator[Remark]:
    for task, name in lint.outline.calls():
        if name in REFUSED_CALLS:
            yield Remark(
                task.at("call"),
                Text(
                    f"不支持 call: {name}。可用的有 http、openapi 和平台能力：{_examples(lint)}",
                    f"call: {name} is refused. Use http, openapi or a platform's capability: {_examples(lint)}",
                ),
            )


@rule("refused-catalog", "error")
def refused_catalog(lint: Lint) -> Iterator[Remark]:
    for name in lint.outline.part("catalogs"):
        yield Remark(
            child("/use/catalogs", name),
            Text(
                "不支持外部函数目录（use.catalogs），只能使用内置能力和 use.functions",
                "Catalogs by address (use.catalogs) are refused; use the built-in functions and use.functions",
            ),
            of_key=True,
        )
    for task, name in lint.outline.calls():
        foreign = "://" in name or ("@" in name and not name.endswith("@default"))
        if foreign and name not in lint.outline.functions:
            yield Remark(
                task.at("call"),
                Text(
                    f"不支持按地址或外部目录引用函数“{name}”，请使用内置能力或 use.functions",
                    f"Functions by address or from another catalog are refused: “{name}”. Use a built-in function or "
                    "use.functions",
                ),
            )


def _examples(lint: Lint) -> str:
    return listed(sorted(name for name in lint.resources.catalog if "." in name), most=4)
