"""Examples of calculations, settlements and their reports."""

from typing import Any

_NOW, _LATER = "2026-11-11T03:20:00Z", "2026-11-12T01:05:00Z"
_ID = "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e55"
_CALCULATION = {
    "id": _ID,
    "scheme": "promoters",
    "version": "1.0.0",
    "cycle": "month",
    "start": "2026-11-01",
    "end": "2026-12-01",
    "purpose": "preview",
    "state": "computed",
    "asked_by": "qian",
    "asked_at": "2026-12-01T01:00:00Z",
    "frozen_at": "2026-12-01T01:00:02Z",
    "computed_at": "2026-12-01T01:00:21Z",
    "members": 312,
    "left_out": {"no-rate": 1},
    "digest": "5f0c4b7d1e9a2c8834b6f1d07a93e2c5b8d04f61",
    "total_minor": 68765,
    "problem": None,
    "repeats": None,
    "input_of": None,
}
_RATE = {
    "calculation": _ID,
    "currency": "USD",
    "rate": "7.1234",
    "day": "2026-11-30",
    "noted_by": "qian",
    "noted_at": "2026-11-30T08:00:00Z",
    "now": "7.1234",
    "before": None,
}
_GIVEN = {
    "calculation": _ID,
    "start": "2026-11-01",
    "end": "2026-12-01",
    "payee": "P-0137",
    "payee_name": "李**",
    "currency": "CNY",
    "components": [{"component": "sales", "title": "推广提成", "amount_minor": 68765, "before_minor": 70265}],
    "total_minor": 68765,
    "before_minor": 70265,
    "difference_minor": -1500,
    "books": "commission",
    "reasons": ["counted"],
}
_SHOWN = {
    "calculation": _CALCULATION,
    "parts_done": 32,
    "parts": 32,
    "components": [{"component": "sales", "title": "推广提成", "payees": 1, "amount_minor": 68765}],
    "highest": [{"payee": "P-0137", "amount_minor": 68765}],
    "remarks": [],
    "repeat": None,
    "rates": [_RATE],
}
_ASKED = {"state": "asked", "frozen_at": None, "computed_at": None, "members": None, "left_out": None, "digest": None}
_BEGUN = {
    "calculation": {**_CALCULATION, **_ASKED, "total_minor": None},
    "parts_done": 0,
    "parts": 32,
    "components": [],
    "highest": [],
    "remarks": [],
    "repeat": None,
    "rates": [],
}

_REPEAT = {
    **_BEGUN,
    "calculation": {
        **_CALCULATION,
        "id": "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e99",
        "purpose": "repeat",
        "state": "frozen",
        "repeats": _ID,
        "asked_at": "2027-03-01T02:00:00Z",
        "computed_at": None,
        "digest": None,
        "total_minor": None,
    },
    "repeat": {
        "of": _ID,
        "digest": _CALCULATION["digest"],
        "total_minor": 68765,
        "same": None,
        "differing": None,
        "first": [],
    },
}

_COMPARISON = {
    "before": {**_CALCULATION, "purpose": "settlement"},
    "now": {
        **_CALCULATION,
        "id": "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e98",
        "version": "2.0.0",
        "purpose": "what-if",
        "digest": "8834b6f1d07a93e2c5b8d04f615f0c4b7d1e9a2c",
        "total_minor": 82518,
        "input_of": _ID,
    },
    "currency": "CNY",
    "same_input": True,
    "components": [
        {
            "component": "sales",
            "title": "推广提成",
            "before_payees": 1,
            "now_payees": 1,
            "before_minor": 68765,
            "now_minor": 82518,
        }
    ],
    "gaining": 1,
    "gained_minor": 13753,
    "losing": 0,
    "lost_minor": 0,
    "unchanged": 0,
    "largest": [{"payee": "P-0137", "before_minor": 68765, "now_minor": 82518}],
    "remarks": [],
}

