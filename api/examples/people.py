"""People, sessions, the audit log, and how the server is."""

from typing import Any

from api.examples.parts import AT, page

_USER = {
    "id": "01928d1c-5b4e-7c31-9a3b-0f6c2d1e8a77",
    "login": "li.lei",
    "name": "李雷",
    "roles": ["agent"],
    "scope": {"kind": "branch", "accounts": [], "branch": "/east/", "owner": None},
    "unit_path": "/east/store-0017/",
    "queues": ["warehouse"],
    "active": True,
    "created_at": AT,
}
_TOKEN = {
    "id": "01928d1c-6a01-7d02-8b1c-2c9f5e7d4b10",
    "prefix": "k3m9x0c2b7qa",
    "kind": "api",
    "name": "warehouse scanner",
    "login": "li.lei",
    "scopes": ["tasks.read", "tasks.work"],
    "created_at": AT,
    "expires_at": "2027-02-09T00:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}
_UNIT = {"path": "/east/store-0017/", "name": "东区 17 号店"}

REQUESTS: dict[str, Any] = {
    "log_in": {"login": "ops", "password": "correct horse battery"},
    "change_own_password": {"current": "correct horse battery", "password": "staple battery horse"},
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
    "create_user": _USER,
    "list_users": page(_USER),
    "show_user": _USER,
    "change_user_rights": {**_USER, "roles": ["agent", "supervisor"]},
    "disable_user": {**_USER, "active": False},
    "enable_user": _USER,
    "issue_token": {"text": "tandem_k3m9x0c2b7qa_…", "token": _TOKEN},
    "list_tokens": page(_TOKEN),
    "list_units": page({"path": "/", "name": "总部"}, _UNIT),
    "add_unit": _UNIT,
    "list_audit_entries": page(
        {
            "id": "01928d1c-7b02-7a11-9c3d-5e8f7a6b4c20",
            "at": AT,
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
    "check_liveness": {"status": "ok"},
    "check_readiness": {"status": "ok", "database": "up", "temporal": "up"},
}
