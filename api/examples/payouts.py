"""Examples of payouts' operations."""

from typing import Any

_BATCH = {
    "id": "0199f3a2-b1c0-7a3e-8f11-2c4d6e8f0a12",
    "scheme": "promoters",
    "currency": "CNY",
    "day": "2026-12-08",
    "state": "planned",
    "payers": {"wechat-pay": {"account": "wechat_pay/main", "mch_id": "1900000109"}},
    "asked_by": "qian",
    "asked_at": "2026-12-08T01:00:00Z",
    "payouts": 2,
    "total_minor": 88_765,
    "approvals_needed": 1,
    "decided_at": None,
    "ended_at": None,
    "problem": None,
}
_APPROVED = {**_BATCH, "state": "reserving", "decided_at": "2026-12-08T01:20:00Z"}
_YES = {"login": "wu", "approved": True, "note": "已核对", "decided_at": "2026-12-08T01:20:00Z"}
_PAYOUT = {
    "number": "P4d7a1c9e0b3f58264a9c7e1d0f3b582",
    "payee": "P-0137",
    "receiver": {
        **{"real_name": None, "openid": "oABC****wxyz"},
        **{"merchant_receiver": None, "bank_account": None, "bank_name": None},
    },
    "rail": "wechat-pay",
    "amount_minor": 68_765,
    "paid_minor": 0,
    "offset_minor": 0,
    "currency": "CNY",
    "state": "awaiting_user",
    "pay_on": "2026-12-08",
    "attempts": 2,
    "put_off": 0,
    "first_sent_at": "2026-12-08T01:21:00Z",
    "rail_number": "1330000071100999991182020050700019480001",
    "reason": None,
    "changed_at": "2026-12-08T01:21:00Z",
    "ended_at": None,
}
_SUM = {"rail": "wechat-pay", "payouts": 1, "amount_minor": 68_765}
_BANK = {"rail": "bank", "payouts": 1, "amount_minor": 20_000}

_NOVEMBER = {
    "calculation": "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e66",
    "before": "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e55",
}
_NO_ACCOUNT = {
    "reason": "no-account",
    "message": {
        "zh": "没有可用渠道的账户，请登记",
        "en": "Nothing to pay to by these rails: enter an account",
    },
}

_EARNING = {
    **_NOVEMBER,
    "component": "sales",
    "title": "推广提成",
    "rule": {"zh": "实付减退款，分段计算：0.00 起 5%，10000.00 起 8%", "en": "of what buyers paid less refunds …"},
    "base": "12220.67",
    "amount_minor": 67_765,
    "is_difference": True,
    "lines": [
        {
            **{"account": "youzan/flagship", "order_id": "E20261111000001", "line_id": "1"},
            **{"counted": "-125.00", "payee": "P-0137", "amount_minor": None},
        }
    ],
    "lines_cursor": None,
    "facts": [],
    "facts_cursor": None,
    "below": [],
    "below_cursor": None,
}

REQUESTS: dict[str, Any] = {
    "plan_payouts": {
        "scheme": "promoters",
        "rails": ["wechat-pay", "bank"],
        "quotas": {"wechat-pay": {"payouts": 10_000, "amount_minor": 100_000_000}},
        "accounts": {"wechat-pay": "main"},
    },
    "approve_payouts": {"note": "已核对"},
    "refuse_payouts": {"note": "少算一位收款人"},
    "call_payouts_off": {"note": "收款账号待核实"},
    "call_payout_off": {"note": "收款人已离职"},
}

RESPONSES: dict[str, Any] = {
    "plan_payouts": {**_BATCH, "state": "planning", "payouts": None, "total_minor": None, "approvals_needed": None},
    "list_payout_batches": {"items": [_BATCH], "next_cursor": None},
    "show_payout_batch": {
        "batch": {**_APPROVED, "state": "paying"},
        "approvals": [_YES],
        "sums": [{**_SUM, "state": "awaiting_user"}, {**_BANK, "state": "reserved"}],
        "calendar": [{**_SUM, "day": "2026-12-08"}, {**_BANK, "day": "2026-12-08"}],
        "omitted": [{**_NO_ACCOUNT, "payees": 3, "amount_minor": 1_204}],
    },
    "approve_payouts": _APPROVED,
    "refuse_payouts": {**_APPROVED, "state": "refused", "ended_at": "2026-12-08T01:20:00Z"},
    "list_payouts": {"items": [_PAYOUT], "next_cursor": None},
    "call_payouts_off": {"payouts": 1, "amount_minor": 20_000, "more": False},
    "call_payout_off": {
        **{**_PAYOUT, "rail": "bank", "state": "cancelled", "attempts": 0, "rail_number": None},
        "receiver": {
            **{"real_name": "李**", "openid": None, "merchant_receiver": None},
            **{"bank_account": "****5678", "bank_name": "招商银行"},
        },
        **{"reason": "called-off", "ended_at": "2026-12-08T02:00:00Z"},
    },
    "show_payout": _PAYOUT,
    "show_payout_confirmation": {
        **{name: _PAYOUT[name] for name in ("number", "payee", "amount_minor", "currency")},
        **{"account": "main", "mch_id": "1900001109", "app_id": "wxEXAMPLE00000001", "package_info": "EXAMPLE"},
        "expires_at": "2026-12-09T01:21:00Z",
    },
    "list_omissions": {"items": [{**_NO_ACCOUNT, "payee": "P-0138", "amount_minor": 804}]},
    "explain_payee_account": {
        "payee": "P-0137",
        "scheme": "promoters",
        "currency": "CNY",
        "cycle": "month",
        "start": "2026-12-01",
        "end": "2027-01-01",
        "closed_at": None,
        "opening_minor": 68_765,
        "closing_minor": -1_000,
        "count": 2,
        "entries": [
            {
                **{"day": "2026-12-08", "calculation": None, "before": None},
                **{"kind": "payout-paid", "given": "wechat-pay", "taken": "paying"},
                **{"amount_minor": 68_765, "net_minor": -68_765, "booked_at": "2026-12-08T01:22:00Z"},
                **{"start": None, "end": None, "changes": []},
                "payout": {"number": _PAYOUT["number"], "rail": "wechat-pay", "state": "paid"},
            },
            {
                "day": "2026-12-31",
                **_NOVEMBER,
                **{"kind": "clawback", "given": "commission", "taken": "receivable"},
                **{"amount_minor": 1_000, "net_minor": -1_000, "booked_at": "2027-01-03T01:00:00Z"},
                **{"start": "2026-11-01", "end": "2026-12-01", "payout": None},
                "changes": [{"before_minor": 68_765, "change_minor": -1_000, "earning": _EARNING}],
            },
        ],
        "next_cursor": None,
    },
}
