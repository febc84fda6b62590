"""Tags, their rules, and grades."""

from typing import Any

from api.examples.parts import AT

_CUSTOMER = "0199c0de-0000-7000-8000-000000000001"
_SEEN = {"place": "/when/all/0/orders", "fact": "orders", "measure": "count", "of": "", "value": 3, "met": True}
_CARRIED = {
    "tag": "高价值",
    "source": "rule",
    "since": AT,
    "rule": "high-value",
    "version": "1.0.0",
    "why": [_SEEN],
    "actor": None,
    "reason": None,
}
_MARK = {
    "tag": "断粮",
    "kind": "exclude",
    "source": "manual",
    "actor": "li.lei",
    "reason": "宠物已送人",
    "marked_at": AT,
}
_GRADE = {
    "grading": "vip",
    "version": "1.0.0",
    "grade": "白银",
    "score": 20,
    "since": AT,
    "why": [{"name": "付款一次以上", "points": 5}],
}
_TAGS = {
    "customer_id": _CUSTOMER,
    "carried": [_CARRIED],
    "excluded": [_MARK],
    "grades": [_GRADE],
    "too_many_records": False,
}

_VERSION: dict[str, Any] = {
    "namespace": "",
    "version": "1.1.0",
    "digest": "sha256:" + "0" * 64,
    "author": "ops",
    "uploaded_at": AT,
    "published_by": None,
    "published_at": None,
    "share_percent": 10.0,
    "properties": {},
}

REQUESTS: dict[str, Any] = {
    "decide_customer_tag": {"tag": "断粮", "decision": "exclude", "reason": "宠物已送人"},
    "note_life_event": {"name": "pregnancy", "due_on": "2027-05-20", "account": "wecom/main"},
    "release_tag_rule": {"version": "1.1.0", "share_percent": 10, "reason": "先放量一成"},
    "release_grading": {"version": "1.1.0", "share_percent": 10, "reason": "先放量一成"},
    "preview_grading": {
        "text": "grading:\n  name: life-cycle\n  version: 1.1.0\n  title: 生命周期\n  stages:\n"
        "    - name: 活跃\n      when: { all: [ { orders: { latest: { newer-than: P45D } } } ] }\n"
        "    - name: 沉睡\n"
    },
    "preview_tag_rule": {
        "text": "tag-rule:\n  name: high-value\n  version: 1.1.0\n  tag: 高价值\n  title: 下单五次以上\n"
        "  when:\n    all:\n      - orders: { count: { at-least: 5 } }\n"
    },
}
RESPONSES: dict[str, Any] = {
    "release_tag_rule": {**_VERSION, "kind": "tag-rule", "name": "high-value", "title": "下单五次以上"},
    "release_grading": {**_VERSION, "kind": "grading", "name": "vip", "title": "会员等级"},
    "list_customer_tags": _TAGS,
    "decide_customer_tag": _TAGS,
    "note_life_event": _TAGS,
    "explain_customer_tag": {
        "customer_id": _CUSTOMER,
        "tag": "高价值",
        "carried": True,
        "rules": [
            {
                "rule": "high-value",
                "version": "1.0.0",
                "title": "下单三次以上",
                "held": True,
                "since": AT,
                "why": [_SEEN],
                "now": [{**_SEEN, "value": 4}],
                "next_check_at": None,
                "decides": "1.0.0",
                "share_percent": None,
            }
        ],
        "marks": [],
        "grades": [],
    },
    "list_tag_rules": {
        "items": [
            {
                "rule": "high-value",
                "version": "1.0.0",
                "tag": "高价值",
                "group": "价值",
                "title": "下单三次以上",
                "active": True,
                "customers": 120000,
                "complete": True,
                "holders": 7500,
                "candidate": "1.1.0",
                "share_percent": 10.0,
            }
        ]
    },
    "preview_tag_rule": {
        "rule": "high-value",
        "version": "1.1.0",
        "tag": "高价值",
        "customers": 120000,
        "examined": 120000,
        "complete": True,
        "holds": 2100,
        "gained": 0,
        "lost": 5400,
        "gained_samples": [],
        "lost_samples": [_CUSTOMER],
        "share_percent": 100.0,
    },
    "preview_grading": {
        "grading": "life-cycle",
        "version": "1.1.0",
        "customers": 120000,
        "examined": 120000,
        "complete": True,
        "moves": [
            {"was": "沉睡", "grade": "沉睡", "customers": 81000},
            {"was": "活跃", "grade": "沉睡", "customers": 5400},
            {"was": None, "grade": "潜客", "customers": 33600},
        ],
    },
}
