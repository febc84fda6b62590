"""Runs and human tasks."""

from typing import Any

from api.examples.parts import AT, DIGEST, page

_RUN = {
    "id": "flow/apparel/return-refund/2026112300001",
    "namespace": "apparel",
    "name": "return-refund",
    "version": "1.0.0",
    "digest": DIGEST,
    "subject": "refund:2026112300001",
    "subjects": ["refund:2026112300001", "order:E20261123"],
    "customer": None,
    "ticket": None,
    "phase": "waiting",
    "attempt": 1,
    "started_by": "system:events",
    "parent_id": None,
    "created_at": AT,
    "started_at": AT,
    "ended_at": None,
    "unit_path": "/east/store-0017/",
    "account_id": "youzan/demo-apparel",
    "customer_owner": None,
}
_TASK = {
    "id": "0d3c1a52-7f0e-5c7e-9d55-0a9f3f1c2b11",
    "run_id": _RUN["id"],
    "name": "inspect",
    "reference": "/do/1/inspect",
    "subject": "refund:2026112300001",
    "queue": "warehouse",
    "title": "验货 E20261123",
    "priority": 50,
    "due_at": "2026-11-12T00:00:00Z",
    "overdue_s": 0,
    "state": "reserved",
    "assignee": "li.lei",
    "version": 2,
    "opened_at": AT,
    "claimed_at": AT,
    "started_at": None,
    "ended_at": None,
    "changed_at": AT,
    "changed_by": "li.lei",
    "unit_path": "/east/store-0017/",
    "account_id": "youzan/demo-apparel",
    "customer_owner": None,
}
_WHOLE_TASK = {
    **_TASK,
    "form_name": "inspection",
    "form": {"type": "object", "required": ["grade"], "properties": {"grade": {"enum": ["A", "B", "C"]}}},
    "data": {"order": "E20261123", "receiver_name": "李**", "receiver_phone": "138****5678"},
    "draft": None,
    "output": None,
    "comment": None,
    "excluded": [],
    "masked": True,
}
_OWN_TASK = {
    **_WHOLE_TASK,
    "data": {"order": "E20261123", "receiver_name": "李明", "receiver_phone": "13812345678"},
    "masked": False,
}
_REASON = {"reason": "客户改变了主意"}

REQUESTS: dict[str, Any] = {
    "start_run": {
        "namespace": "apparel",
        "name": "return-refund",
        "subject": "refund:2026112300001",
        "input": {"refund_id": "2026112300001"},
    },
    "cancel_run": _REASON,
    "suspend_run": _REASON,
    "resume_run": {"reason": "仓库恢复收货"},
    "retry_run": {"reason": "接口已修复"},
    "delegate_human_task": {"to": "han.meimei"},
    "save_human_task_draft": {"form": {"grade": "B"}},
    "complete_human_task": {"form": {"grade": "A"}},
    "fail_human_task": {"comment": "包裹是空的"},
}

RESPONSES: dict[str, Any] = {
    "start_run": _RUN,
    "list_runs": page(_RUN),
    "show_run": {
        **_RUN,
        "input": {"refund_id": "2026112300001"},
        "output": None,
        "error": None,
        "tasks": [{"name": "inspect", "reference": "/do/1/inspect", "status": "waiting", "startedAt": AT}],
        "dropped_tasks": 0,
        "start_problem": None,
        "live": True,
        "masked": True,
    },
    "cancel_run": {**_RUN, "phase": "cancelled", "ended_at": AT},
    "suspend_run": {**_RUN, "phase": "suspended"},
    "resume_run": _RUN,
    "retry_run": {**_RUN, "phase": "running", "attempt": 2},
    "list_human_tasks": page(_TASK),
    "show_human_task": _WHOLE_TASK,
    "claim_human_task": _OWN_TASK,
    "release_human_task": {**_WHOLE_TASK, "state": "ready", "assignee": None, "version": 3},
    "delegate_human_task": {**_WHOLE_TASK, "assignee": "han.meimei", "version": 3},
    "start_human_task": {**_OWN_TASK, "state": "in_progress", "started_at": AT, "version": 3},
    "save_human_task_draft": {**_OWN_TASK, "state": "in_progress", "draft": {"grade": "B"}, "version": 3},
    "complete_human_task": {**_WHOLE_TASK, "state": "completed", "output": {"grade": "A"}, "version": 3},
    "fail_human_task": {**_WHOLE_TASK, "state": "failed", "comment": "包裹是空的", "version": 3},
}
