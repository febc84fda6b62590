"""An example of every operation's body and answer, by operation id; a test holds each against its schema."""

from typing import Any

from api.tag_examples import TAG_REQUESTS, TAG_RESPONSES

_AT = "2026-11-11T00:00:00Z"
_DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PAGE_END = {"next_cursor": None}


def _page(*items: Any) -> dict[str, Any]:
    return {"items": list(items), **_PAGE_END}


def _version(kind: str, namespace: str, name: str, title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "version": "1.0.0",
        "digest": _DIGEST,
        "title": title,
        "author": "ops",
        "uploaded_at": _AT,
        "published_by": "approver",
        "published_at": _AT,
        "properties": properties,
    }


_FLOW = _version("flow", "apparel", "return-refund", "退货退款", {"listens": [], "secrets": []})
_QUEUE = _version("queue", "", "warehouse", "仓库", {"name": "warehouse", "version": "1.0.0", "title": {"zh": "仓库"}})
_FLOW_TEXT = "document:\n  dsl: '1.0.3'\n  namespace: apparel\n  name: return-refund\n  version: '1.0.0'\n"
_FINDING = {
    "file": "return-refund.yaml",
    "code": "unknown-key",
    "severity": "error",
    "line": 8,
    "column": 7,
    "message": {"zh": "没有 sett，是不是想写“set”？", "en": "There is no sett. Did you mean “set”?"},
}
_RELEASE = {
    "id": 7,
    "namespace": "apparel",
    "name": "return-refund",
    "action": "release",
    "stable": "1.0.0",
    "candidate": "1.1.0",
    "share_percent": 10,
    "actor": "ops",
    "reason": "先放量一成",
    "at": _AT,
}
_RUN = {
    "id": "flow/apparel/return-refund/2026112300001",
    "namespace": "apparel",
    "name": "return-refund",
    "version": "1.0.0",
    "digest": _DIGEST,
    "subject": "refund:2026112300001",
    "subjects": ["refund:2026112300001", "order:E20261123"],
    "customer": None,
    "ticket": None,
    "phase": "waiting",
    "attempt": 1,
    "started_by": "system:events",
    "parent_id": None,
    "created_at": _AT,
    "started_at": _AT,
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
    "opened_at": _AT,
    "claimed_at": _AT,
    "started_at": None,
    "ended_at": None,
    "changed_at": _AT,
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
_CUSTOMER = "0199c0de-0000-7000-8000-000000000001"
_FORMER_CUSTOMER = "0199c0de-0000-7000-8000-000000000002"
_DECISION = "0199c0df-0000-7000-8000-000000000003"
_BUYER = {
    "id": 41,
    "kind": "buyer",
    "scope": "jd",
    "value": "jdAB****0007",
    "customer": _CUSTOMER,
    "first_seen_at": _AT,
    "crowded": False,
}
_PHONE = {**_BUYER, "id": 42, "kind": "phone", "scope": "", "value": "+86138****8000"}
_OTHER_BUYER = {**_BUYER, "id": 57, "scope": "pinduoduo", "value": "pddX****0042"}
_SUGGESTION = {
    "id": "0199c0e0-0000-7000-8000-000000000004",
    "why": "shared_device",
    "made_at": _AT,
    "low": _BUYER,
    "high": {**_BUYER, "id": 63, "scope": "taobao", "value": "AAHx****77Zk", "customer": _FORMER_CUSTOMER},
}
_DECIDED = {"decision": _DECISION, "verdict": "join", "customers": [_CUSTOMER]}
_REASON = {"reason": "电话核实为同一人"}
_PROFILE_KEY = {"id": 42, "kind": "phone", "scope": "", "value": "+86138****8000", "first_seen_at": _AT}
_ORDER_ENTRY = {
    "kind": "order",
    "at": _AT,
    "key": "1207",
    "account_id": "jd/flagship",
    "data": {"order_id": "E20261111", "status": "paid", "currency": "CNY", "paid_minor": 19900, "lines": []},
}
_ERASURE: dict[str, Any] = {
    "customer": _CUSTOMER,
    "state": "working",
    "step": "events",
    "requested_by": "root",
    "requested_at": _AT,
    "ended_at": None,
    "changed": {},
}
_EVENT = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/pos/store-0017",
    "type": "com.example.visit",
    "subject": "customer:42",
    "data": {"seconds": 300},
}
_ACCOUNT = {
    "id": "youzan/demo-apparel",
    "platform": "youzan",
    "slug": "demo-apparel",
    "name": "示例女装店",
    "unit_path": "/east/store-0017/",
    "credential_names": ["client_secret"],
    "settings": {"client_id": "app-1", "kdt_id": 4242},
    "active": True,
    "created_at": _AT,
    "rotated_at": _AT,
}
_USER = {
    "id": "01928d1c-5b4e-7c31-9a3b-0f6c2d1e8a77",
    "login": "li.lei",
    "name": "李雷",
    "roles": ["agent"],
    "scope": {"kind": "branch", "accounts": [], "branch": "/east/", "owner": None},
    "unit_path": "/east/store-0017/",
    "queues": ["warehouse"],
    "active": True,
    "created_at": _AT,
}
_TOKEN = {
    "id": "01928d1c-6a01-7d02-8b1c-2c9f5e7d4b10",
    "prefix": "k3m9x0c2b7qa",
    "kind": "api",
    "name": "warehouse scanner",
    "login": "li.lei",
    "scopes": ["tasks.read", "tasks.work"],
    "created_at": _AT,
    "expires_at": "2027-02-09T00:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}
_UNIT = {"path": "/east/store-0017/", "name": "东区 17 号店"}
_FUNCTION = {
    "name": "youzan.get_refund",
    "version": "1.0.0",
    "title": {"zh": "读取退款单", "en": "Read a refund"},
    "kind": "outside",
    "effect": "none",
    "queue": "platform.youzan",
    "timeout_s": 30,
    "deadline_s": 600,
    "attempts": 5,
    "grants": [],
    "input": {"type": "object", "properties": {"refund_id": {"type": "string"}}},
    "output": {"type": "object"},
    "example": {"refund_id": "2026112300001"},
}
_REASON = {"reason": "客户改变了主意"}

_SUBSCRIPTION = {
    "id": "01928d1c-7b02-7a11-9c3d-5e8f7a6b4c30",
    "name": "数据仓库",
    "url": "https://warehouse.example.com/tandem",
    "types": ["tandem.order.*", "tandem.refund.created"],
    "accounts": ["youzan/flagship"],
    "masked": True,
    "batched": False,
    "created_at": _AT,
    "created_by": "ops",
    "paused_at": None,
    "cursor": 8192,
    "delivered": 1024,
    "attempts": 0,
    "next_attempt_at": _AT,
    "problem": None,
    "problem_at": None,
}

REQUESTS: dict[str, Any] = {
    "log_in": {"login": "ops", "password": "correct horse battery"},
    "take_push": {"type": "trade_TradePaid", "kdt_id": 4242, "msg_id": "1", "msg": "…"},
    "change_own_password": {"current": "correct horse battery", "password": "staple battery horse"},
    "dry_run_definition": {
        "namespace": "apparel",
        "name": "return-refund",
        "version": "1.0.0",
        "input": {"refund_id": "2026112300001"},
        "events": [{"after_s": 3600, "event": _EVENT}],
    },
    "export_customer": {"reason": "本人申请查阅"},
    "erase_customer": {"reason": "本人申请删除"},
    "merge_customers": {"others": [_FORMER_CUSTOMER], **_REASON},
    "split_customer": {"identities": [57], "reason": "妻子的账号"},
    "settle_identity_suggestion": {"verdict": "join", **_REASON},
    "release_version": {"version": "1.1.0", "share_percent": 10, "reason": "先放量一成"},
    "roll_back_release": {"reason": "退款金额有误"},
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
    "retry_parked_events": {"ids": [1024]},
    "retry_quarantined_pushes": {"ids": [2048]},
    "create_subscription": {
        "name": "数据仓库",
        "url": "https://warehouse.example.com/tandem",
        "types": ["tandem.order.*", "tandem.refund.created"],
        "accounts": ["youzan/flagship"],
    },
    "redrive_dead_letters": {"seqs": [4096]},
    "connect_account": {
        "platform": "youzan",
        "slug": "demo-apparel",
        "name": "示例女装店",
        "unit_path": "/east/store-0017/",
        "credentials": {"client_secret": "…"},
        "settings": {"client_id": "app-1", "kdt_id": 4242},
    },
    "rotate_account_credentials": {"credentials": {"client_secret": "…"}},
    **TAG_REQUESTS,
    "set_secret": {"members": {"username": "warehouse", "password": "…"}},
    "create_user": {
        "login": "li.lei",
        "name": "李雷",
        "roles": ["agent"],
        "scope": {"kind": "branch", "branch": "/east/"},
        "unit_path": "/east/store-0017/",
        "queues": ["warehouse"],
        "password": "correct horse battery",
    },
    "change_user_rights": {"roles": ["agent", "supervisor"]},
    "set_user_password": {"password": "correct horse battery"},
    "issue_token": {"name": "warehouse scanner", "scopes": ["tasks.read", "tasks.work"], "life_days": 90},
    "add_unit": _UNIT,
}

RESPONSES: dict[str, Any] = {
    "log_in": {"token": "tandem_k3m9x0c2b7qa_…", "expires_at": "2026-11-11T12:00:00Z"},
    "show_caller": {
        "login": "li.lei",
        "roles": ["agent"],
        "permissions": ["runs.read", "tasks.read", "tasks.work"],
        "scope": _USER["scope"],
        "queues": ["warehouse"],
    },
    "upload_definitions": {
        "documents": [{"file": "return-refund.yaml", "version": _FLOW, "outcome": "created", "warnings": []}]
    },
    "lint_definitions": {"ok": False, "findings": [_FINDING]},
    "dry_run_definition": {
        "status": "completed",
        "output": {"refunded_minor": 12900},
        "error": None,
        "tasks": [{"name": "check", "reference": "/do/0/check", "status": "completed"}],
        "calls": [{"call": "youzan.get_refund", "arguments": {"refund_id": "2026112300001"}}],
        "emitted": [],
        "virtual_s": 3600,
    },
    "list_definitions": _page(_FLOW),
    "list_definition_versions": {"items": [_FLOW]},
    "compare_definition_versions": {
        "text": "--- 1.0.0\n+++ 1.1.0\n@@ -9 +9 @@\n-    due: P1D\n+    due: P2D",
        "added": [],
        "removed": [],
        "changed": ["inspect"],
        "sections": [],
    },
    "show_definition_version": {
        **_FLOW,
        "text": _FLOW_TEXT,
        "document": {"document": {"dsl": "1.0.3", "namespace": "apparel", "name": "return-refund"}},
    },
    "draw_definition_version": {
        "title": "退货退款",
        "summary": "流程 apparel/return-refund 1.0.0，共 1 个任务",
        "nodes": [
            {"id": "n0", "kind": "start", "label": "开始", "details": [], "parent": None, "reference": ""},
            {
                "id": "n1",
                "kind": "human",
                "label": "inspect",
                "details": ["warehouse"],
                "parent": None,
                "reference": "/do/0/inspect",
            },
        ],
        "edges": [{"source": "n0", "target": "n1", "label": "", "kind": "next"}],
    },
    "publish_definition_version": _FLOW,
    "approve_definition_version": _FLOW,
    "list_resources": _page(_QUEUE),
    "list_resource_versions": {"items": [_QUEUE]},
    "compare_resource_versions": {"text": "", "added": [], "removed": [], "changed": [], "sections": []},
    "show_resource_version": {
        **_QUEUE,
        "text": "queue: {name: warehouse, title: 仓库}\n",
        "document": {"queue": {"name": "warehouse", "version": "1.0.0", "title": {"zh": "仓库"}}},
    },
    "publish_resource_version": _QUEUE,
    "approve_resource_version": _QUEUE,
    "release_version": _RELEASE,
    "roll_back_release": {**_RELEASE, "id": 8, "action": "rollback", "candidate": None, "share_percent": 0},
    "show_release": _RELEASE,
    "list_releases": _page(_RELEASE),
    "start_run": _RUN,
    "list_runs": _page(_RUN),
    "show_run": {
        **_RUN,
        "input": {"refund_id": "2026112300001"},
        "output": None,
        "error": None,
        "tasks": [{"name": "inspect", "reference": "/do/1/inspect", "status": "waiting", "startedAt": _AT}],
        "dropped_tasks": 0,
        "start_problem": None,
        "live": True,
        "masked": True,
    },
    "cancel_run": {**_RUN, "phase": "cancelled", "ended_at": _AT},
    "suspend_run": {**_RUN, "phase": "suspended"},
    "resume_run": _RUN,
    "retry_run": {**_RUN, "phase": "running", "attempt": 2},
    "list_human_tasks": _page(_TASK),
    "show_human_task": _WHOLE_TASK,
    "claim_human_task": _OWN_TASK,
    "release_human_task": {**_WHOLE_TASK, "state": "ready", "assignee": None, "version": 3},
    "delegate_human_task": {**_WHOLE_TASK, "assignee": "han.meimei", "version": 3},
    "start_human_task": {**_OWN_TASK, "state": "in_progress", "started_at": _AT, "version": 3},
    "save_human_task_draft": {**_OWN_TASK, "state": "in_progress", "draft": {"grade": "B"}, "version": 3},
    "complete_human_task": {**_WHOLE_TASK, "state": "completed", "output": {"grade": "A"}, "version": 3},
    "fail_human_task": {**_WHOLE_TASK, "state": "failed", "comment": "包裹是空的", "version": 3},
    "publish_events": {"received": 1, "new": 1},
    "list_parked_events": _page(
        {"seq": 1024, "event": _EVENT, "attempts": 6, "reason": "the engine was away", "parked_at": _AT}
    ),
    "retry_parked_events": {"found": 1},
    "list_quarantined_pushes": _page(
        {
            "id": 2048,
            "platform": "youzan",
            "account": "demo-apparel",
            "kind": "trade_TradePaid",
            "received_at": _AT,
            "reason": "no field tid",
        }
    ),
    "retry_quarantined_pushes": {"found": 1},
    "import_table": {
        "rows": 1024,
        "records": 1020,
        "new": 1000,
        "known": 20,
        "refused": 2,
        "digest": _DIGEST,
        "dry_run": False,
        "errors": [
            {
                "line": 17,
                "column": "买家实付金额",
                "reason": {"zh": "不是有效的金额", "en": "this is no amount of money"},
            }
        ],
        "more_errors": 0,
    },
    "connect_account": _ACCOUNT,
    "list_accounts": _page(_ACCOUNT),
    "show_account": _ACCOUNT,
    "rotate_account_credentials": _ACCOUNT,
    "disconnect_account": {**_ACCOUNT, "active": False},
    "reconnect_account": _ACCOUNT,
    "test_account_connection": {
        "ok": False,
        "fault": "permission",
        "message": {
            "zh": "应用没有该接口的权限：没有权限 (youzan 4301)",
            "en": "The application may not use this interface: 没有权限 (youzan 4301)",
        },
        "hint": {
            "zh": "在有赞云控制台为应用申请交易与退款接口权限",
            "en": "Apply for the trade and refund interfaces in the console",
        },
    },
    "explain_customer": {
        "customer": _CUSTOMER,
        "aliases": [_FORMER_CUSTOMER],
        "keys": [_BUYER, _PHONE, _OTHER_BUYER],
        "others": [],
        "links": [
            {
                "low": 41,
                "high": 42,
                "strength": "phone",
                "account_id": "jd/flagship",
                "record": "order:290001234567",
                "seen_at": _AT,
            }
        ],
        "decisions": [
            {
                "id": _DECISION,
                "verdict": "join",
                "pairs": [[41, 57]],
                "actor": "wang.wei",
                "reason": "电话核实为同一人",
                "decided_at": _AT,
                "undone_at": None,
                "undone_by": None,
            }
        ],
        "moves": [
            {
                "identity": 57,
                "from_customer": _FORMER_CUSTOMER,
                "to_customer": _CUSTOMER,
                "cause": "decision",
                "detail": {"decision": _DECISION},
                "moved_at": _AT,
            }
        ],
        "suggestions": [_SUGGESTION],
    },
    "find_customers": _page({"customer": _CUSTOMER, "identities": [_PROFILE_KEY]}),
    "show_customer": {
        "customer": _CUSTOMER,
        "aliases": [_FORMER_CUSTOMER],
        "identities": [_PROFILE_KEY],
        "totals": [
            {
                "platform": "jd",
                "currency": "CNY",
                "orders": 3,
                "paid_orders": 2,
                "paid_minor": 39800,
                "refunded_minor": 900,
                "first_order_at": _AT,
                "last_order_at": _AT,
            }
        ],
        "orders": [_ORDER_ENTRY],
        "refunds": [],
        "parcels": [],
        "chats": [{**_ORDER_ENTRY, "kind": "chat", "key": "m-1", "data": {"text": "尺码偏大吗？", "name": "in"}}],
        "contacts": [],
        "coupons": [],
        "activities": [],
        "tags": [{"tag": "复购", "since": _AT, "why": ["近 90 天已付款 3 单"]}],
        "runs": [],
        "tasks": [],
        "touches": [],
        "masked": True,
    },
    "list_customer_timeline": {**_page(_ORDER_ENTRY), "masked": True},
    "export_customer": {
        "customer": _CUSTOMER,
        "aliases": [],
        "exported_at": _AT,
        "identities": [{"kind": "phone", "scope": "", "value": "+8613800138000"}],
        "evidence": [],
        "tags": [],
        "records": [_ORDER_ENTRY],
    },
    "erase_customer": _ERASURE,
    "show_customer_erasure": {**_ERASURE, "state": "done", "ended_at": _AT, "changed": {"orders": 3, "events": 12}},
    "merge_customers": _DECIDED,
    "split_customer": {**_DECIDED, "verdict": "part", "customers": [_CUSTOMER, _FORMER_CUSTOMER]},
    "undo_identity_decision": {**_DECIDED, "customers": [_CUSTOMER, _FORMER_CUSTOMER]},
    "list_identity_suggestions": _page(_SUGGESTION),
    "settle_identity_suggestion": _DECIDED,
    **TAG_RESPONSES,
    "create_subscription": {"secret": "whsec_…", "subscription": _SUBSCRIPTION},
    "list_subscriptions": {"items": [_SUBSCRIPTION]},
    "show_subscription": {"subscription": _SUBSCRIPTION, "lag": {"events": 12, "since": _AT, "dead": 1}},
    "pause_subscription": {**_SUBSCRIPTION, "paused_at": _AT},
    "resume_subscription": _SUBSCRIPTION,
    "list_dead_letters": _page(
        {
            "seq": 4096,
            "source": "/youzan/flagship",
            "event_id": "E20261111-1",
            "type": "tandem.order.paid",
            "reason": "HTTP 500",
            "attempts": 10,
            "failed_at": _AT,
            "redriven_at": None,
        }
    ),
    "redrive_dead_letters": {"found": 1},
    "list_secrets": {
        "items": [{"name": "warehouse", "members": ["password", "username"], "updated_at": _AT, "updated_by": "admin"}]
    },
    "create_user": _USER,
    "list_users": _page(_USER),
    "show_user": _USER,
    "change_user_rights": {**_USER, "roles": ["agent", "supervisor"]},
    "disable_user": {**_USER, "active": False},
    "enable_user": _USER,
    "issue_token": {"text": "tandem_k3m9x0c2b7qa_…", "token": _TOKEN},
    "list_tokens": _page(_TOKEN),
    "list_units": _page({"path": "/", "name": "总部"}, _UNIT),
    "add_unit": _UNIT,
    "list_audit_entries": _page(
        {
            "id": "01928d1c-7b02-7a11-9c3d-5e8f7a6b4c20",
            "at": _AT,
            "actor": "li.lei",
            "token_id": None,
            "action": "task.claim",
            "target": "task:0d3c1a52-7f0e-5c7e-9d55-0a9f3f1c2b11",
            "detail": {"version": 2},
        }
    ),
    "verify_audit_chain": {
        "intact": True,
        "sealed": 4096,
        "pending": 3,
        "findings": [],
        "head": {"position": 4096, "seal": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    },
    "list_functions": {"items": [_FUNCTION]},
    "show_function": _FUNCTION,
    "list_event_types": {
        "items": [
            {
                "name": "tandem.refund.created",
                "title": {"zh": "买家申请退款", "en": "A buyer asked for a refund"},
                "example": {"refund_id": "2026112300001"},
            }
        ]
    },
    "show_flow_schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
    "check_liveness": {"status": "ok"},
    "check_readiness": {"status": "ok", "database": "up", "temporal": "up"},
}
