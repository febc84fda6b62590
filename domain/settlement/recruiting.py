"""Pay for recruiting itself, by whatever name: nobody may have it (《禁止传销条例》, WeChat's rules for distribution).

What was recruited may be paid for what it sells. Visits, reviews, bookings and scores are counted by whoever notes
them, so that their names are all there is to go by.
"""

import re
from collections.abc import Mapping
from typing import Any

from domain.dsl.findings import child
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.scheme import LINE_BASES, Base

BEGINNINGS = (
    "recruit",
    "downline",
    "invit",
    "referr",
    "headcount",
    "joiner",
    "newcomer",
    "signup",
    "sign-up",
    "new-member",
    "new-agent",
    "laren",
    "rentou",
    "laxin",
    "zhaomu",
    "xiaxian",
    "yaoqing",
)
"""What words begin with that mean it."""
WORDS = (
    "拉人",
    "人头",
    "拉新",
    "招募",
    "招人",
    "下线",
    "邀请",
    "发展会员",
    "发展代理",
    "推荐人数",
    "团队人数",
    "入门费",
)
_BEGINNINGS = re.compile(r"(?:^|-)(?:" + "|".join(BEGINNINGS) + ")")
_BETWEEN = re.compile(r"[^a-z0-9]+")
REFUSAL = Text(
    "不能按拉人头数计酬（《禁止传销条例》）；可按下级的实际销售，用 level 或 overrides，"
    "或按新客的首单，用 where: { first: true }",
    "Nobody may be paid for recruiting itself (the rules against pyramid selling); pay for what the downline sold, by "
    "`level` or `overrides`, or for what new customers buy, by `where: { first: true }`",
)


def is_recruiting(said: object) -> bool:
    """Whether a name or a title means people who were brought in."""
    if not isinstance(said, str):
        return False
    return _BEGINNINGS.search(_BETWEEN.sub("-", said.lower())) is not None or any(word in said for word in WORDS)


def refuse_recruiting(data: Mapping[str, Any], base: Base | None, pointer: str, remarks: Remarks) -> None:
    """A remark where a component is by people who were brought in; sales may be called as one likes."""
    factor = data.get("factor")
    if isinstance(factor, Mapping) and is_recruiting(factor.get("score")):
        remarks.error("pay-for-recruiting", child(pointer, "factor", "score"), REFUSAL)
    if base is None or base in LINE_BASES:
        return
    counted = data.get("count")
    if isinstance(counted, Mapping) and (name := next(filter(is_recruiting, counted), None)):
        remarks.error("pay-for-recruiting", child(pointer, "count", name), REFUSAL)
    named = next((key for key in ("score", "count", "name", "title") if is_recruiting(data.get(key))), None)
    if named is not None:
        remarks.error("pay-for-recruiting", child(pointer, named), REFUSAL)
