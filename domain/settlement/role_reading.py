"""Which roles of payees a scheme or a component names."""

from typing import Any

from domain.dsl.findings import did_you_mean, listed
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.scalars import NAME


def read_roles(data: Any, known: tuple[str, ...], place: str, remarks: Remarks) -> tuple[str, ...]:
    """Names of roles, of those that are known where some are; none when nothing is said."""
    if data is None:
        return ()
    names = data if isinstance(data, list) else [data]
    if not names or not all(isinstance(each, str) and NAME.fullmatch(each) for each in names):
        text = Text("roles 写角色名，例如 [city-agent, member]", "`roles` are names, such as [city-agent, member]")
        remarks.error("bad-roles", place, text)
        return ()
    if known and (strange := [each for each in names if each not in known]):
        near = did_you_mean(strange[0], known)
        text = Text(
            f"方案没有角色“{strange[0]}”。{near.zh}可用：{listed(known)}",
            f"The scheme has no role “{strange[0]}”.{near.en} It has: {listed(known)}",
        )
        remarks.error("unknown-role", place, text)
    return tuple(dict.fromkeys(names))
