"""Customers: who they are, and their profiles."""

from typing import Any

from api.examples.parts import AT, page

_CUSTOMER = "0199c0de-0000-7000-8000-000000000001"
_FORMER_CUSTOMER = "0199c0de-0000-7000-8000-000000000002"
_DECISION = "0199c0df-0000-7000-8000-000000000003"
_BUYER = {
    "id": 41,
    "kind": "buyer",
    "scope": "jd",
    "value": "jdAB****0007",
    "customer": _CUSTOMER,
    "first_seen_at": AT,
    "crowded": False,
}
_PHONE = {**_BUYER, "id": 42, "kind": "phone", "scope": "", "value": "+86138****8000"}
_OTHER_BUYER = {**_BUYER, "id": 57, "scope": "pinduoduo", "value": "pddX****0042"}
_SUGGESTION = {
    "id": "0199c0e0-0000-7000-8000-000000000004",
    "why": "shared_device",
    "made_at": AT,
    "low": _BUYER,
    "high": {**_BUYER, "id": 63, "scope": "taobao", "value": "AAHx****77Zk", "customer": _FORMER_CUSTOMER},
}
_SILENCED = {
    "id": 81,
    "reason": "manual",
    "platform": None,
    "account": None,
    "item_id": None,
    "until": None,
    "made_at": AT,
    "note": "客户要求不再联系",
    "made_by": "wang.wei",
}
_AGREED = {
    "state": "given",
    "purpose": "marketing",
    "channel": None,
    "source": "门店登记表",
    "at": AT,
    "recorded_at": AT,
    "account_id": None,
    "made_by": "wang.wei",
    "in_force": True,
}
_INVITATION = {
    "inviter": {"payee": "P-0137", "customer": None},
    "at": AT,
    "source": "拼团邀请",
    "recorded_at": AT,
    "made_by": "qian",
    "counts": True,
}
_DECIDED = {"decision": _DECISION, "verdict": "join", "customers": [_CUSTOMER]}
_REASON = {"reason": "电话核实为同一人"}
_PROFILE_KEY = {"id": 42, "kind": "phone", "scope": "", "value": "+86138****8000", "first_seen_at": AT}
_ORDER_ENTRY = {
    "kind": "order",
    "at": AT,
    "key": "1207",
    "account_id": "jd/flagship",
    "data": {"order_id": "E20261111", "status": "paid", "currency": "CNY", "paid_minor": 19900, "lines": []},
}
_ERASURE: dict[str, Any] = {
    "customer": _CUSTOMER,
    "state": "working",
    "step": "awaited_orders",
    "requested_by": "root",
    "requested_at": AT,
    "ended_at": None,
    "changed": {},
    "unreadable": {},
    "problem": None,
}

REQUESTS: dict[str, Any] = {
    "export_customer": {"reason": "本人申请查阅"},
    "erase_customer": {"reason": "本人申请删除"},
    "silence_customer": {"reason": "客户要求不再联系"},
    "record_consent": {"state": "given", "source": "门店登记表"},
    "record_invitation": {"inviter": {"payee": "P-0137"}, "at": AT, "source": "拼团邀请"},
    "merge_customers": {"others": [_FORMER_CUSTOMER], **_REASON},
    "split_customer": {"identities": [57], "reason": "妻子的账号"},
    "settle_identity_suggestion": {"verdict": "join", **_REASON},
}

RESPONSES: dict[str, Any] = {
    "find_customers": page({"customer": _CUSTOMER, "identities": [_PROFILE_KEY]}),
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
                "first_order_at": AT,
                "last_order_at": AT,
            }
        ],
        "orders": [_ORDER_ENTRY],
        "refunds": [],
        "parcels": [],
        "chats": [{**_ORDER_ENTRY, "kind": "chat", "key": "m-1", "data": {"text": "尺码偏大吗？", "name": "in"}}],
        "contacts": [],
        "coupons": [],
        "activities": [],
        "tags": [
            {"tag": "复购", "since": AT, "why": ["近 90 天已付款 3 单"], "rule": "repurchase", "version": "1.0.0"}
        ],
        "grades": [
            {
                "grading": "vip",
                "version": "1.0.0",
                "grade": "白银",
                "score": 26,
                "since": AT,
                "why": [{"name": "付款三次以上", "points": 8}],
            }
        ],
        "rhythms": [
            {
                "category": "猫粮",
                "purchases": 4,
                "last_at": AT,
                "interval_days": 32,
                "own": True,
                "due_at": "2026-12-13T00:00:00Z",
            }
        ],
        "suppressions": [_SILENCED],
        "consents": [_AGREED],
        "runs": [],
        "tasks": [],
        "touches": [],
        "masked": True,
    },
    "list_customer_timeline": {**page(_ORDER_ENTRY), "masked": True},
    "export_customer": {
        "table": "orders",
        "data": {"id": 7, "account_id": "jd/flagship", "order_id": "290001234567", "paid_minor": 19900},
    },
    "erase_customer": _ERASURE,
    "show_customer_erasure": {**_ERASURE, "state": "done", "ended_at": AT, "changed": {"orders": 3, "events": 12}},
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
                "seen_at": AT,
            }
        ],
        "decisions": [
            {
                "id": _DECISION,
                "verdict": "join",
                "sides": [[41, 57]],
                "actor": "wang.wei",
                "reason": "电话核实为同一人",
                "decided_at": AT,
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
                "moved_at": AT,
            }
        ],
        "suggestions": [_SUGGESTION],
    },
    "merge_customers": _DECIDED,
    "list_consents": {"items": [_AGREED]},
    "list_invitations": {"items": [_INVITATION]},
    "record_invitation": {"items": [_INVITATION]},
    "record_consent": {"items": [_AGREED]},
    "list_suppressions": {"items": [_SILENCED]},
    "silence_customer": {"items": [_SILENCED]},
    "lift_suppression": {"items": []},
    "split_customer": {**_DECIDED, "verdict": "part", "customers": [_CUSTOMER, _FORMER_CUSTOMER]},
    "undo_identity_decision": {**_DECIDED, "customers": [_CUSTOMER, _FORMER_CUSTOMER]},
    "list_identity_suggestions": page(_SUGGESTION),
    "settle_identity_suggestion": _DECIDED,
}
