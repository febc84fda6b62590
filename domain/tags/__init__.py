"""Tags: rules over what is known of a customer, read from YAML, with everything that is wrong with them."""

from domain.remarks import Remark
from domain.tags.conditions import Bounds, Condition, Group, Leaf, RecordTest, leaves, rhythms_of
from domain.tags.facts import EVERY_KIND, FACTS, Fact
from domain.tags.grading import GRADING, LiveGrading, check_grading
from domain.tags.reading import read_condition
from domain.tags.rule_reading import TAG_RULE, check_rule
from domain.tags.rules import LiveRule

__all__ = [
    "EVERY_KIND",
    "FACTS",
    "GRADING",
    "TAG_RULE",
    "Bounds",
    "Condition",
    "Fact",
    "Group",
    "Leaf",
    "LiveGrading",
    "LiveRule",
    "RecordTest",
    "Remark",
    "check_grading",
    "check_rule",
    "leaves",
    "read_condition",
    "rhythms_of",
]
