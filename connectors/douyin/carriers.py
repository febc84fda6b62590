"""Carriers by Douyin's own codes, from what warehouses call them.

Source: codes as public integrations of order.logisticsAdd use them [S]; which of them a shop may use is unverified [U].
A carrier that stands here under none of its names is given by its code.
"""

import re
from collections.abc import Mapping

from domain.problems import Text, ValidationProblem

CARRIERS: Mapping[str, tuple[str, ...]] = {
    "shunfeng": ("顺丰", "顺丰速运", "顺丰快递", "sf", "sf express"),
    "yuantong": ("圆通", "圆通速递", "圆通快递", "yto"),
    "zhongtong": ("中通", "中通快递", "中通速递", "zto"),
    "shentong": ("申通", "申通快递", "sto"),
    "yunda": ("韵达", "韵达快递", "韵达速递"),
    "jtexpress": ("极兔", "极兔速递", "j&t", "jt"),
    "jd": ("京东", "京东快递", "京东物流"),
    "youzhengguonei": ("邮政", "中国邮政", "邮政快递包裹", "邮政电商标快"),
    "ems": ("ems", "邮政ems"),
    "debangkuaidi": ("德邦", "德邦快递", "德邦物流"),
}
_BY_NAME = {name: code for code, names in CARRIERS.items() for name in (code, *names)}
_CODE = re.compile(r"[a-z][a-z0-9_]{1,31}")


def carrier_code(company: str) -> str:
    """Douyin's code of a carrier, by its name or its code. Raises ValidationProblem for a name that nobody listed."""
    wanted = " ".join(company.split()).lower()
    code = _BY_NAME.get(wanted, wanted)
    if _CODE.fullmatch(code):
        return code
    known = "、".join(names[0] for names in CARRIERS.values())
    raise ValidationProblem(
        Text(
            f"不认识快递公司“{company}”。请写抖店的公司编码，或这些名称之一：{known}",
            f"The carrier “{company}” is not known. Give Douyin's code of it, or one of these names: {known}",
        ),
        platform="douyin",
        retryable=False,
        outcome="not_done",
    )
