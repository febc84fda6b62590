"""What goes wrong while a merchant's past comes in: every fault of the simulator that passes by itself."""

from typing import Any

FAULTS: tuple[dict[str, Any], ...] = (
    {"match": {}, "fault": "duplicate_push", "probability": 0.3, "copies": 1},
    {"match": {}, "fault": "reorder_push", "probability": 0.2, "seconds": 3},
    {"match": {}, "fault": "drop_push", "probability": 0.05},
    {"match": {}, "fault": "forge_push", "probability": 0.02},
    *(
        {"match": {"platform": platform}, "fault": fault, "probability": 0.3, "seconds": 1}
        for platform in ("taobao", "pinduoduo")
        for fault in ("duplicate_push", "reorder_push", "drop_push", "forge_push")
    ),
    {"match": {"platform": "pinduoduo"}, "fault": "down", "for_s": 30},
    {"match": {}, "fault": "clock_skew", "seconds": 90},
    {"match": {}, "fault": "5xx", "probability": 0.02},
    {"match": {}, "fault": "busy", "probability": 0.02},
    {"match": {}, "fault": "concurrency", "probability": 0.02, "times": 20},
    {"match": {}, "fault": "429", "probability": 0.02, "seconds": 1},
    {"match": {}, "fault": "token_dies", "probability": 0.02},
    {"match": {}, "fault": "quota", "probability": 0.02, "times": 20},
    {"match": {}, "fault": "timeout_before", "probability": 0.02, "times": 5, "seconds": 14},
    {"match": {}, "fault": "timeout_after", "probability": 0.02, "times": 5, "seconds": 14},
    {"match": {}, "fault": "slow", "probability": 0.02, "times": 20, "seconds": 2},
    {"match": {}, "fault": "shift_page", "probability": 0.05, "times": 20},
)
"""A request that hangs is given up after ten seconds; the first rule that strikes a request is the only one."""
NEEDS_A_PERSON = frozenset({"forbidden", "untrusted_ip"})
"""A permission or an address that is missing: no reading mends it, so there is nothing to measure."""
