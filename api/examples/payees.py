"""Examples of payees, whose orders are, what is noted of them, and rates."""

from typing import Any

_NOW, _LATER = "2026-11-11T03:20:00Z", "2026-11-12T01:05:00Z"
_DETAILS = {
    "real_name": "李小红",
    "openid": None,
    "merchant_receiver": None,
    "bank_account": "6222020200112233445",
    "bank_name": "招商银行",
}
_PAYEE = {
    "code": "P-0137",
    "name": "李**",
    "role": "promoter",
    "unit_path": "/east/",
    "cycle": None,
    "active": True,
    "details": {**_DETAILS, "real_name": "李**", "bank_account": "622202*********3445"},
    "id": 137,
    "version": 2,
    "created_at": _NOW,
    "changed_at": _LATER,
}
_CORRECTION = {
    "id": "0199f3a2-7c51-7b1e-9a44-3f1f5f0e6c11",
    "account": "youzan/flagship",
    "order_id": "E20261111000001",
    "role": "promoter",
    "shares": [{"payee": "P-0137", "share": 6000}, {"payee": "P-0138", "share": 4000}],
    "counted_for": "P-0137",
    "reason": "两人合播",
    "state": "asked",
    "asked_by": "qian",
    "asked_at": _LATER,
    "decided_by": None,
    "decided_at": None,
    "note": None,
}
_DECIDED = {"decided_by": "wu", "decided_at": "2026-11-12T02:00:00Z", "note": "已核对排班"}
_APPROVED = {**_CORRECTION, **_DECIDED, "state": "approved"}

REQUESTS: dict[str, Any] = {
    "put_payees": {
        "payees": [
            {"code": "P-0137", "name": "李小红", "role": "promoter", "unit_path": "/east/", "since": "2026-11-01"}
        ]
    },
    "set_uplines": {"changes": [{"code": "P-0137", "upline": "C-0002", "since": "2026-11-01"}]},
    "set_keys": {
        "changes": [{"code": "P-0137", "kind": "channel", "value": "live-7", "share": 10000, "since": "2026-11-01"}]
    },
    "ask_for_correction": {
        "role": "promoter",
        "shares": [{"payee": "P-0137", "share": 6000}, {"payee": "P-0138", "share": 4000}],
        "reason": "两人合播",
    },
    "approve_correction": {"note": "已核对排班"},
    "refuse_correction": {"note": "排班表里只有一人"},
    "note_facts": {
        "facts": [{"code": "P-0137", "name": "visits", "day": "2026-11-11", "amount": 37, "key": "P-0137/2026-11-11"}]
    },
    "set_rates": {"rates": [{"currency": "USD", "day": "2026-11-11", "rate": "7.1234"}]},
}
RESPONSES: dict[str, Any] = {
    "put_payees": {"new": 1, "changed": 0, "unchanged": 0},
    "note_facts": {"new": 1},
    "import_facts": {
        "rows": 310,
        "refused": 1,
        "new": 0,
        "known": 0,
        "stored": False,
        "digest": "sha256:93e2c5b8d04f615f0c4b7d1e9a2c8834b6f1d05f0c4b7d1e9a2c8834b6f1d07a",
        "errors": [
            {
                "line": 17,
                "column": "编号",
                "reason": {"zh": "没有这位收款人，或不在您的数据范围内", "en": "no such payee within your data scope"},
            }
        ],
        "more_errors": 0,
    },
    "list_payees": {"items": [_PAYEE], "next_cursor": None},
    "show_payee": {
        "payee": _PAYEE,
        "terms": [{"since": "2026-11-01", "role": "promoter", "cycle": None, "active": True}],
        "uplines": [{"since": "2026-11-01", "upline": "C-0002"}],
        "keys": [{"kind": "channel", "value": "live-7", "share": 10000, "since": "2026-11-01", "until": None}],
    },
    "show_sold_order": {
        "account": "youzan/flagship",
        "order_id": "E20261111000001",
        "is_first": True,
        "problem": None,
        "evidence": [
            {
                "role": "promoter",
                "payee": "P-0138",
                "share": 10000,
                "way": "channel",
                "evidence": "channel:live-7",
                "rules": "1.0.0",
                "decided_at": _NOW,
                "ended_at": None,
            }
        ],
        "sales": [
            {
                "basis": "completed",
                "day": "2026-11-11",
                "payee": "P-0138",
                "line_id": "1",
                "paid_minor": 29900,
                "kept_minor": 29900,
                "quantity": 1,
                "orders": 1,
            }
        ],
        "corrections": [_CORRECTION],
    },
    "ask_for_correction": _CORRECTION,
    "list_corrections": {"items": [_CORRECTION], "next_cursor": None},
    "approve_correction": _APPROVED,
    "refuse_correction": {**_APPROVED, "state": "refused", "note": "排班表里只有一人"},
    "show_rate": {"currency": "USD", "day": "2026-11-11", "rate": "7.1234"},
}
