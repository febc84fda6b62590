"""Definitions, resources, releases and the catalog."""

from typing import Any

from api.examples.parts import AT, DIGEST, EVENT, page


def _version(kind: str, namespace: str, name: str, title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "version": "1.0.0",
        "digest": DIGEST,
        "title": title,
        "author": "ops",
        "uploaded_at": AT,
        "published_by": "approver",
        "published_at": AT,
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
    "at": AT,
}
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

REQUESTS: dict[str, Any] = {
    "dry_run_definition": {
        "namespace": "apparel",
        "name": "return-refund",
        "version": "1.0.0",
        "input": {"refund_id": "2026112300001"},
        "events": [{"after_s": 3600, "event": EVENT}],
    },
    "release_version": {"version": "1.1.0", "share_percent": 10, "reason": "先放量一成"},
    "roll_back_release": {"reason": "退款金额有误"},
}

RESPONSES: dict[str, Any] = {
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
    "list_definitions": page(_FLOW),
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
    "list_resources": page(_QUEUE),
    "list_resource_versions": {"items": [_QUEUE]},
    "compare_resource_versions": {"text": "", "added": [], "removed": [], "changed": [], "sections": []},
    "show_resource_version": {
        **_QUEUE,
        "text": "queue: {name: warehouse, title: 仓库}\n",
        "document": {"queue": {"name": "warehouse", "version": "1.0.0", "title": {"zh": "仓库"}}},
    },
    "explain_resource_version": {
        "sentences": [
            {
                "zh": "方案 promoters 1.0.0：每月结算一次，订单按付款时计业绩",
                "en": "Scheme promoters 1.0.0: settled monthly; an order counts when it is paid",
            }
        ]
    },
    "publish_resource_version": _QUEUE,
    "approve_resource_version": _QUEUE,
    "release_version": _RELEASE,
    "roll_back_release": {**_RELEASE, "id": 8, "action": "rollback", "candidate": None, "share_percent": 0},
    "show_release": _RELEASE,
    "list_releases": page(_RELEASE),
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
}
