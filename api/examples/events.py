"""What comes in and goes out: pushes, events, tables, subscriptions."""

from typing import Any

from api.examples.parts import AT, DIGEST, EVENT, page

_SUBSCRIPTION = {
    "id": "01928d1c-7b02-7a11-9c3d-5e8f7a6b4c30",
    "name": "数据仓库",
    "url": "https://warehouse.example.com/tandem",
    "types": ["tandem.order.*", "tandem.refund.created"],
    "accounts": ["youzan/flagship"],
    "masked": True,
    "batched": False,
    "created_at": AT,
    "created_by": "ops",
    "paused_at": None,
    "cursor": 8192,
    "delivered": 1024,
    "attempts": 0,
    "next_attempt_at": AT,
    "problem": None,
    "problem_at": None,
    "previous_until": None,
}

REQUESTS: dict[str, Any] = {
    "take_push": {"type": "trade_TradePaid", "kdt_id": 4242, "msg_id": "1", "msg": "…"},
    "retry_parked_events": {"ids": [1024]},
    "retry_quarantined_pushes": {"platform": "youzan", "reason": "no field tid"},
    "put_quarantined_pushes_away": {"pushes": {"ids": [2048]}, "reason": "测试店铺"},
    "retry_failed_lookups": {"account": "youzan/flagship", "problem": "permission"},
    "correct_quarantined_pushes": {
        "pushes": {"platform": "youzan", "reason": "no field currency"},
        "patch": {"currency": "CNY"},
        "reason": "平台漏发币种",
    },
    "correct_quarantined_push": {"patch": {"tid": "E20261115093000900000001"}, "reason": "平台漏发订单号"},
    "create_subscription": {
        "name": "数据仓库",
        "url": "https://warehouse.example.com/tandem",
        "types": ["tandem.order.*", "tandem.refund.created"],
        "accounts": ["youzan/flagship"],
    },
    "rotate_subscription_secret": {"overlap_s": 86400},
    "redrive_dead_letters": {"seqs": [4096]},
}

RESPONSES: dict[str, Any] = {
    "publish_events": {"received": 1, "new": 1},
    "list_parked_events": page(
        {"seq": 1024, "event": EVENT, "attempts": 6, "reason": "the engine was away", "parked_at": AT}
    ),
    "retry_parked_events": {"found": 1},
    "list_quarantined_pushes": page(
        {
            "id": 2048,
            "platform": "youzan",
            "account": "demo-apparel",
            "kind": "trade_TradePaid",
            "received_at": AT,
            "reason": "no field tid",
        }
    ),
    "list_quarantine_groups": {
        "groups": [
            {
                "platform": "youzan",
                "account": "demo-apparel",
                "kind": "trade_TradePaid",
                "reason": "no field tid",
                "count": 17,
                "oldest": AT,
                "newest": AT,
            }
        ]
    },
    "show_quarantined_push": {
        "id": 2048,
        "platform": "youzan",
        "account": "demo-apparel",
        "kind": "trade_TradePaid",
        "received_at": AT,
        "reason": "no field tid",
        "media": "json",
        "content": {"receiver_tel": "138****8000"},
        "masked": True,
    },
    "retry_quarantined_pushes": {"found": 17, "more": False},
    "put_quarantined_pushes_away": {"found": 1, "more": False},
    "correct_quarantined_pushes": {"corrected": 17, "refused": 0, "problem": None, "next_cursor": None},
    "correct_quarantined_push": {"id": 4096},
    "list_failed_lookups": page(
        {
            "id": 41,
            "account_id": "youzan/flagship",
            "customer": "0199c0de-0000-7000-8000-000000000001",
            "kind": "buyer",
            "scope": "youzan",
            "value": "1234****9012",
            "state": "given_up",
            "problem": "the application lacks the permission user.info",
            "attempts": 1,
            "asked_at": AT,
            "answered_at": None,
            "next_at": None,
        }
    ),
    "retry_failed_lookups": {"found": 240, "more": False},
    "import_table": {
        "rows": 1024,
        "records": 1020,
        "new": 1000,
        "known": 20,
        "refused": 2,
        "digest": DIGEST,
        "dry_run": False,
        "errors": [
            {
                "line": 17,
                "column": "买家实付金额",
                "reason": {"zh": "不是有效的CNY金额", "en": "this is no amount of money in CNY"},
            }
        ],
        "more_errors": 0,
    },
    "create_subscription": {"secret": "whsec_…", "subscription": _SUBSCRIPTION},
    "list_subscriptions": {"items": [_SUBSCRIPTION]},
    "show_subscription": {"subscription": _SUBSCRIPTION, "lag": {"events": 12, "since": AT, "dead": 1}},
    "pause_subscription": {**_SUBSCRIPTION, "paused_at": AT},
    "resume_subscription": _SUBSCRIPTION,
    "rotate_subscription_secret": {
        "secret": "whsec_…",
        "subscription": {**_SUBSCRIPTION, "previous_until": "2026-11-12T00:00:00Z"},
    },
    "list_dead_letters": page(
        {
            "seq": 4096,
            "source": "/youzan/flagship",
            "event_id": "E20261111-1",
            "type": "tandem.order.paid",
            "reason": "HTTP 500",
            "attempts": 10,
            "failed_at": AT,
            "redriven_at": None,
        }
    ),
    "redrive_dead_letters": {"found": 1},
}