_LINE = {
    "account": "youzan/flagship",
    "order_id": "E20261111000001",
    "line_id": "1",
    "counted": "12345.67",
    "payee": "P-0137",
    "amount_minor": None,
}
_FACT = {
    "name": "visits",
    "day": "2026-11-11",
    "amount": 37,
    "key": "P-0137/2026-11-11",
    "counts": True,
    "noted_at": _LATER,
    "noted_by": "qian",
}

_RUN_ID = "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e77"
_PERIOD = {
    "scheme": "promoters",
    "cycle": "month",
    "start": "2026-11-01",
    "end": "2026-12-01",
    "currency": "CNY",
    "closed_at": None,
    "closed_by": None,
}
_RUN = {
    "id": _RUN_ID,
    "scheme": "promoters",
    "cycle": "month",
    "state": "computed",
    "asked_by": "qian",
    "asked_at": "2026-12-01T01:00:00Z",
    "approvals_needed": 1,
    "total_minor": 68765,
    "moved_minor": 68765,
    "decided_at": None,
    "booked_at": None,
    "booked_minor": None,
    "problem": None,
    "waiting": 0,
}
_APPROVED_RUN = {**_RUN, "state": "approved", "decided_at": "2026-12-01T02:00:00Z"}
_YES = {"login": "wu", "approved": True, "note": "已核对", "decided_at": "2026-12-01T02:00:00Z"}
_SETTLED = {
    "period": _PERIOD,
    "calculations": [_CALCULATION],
    "approvals": [],
    "progress": [{"calculation": _ID, "parts_done": 32, "parts": 32, "parts_booked": 0}],
    "parts_done": 32,
    "parts": 32,
    "parts_booked": 0,
    "transfers": 0,
    "remarks": [],
    "rates": [_RATE],
}

_DUE = {
    "scheme": "stores",
    "cycle": "day",
    "start": "2026-11-11",
    "end": "2026-11-12",
    "days": 4,
    "why": "never",
    "run": None,
    "state": None,
}
_DUE_UNDER_WAY = {**_DUE, "start": "2026-11-10", "end": "2026-11-11", "days": 5, "run": _RUN_ID, "state": "computed"}
_NO_SALES = {
    "type": "https://serverlessworkflow.io/spec/1.0.0/errors/conflict",
    "status": 409,
    "title": "Conflict",
    "detail": "1 orders of the period have no sales",
}

_TITLE = {"zh": "收款人收入", "en": "Earned by payee"}
_TIED = {"zh": "分录：计入成本的净额", "en": "journal: net of what was booked as cost"}
_COLUMNS = [
    {"name": "payee", "kind": "payee", "title": {"zh": "收款人", "en": "Payee"}},
    {"name": "payee_name", "kind": "text", "title": {"zh": "姓名", "en": "Name"}},
    {"name": "currency", "kind": "text", "title": {"zh": "币种", "en": "Currency"}},
    {"name": "earned", "kind": "money", "title": {"zh": "收入", "en": "Earned"}},
]

