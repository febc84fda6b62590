"""Accounts, how well they are read, and secrets."""

from typing import Any

from api.examples.parts import AT, page

_ACCOUNT = {
    "id": "youzan/demo-apparel",
    "platform": "youzan",
    "slug": "demo-apparel",
    "name": "示例女装店",
    "unit_path": "/east/store-0017/",
    "credential_names": ["client_secret"],
    "settings": {"client_id": "app-1", "kdt_id": 4242},
    "active": True,
    "created_at": AT,
    "rotated_at": AT,
}

REQUESTS: dict[str, Any] = {
    "connect_account": {
        "platform": "youzan",
        "slug": "demo-apparel",
        "name": "示例女装店",
        "unit_path": "/east/store-0017/",
        "credentials": {"client_secret": "…"},
        "settings": {"client_id": "app-1", "kdt_id": 4242},
    },
    "change_account": {"name": "示例女装旗舰店", "settings": {"live_coupons": ["8810042"]}},
    "rotate_account_credentials": {"credentials": {"client_secret": "…"}},
    "set_secret": {"members": {"username": "warehouse", "password": "…"}},
}

RESPONSES: dict[str, Any] = {
    "read_stream": {"account_id": "youzan/flagship", "stream": "orders"},
    "compare_stream": {"account_id": "youzan/flagship", "stream": "orders"},
    "connect_account": _ACCOUNT,
    "list_accounts": page(_ACCOUNT),
    "list_account_platforms": {
        "items": [
            {
                "platform": "youzan",
                "title": {"zh": "有赞", "en": "Youzan"},
                "fields": [
                    {
                        "name": "client_secret",
                        "secret": True,
                        "required": True,
                        "type": "string",
                        "choices": [],
                        "default": None,
                        "about": {"zh": "应用的 client_secret", "en": "The application's secret"},
                    },
                    {
                        "name": "kdt_id",
                        "secret": False,
                        "required": True,
                        "type": "integer",
                        "choices": [],
                        "default": None,
                        "about": {"zh": "店铺编号 kdt_id", "en": "The shop's number"},
                    },
                ],
            }
        ]
    },
    "show_account": _ACCOUNT,
    "change_account": {
        **_ACCOUNT,
        "name": "示例女装旗舰店",
        "settings": {"client_id": "app-1", "kdt_id": 4242, "live_coupons": ["8810042"]},
    },
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
    "list_streams": page(
        {
            "account_id": "youzan/demo-apparel",
            "stream": "orders",
            "reached_at": AT,
            "records": 182_004,
            "missed": 17,
            "problem": "有赞应用的调用配额已用完 · youzan 4101",
            "problem_since": AT,
            "pulled_at": AT,
        }
    ),
    "list_comparisons": page(
        {
            "id": "0199f2a4-6c1e-7d1a-9a44-3f0c5f0f7a11",
            "account_id": "youzan/demo-apparel",
            "stream": "orders",
            "since": AT,
            "until": AT,
            "records": 2_000,
            "missing": 1,
            "differing": 2,
            "unread": 0,
            "parts": {"status": 1, "lines": 1},
            "accuracy": 0.9985,
            "state": "done",
            "problem": None,
            "begun_at": AT,
            "compared_at": AT,
        }
    ),
    "list_secrets": {
        "items": [{"name": "warehouse", "members": ["password", "username"], "updated_at": AT, "updated_by": "admin"}]
    },
}
