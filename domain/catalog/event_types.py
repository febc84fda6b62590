"""Every event type that a flow can listen to without anybody having to publish it by hand."""

from domain.catalog.events import EVENT_TYPES
from domain.catalog.interaction_events import INTERACTION_EVENT_TYPES
from domain.events import EventType
from domain.problems import Text

_HUMAN_TASK = {"task": "inspect", "queue": "warehouse", "run": "run-1", "assignee": "li.lei", "form": {"grade": "A"}}
_FLOW = {"name": "return-refund.apparel", "definition": {"namespace": "apparel", "name": "return-refund"}}
_TASK = {"workflow": "run-1", "task": "/do/0/inspect"}

HUMAN_TASK_EVENT_TYPES: tuple[EventType, ...] = tuple(
    EventType(name=f"tandem.human-task.{name}", title=Text(zh, en), example=_HUMAN_TASK)
    for name, zh, en in (
        ("created", "人工任务已创建", "A human task was created"),
        ("claimed", "人工任务已认领", "A human task was claimed"),
        ("completed", "人工任务已完成", "A human task was completed"),
        ("failed", "人工任务已标记失败", "A human task failed"),
        ("overdue", "人工任务已超期", "A human task is overdue"),
        ("exited", "人工任务已撤销", "A human task is no longer needed"),
    )
)

_LIFECYCLE = (
    ("started", "开始", "started"),
    ("suspended", "暂停", "was suspended"),
    ("resumed", "恢复", "was resumed"),
    ("cancelled", "取消", "was cancelled"),
    ("faulted", "失败", "failed"),
    ("completed", "完成", "completed"),
    ("status-changed", "状态变化", "changed its status"),
)

LIFECYCLE_EVENT_TYPES: tuple[EventType, ...] = (
    *(
        EventType(
            name=f"io.serverlessworkflow.workflow.{name}.v1",
            title=Text(f"流程{zh}", f"A flow {en}"),
            example=_FLOW,
        )
        for name, zh, en in _LIFECYCLE
    ),
    *(
        EventType(name=f"io.serverlessworkflow.task.{name}.v1", title=Text(f"任务{zh}", f"A task {en}"), example=_TASK)
        for name, zh, en in (("created", "创建", "was created"), ("retried", "重试", "was retried"), *_LIFECYCLE)
    ),
)

KNOWN_EVENT_TYPES: dict[str, EventType] = {
    kind.name: kind
    for kind in (*EVENT_TYPES, *INTERACTION_EVENT_TYPES, *HUMAN_TASK_EVENT_TYPES, *LIFECYCLE_EVENT_TYPES)
}
"""Event types by name."""