REQUESTS: dict[str, Any] = {
    "settle_period": {"scheme": "promoters", "day": "2026-11-11", "leave_out": True},
    "approve_settlement_run": {"note": "已核对"},
    "refuse_settlement_run": {"note": "少算一位收款人"},
    "settle_due_periods": {"scheme": "stores", "cycle": "day"},
    "approve_settlement_runs": {"runs": [_RUN_ID], "note": "已核对"},
    "close_period": {"scheme": "promoters", "day": "2026-11-11", "unreconciled": False},
    "calculate": {"scheme": "promoters", "day": "2026-11-11"},
}
RESPONSES: dict[str, Any] = {
    "settle_period": {
        "run": {
            **_RUN,
            "state": "computing",
            "total_minor": None,
            "moved_minor": None,
            "approvals_needed": None,
        },
        **_SETTLED,
    },
    "compare_calculations": _COMPARISON,
    "list_due_periods": {"items": [_DUE_UNDER_WAY, _DUE], "more": 0},
    "settle_due_periods": {
        "begun": [
            {
                **_RUN,
                "scheme": "stores",
                "cycle": "day",
                "state": "computing",
                "total_minor": None,
                "moved_minor": None,
                "approvals_needed": None,
            }
        ],
        "left_alone": [_DUE_UNDER_WAY],
        "refused": [
            {"period": {**_DUE, "start": "2026-11-12", "end": "2026-11-13", "days": 3}, "problem": _NO_SALES},
        ],
        "waiting": 0,
    },
    "approve_settlement_runs": {"approved": [_APPROVED_RUN], "refused": []},
    "list_settlement_runs": {"items": [_RUN], "next_cursor": None},
    "show_settlement_run": {"run": _RUN, **_SETTLED},
    "approve_settlement_run": {"run": _APPROVED_RUN, **_SETTLED, "approvals": [_YES]},
    "refuse_settlement_run": {
        "run": {**_APPROVED_RUN, "state": "refused"},
        **_SETTLED,
        "approvals": [{**_YES, "approved": False, "note": "少算一位收款人"}],
    },
    "close_period": {**_PERIOD, "closed_at": "2026-12-03T02:00:00Z", "closed_by": "wu"},
    "list_report_kinds": {
        "items": [
            {
                "name": "payees",
                "title": _TITLE,
                "group": {"zh": "收入", "en": "What was earned"},
                "columns": _COLUMNS,
                "filters": ["scheme", "payee"],
                "ties": "earned",
                "ties_with": _TIED,
            }
        ]
    },
    "show_report": {
        "report": "payees",
        "start": "2026-11-01",
        "end": "2026-12-01",
        "columns": _COLUMNS,
        "items": [{"payee": "P-0137", "payee_name": "李**", "currency": "CNY", "earned": 68765}],
        "next_cursor": None,
    },
    "tie_out": {
        "items": [
            {
                "report": "payees",
                "currency": "CNY",
                "rows": 312,
                "total": 68765,
                "journal": 68765,
                "difference": 0,
                "ties_with": _TIED,
            }
        ]
    },
    "show_trial_balance": {
        "items": [
            {
                "kind": "commission",
                "currency": "CNY",
                "accounts": 1,
                "debit_minor": 68765,
                "credit_minor": 0,
                "balance_minor": -68765,
            },
            {
                "kind": "payable",
                "currency": "CNY",
                "accounts": 312,
                "debit_minor": 0,
                "credit_minor": 68765,
                "balance_minor": 68765,
            },
        ]
    },
    "calculate": _BEGUN,
    "list_calculations": {"items": [_CALCULATION], "next_cursor": None},
    "show_calculation": _SHOWN,
    "repeat_calculation": _REPEAT,
    "explain_calculation": {
        "payee": "P-0137",
        "currency": "CNY",
        "amount_minor": 68765,
        "earnings": [
            {
                "calculation": _ID,
                "before": None,
                "component": "sales",
                "title": "推广提成",
                "rule": {
                    "zh": "实付减退款，分段计算：0.00 起 5%，10000.00 起 8%",
                    "en": "of what buyers paid less refunds …",
                },
                "base": "12345.67",
                "amount_minor": 68765,
                "is_difference": False,
                "lines": [_LINE],
                "lines_cursor": None,
                "facts": [],
                "facts_cursor": None,
                "below": [],
                "below_cursor": None,
            }
        ],
    },
    "list_calculation_payees": {"items": [_GIVEN], "next_cursor": None},
    "list_settlement_payees": {"items": [_GIVEN], "next_cursor": None},
    "list_counted_lines": {"items": [_LINE], "next_cursor": None},
    "list_counted_facts": {"items": [_FACT], "next_cursor": None},
    "list_earned_below": {
        "items": [{"payee": "P-0138", "level": 1, "amount_minor": 41000, "before_minor": None}],
        "next_cursor": None,
    },
}
