"""Examples of the operations on files that banks are handed."""

from typing import Any

_FILE = {
    "number": "B12-1",
    "batch": "0199f3a2-9a10-7d2c-8a55-6b1d2f3c4e88",
    "day": "2026-12-08",
    "currency": "CNY",
    "payouts": 311,
    "total_minor": 20893265,
    "digest": "sha256:5f0c4b7d1e9a2c8834b6f1d07a93e2c5b8d04f615f0c4b7d1e9a2c8834b6f1d0",
    "made_at": "2026-12-08T02:00:00Z",
    "made_by": "qian",
    "open": 311,
    "withheld": {"P-0137": "no-account"},
}

REQUESTS: dict[str, Any] = {"make_bank_file": {"batch": _FILE["batch"]}}
RESPONSES: dict[str, Any] = {
    "make_bank_file": _FILE,
    "list_bank_files": {"items": [{**_FILE, "open": 2, "withheld": {}}]},
    "import_bank_answer": {
        "rows": 310,
        "paid": 306,
        "paid_minor": 20512700,
        "failed": 2,
        "failed_minor": 137530,
        "known": 0,
        "pending": 0,
        "open": 3,
        "digest": "sha256:93e2c5b8d04f615f0c4b7d1e9a2c8834b6f1d05f0c4b7d1e9a2c8834b6f1d07a",
        "errors": [
            {
                "line": 17,
                "column": "",
                "reason": {"zh": "金额与付款不符", "en": "the amount is not what the payout was"},
            }
        ],
        "breaks": [
            {
                "number": "P5f0c4b7d1e9a2c8834b6f1d07a93e2c",
                "line": 42,
                "reason": {
                    "zh": "此前银行的结果是 paid，与这一行矛盾；已记的不改",
                    "en": "the bank answered paid before, which this row contradicts; what is booked stays",
                },
            }
        ],
        "more_errors": 0,
    },
}
