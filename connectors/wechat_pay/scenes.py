"""Transfer scenes: what WeChat Pay wants to be told of every transfer, by the scene that a merchant was granted.

A transfer without it is refused (PARAM_ERROR, 需传入转账场景报备信息). The types are the platform's own words and may
not be changed; the contents are the merchant's. Payees do not see them.

Source: pay.weixin.qq.com, merchant transfer, “按转账场景发起转账” [O]: documents 4013774588 (1000), 4013774589 (1011),
4013774592 (1010), 4013774594 (1002), 4013774595 (1004). The types of 1005 (4013774590) are as merchants quote them [S].
"""

from collections.abc import Mapping

from domain.problems import Text

COMMISSION = "1005"
LONGEST_TYPE, LONGEST_CONTENT = 15, 32
TYPES: Mapping[str, tuple[str, ...]] = {
    "1000": ("活动名称", "奖励说明"),
    "1002": ("补贴类型",),
    "1004": ("保险产品备案编号", "保险名称", "保险操作单号"),
    COMMISSION: ("岗位类型", "报酬说明"),
    "1010": ("回收商品名称",),
    "1011": ("赔付原因",),
}
"""The types that each scene wants, all of them and no others."""
USUAL: Mapping[str, Mapping[str, str]] = {
    "1000": {"活动名称": "推广活动", "奖励说明": "推广奖励"},
    COMMISSION: {"岗位类型": "推广员", "报酬说明": "推广佣金"},
}
"""What is told where nothing is set."""


def missing_reports(scene: str, reports: Mapping[str, str]) -> Text | None:
    """What is wrong with the reports of a scene; None when they are as the platform wants them. Of a scene that is not
    known here only that there are some."""
    wanted = TYPES.get(scene)
    if wanted is None:
        return None if reports else Text(f"场景 {scene} 须填写 scene_reports", f"scene {scene} wants scene_reports")
    if set(reports) == set(wanted):
        return None
    names = "、".join(wanted)
    return Text(f"场景 {scene} 的报备信息须正好是：{names}", f"scene {scene} wants exactly these reports: {names}")
