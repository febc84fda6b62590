"""The whole of a `tag-rule:` document, checked: its keys, its condition, and whether it can make a difference."""

from collections.abc import Mapping
from typing import Any

from domain.dsl.findings import child, listed
from domain.problems import Text
from domain.remarks import Remark, Remarks
from domain.tags.reading import read_condition
from domain.tags.sense import outcome

TAG_RULE = "tag-rule"
KEYS = ("name", "version", "title", "tag", "group", "share", "active", "when")
_NEEDED = ("name", "title", "tag", "when")


def check_rule(document: Mapping[str, Any]) -> list[Remark]:
    """Everything there is to say about a document with the top key `tag-rule`, but for what its model checks."""
    remarks = Remarks()
    rule = document.get(TAG_RULE)
    root = child("", TAG_RULE)
    if not isinstance(rule, Mapping):
        text = Text("tag-rule 下面要写规则", "`tag-rule` needs a rule below it")
        return [Remark("bad-resource", "error", root, text)]
    remarks.unknown_keys(rule, KEYS, root)
    if missing := [key for key in _NEEDED if rule.get(key) is None]:
        remarks.error(
            "missing-key", root, Text(f"还要写：{listed(missing)}", f"Missing: {listed(missing)}"), of_key=True
        )
    if rule.get("when") is not None:
        place = child(root, "when")
        condition, found = read_condition(rule["when"], place)
        remarks.found += found
        if condition is not None and (always := outcome(condition)) is not None:
            text = (
                Text(
                    "这条规则对所有人总是成立，标签没有意义",
                    "This rule always holds, for everybody: the tag says nothing",
                )
                if always
                else Text("这条规则永远不会成立", "This rule can never hold")
            )
            remarks.error("always-true" if always else "never-true", place, text, of_key=True)
    return remarks.found
