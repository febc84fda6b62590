"""Examples of reconciling bills of platforms."""

from typing import Any

from api.examples.parts import DIGEST, page

_BILL = {
    "id": 311,
    "account": "wechat_pay/main",
    "day": "2026-11-11",
    "kind": "trade",
    "source": "platform",
    "digest": "5f0c4b7d1e9a2c8834b6f1d07a93e2c5b8d04f61",
    "rows": 1284,
    "in_minor": 38_412_900,
    "out_minor": 1_205_700,
    "fee_minor": 223_243,
    "taken_by": "system:bills",
    "taken_at": "2026-11-12T02:41:07Z",
    "state": "taken",
    "reason": None,
    "decided_by": None,
    "decided_at": None,
    "note": None,
}
_FROM_FILE = {**_BILL, "source": "file", "digest": DIGEST, "taken_by": "qian"}
_DECIDED = {"decided_by": "wu", "decided_at": "2026-11-12T06:00:00Z"}
_SAID = {"shops": ["wechat_store/main"], "fee_bps": 60, "fees_back": True, "window_days": 3, "bank": False}
_PROPOSAL = "5b0c2c1e-7d0a-4a6e-9c51-3c6a55a1f0d2"
_PROPOSED = {
    **_SAID,
    "account": "wechat_pay/main",
    "shops": [],
    "fee_bps": None,
    "proposed": {"id": _PROPOSAL, **_SAID, "by": "qian", "at": "2026-11-10T02:00:00Z"},
}
_TERMS = {"account": "wechat_pay/main", **_SAID, "proposed": None}
_BREAK = {
    "id": "0f9e2a6c-54a1-5f5e-8c31-2f7a61c40e11",
    "subject": "bill:wechat_pay/main/2026-11-11",
    "account": "wechat_pay/main",
    "day": "2026-11-11",
    "kind": "amount",
    "family": "payment",
    "shop": "wechat_store/main",
    "number": "E20261111000001",
    "lines": [[311, 27, "payment"]],
    "our_minor": 29900,
    "their_minor": 29800,
    "difference_minor": -100,
    "suggestion": None,
    "state": "open",
    "opened_at": "2026-11-12T02:41:09Z",
    "assignee": None,
    "ticket": None,
    "reason": None,
    "note": None,
    "explained_by": None,
    "explained_at": None,
    "solved_by": None,
    "solved_at": None,
}
_EXPLAINED = {
    **_BREAK,
    "state": "explained",
    "reason": "agreed",
    "note": "改价后客服退差 1 元",
    "explained_by": "qian",
    "explained_at": "2026-11-12T03:10:00Z",
}

REQUESTS: dict[str, Any] = {
    "set_bill_terms": _SAID,
    "confirm_bill_terms": {"proposal": _PROPOSAL},
    "refuse_bill_terms": {"proposal": _PROPOSAL},
    "confirm_bill": {"note": "已核对后台"},
    "withdraw_bill": {"note": "列映射有误"},
    "assign_break": {"to": "qian", "ticket": "T20261112000004"},
    "explain_break": {"reason": "agreed", "note": "改价后客服退差 1 元"},
    "solve_break": {"note": "已核对聊天记录"},
    "refuse_break": {"note": "请附聊天记录"},
}
RESPONSES: dict[str, Any] = {
    "list_bills": page(_BILL),
    "take_bill": {"bill": _FROM_FILE, "new": True},
    "confirm_bill": {**_FROM_FILE, "reason": "平台维护，账单下载停用", **_DECIDED},
    "withdraw_bill": {**_FROM_FILE, "state": "withdrawn", "note": "列映射有误", **_DECIDED},
    "show_bill_terms": _TERMS,
    "set_bill_terms": _PROPOSED,
    "confirm_bill_terms": _TERMS,
    "refuse_bill_terms": {**_PROPOSED, "proposed": None},
    "reconcile_day": {
        "account": "wechat_pay/main",
        "day": "2026-11-11",
        "rows": 1296,
        "matched": 1295,
        "breaks": 1,
        "not_compared": [],
        "digest": DIGEST,
        "changed": True,
    },
    "list_breaks": page(_BREAK),
    "list_unreconciled": {
        "items": [{"account": "youzan/flagship", "day": "2026-11-09", "why": "no-bill", "missing": ["trade"]}],
        "more": 0,
    },
    "list_aged_breaks": {
        "items": [{"account": "wechat_pay/main", "kind": "amount", "age": "0-1", "breaks": 1, "difference_minor": 100}],
        "unreconciled": [{"account": "youzan/flagship", "age": "2-3", "days": 1}],
    },
    "show_break": _BREAK,
    "assign_break": {**_BREAK, "assignee": "qian", "ticket": "T20261112000004"},
    "explain_break": _EXPLAINED,
    "solve_break": {**_EXPLAINED, "state": "solved", "solved_by": "wu", "solved_at": "2026-11-12T05:00:00Z"},
    "refuse_break": {**_BREAK, "note": "请附聊天记录"},
}
