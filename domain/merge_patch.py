"""JSON Merge Patch: a JSON value with some members changed. Source: RFC 7396, section 2."""

from typing import Any


def merged(target: Any, patch: Any) -> Any:
    """The target with the patch applied: objects are merged, null removes a member, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
