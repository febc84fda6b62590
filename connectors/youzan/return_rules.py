"""What a Youzan shop lets buyers do with an article that they do not want.

Source: youzan.item.itemdetail.get 1.0.0; the marks and their fields as public SDKs have them for the interface that
sets them [S]. That the answer names them in the same way is unverified [U].
"""

from collections.abc import Mapping
from typing import Any

from connectors.payloads import parse_json
from connectors.reading import optional_mapping
from domain.catalog.youzan import ReturnRuleOutput
from domain.problems import ValidationProblem

WEB_SHOP = 0
"""`channel`: the web shop; 1 would be the shops in town."""
UNVERIFIED = ("unconditional_return_mark", "is_support_unconditional_return", "barter_mark", "support_barter")
_DAYS = 7
"""The platform's only period (七天无理由退货)."""


def read_return_rule(item_id: str, item: Mapping[str, Any]) -> ReturnRuleOutput:
    """The rule of an article; what the platform leaves out stays unknown."""
    return_mark, return_flag, barter_mark, barter_flag = UNVERIFIED
    unconditional = _flag(item, return_mark, return_flag)
    return ReturnRuleOutput(
        item_id=item_id,
        unconditional=unconditional,
        days=_DAYS if unconditional else None,
        exchangeable=_flag(item, barter_mark, barter_flag),
    )


def _flag(item: Mapping[str, Any], mark: str, field: str) -> bool | None:
    """A yes or no within a mark, which travels as an object or as JSON within JSON."""
    value = item.get(mark)
    if isinstance(value, str) and value:
        try:
            value = parse_json(value.encode())
        except ValidationProblem:
            return None
    said = optional_mapping(value).get(field)
    return said if isinstance(said, bool) else {0: False, 1: True}.get(said) if isinstance(said, int) else None
