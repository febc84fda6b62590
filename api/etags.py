"""Versions of what people change: `ETag` on what they read, `If-Match` on what they change; and tags of what is fetched
again and again: `If-None-Match`.

Source: RFC 9110, 8.8.3, 13.1.1 and 13.1.2; RFC 6585, 3 (428).
"""

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from domain.ids import content_digest
from domain.problems import PreconditionProblem, Text

_TAG = re.compile(r'"([1-9][0-9]{0,17})"')


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def content_etag(content: bytes) -> str:
    """The entity tag of exactly this content."""
    return f'"{content_digest(content)}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the caller holds the content of this tag already."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in given.split(","))


def _matched_version(
    if_match: Annotated[
        str | None, Header(description="所见版本的 ETag · the ETag of the version you saw", examples=['"3"'])
    ] = None,
) -> int:
    if if_match is None or if_match.strip() == "*":
        raise PreconditionProblem(
            Text(
                "缺少 If-Match：请先读取，再把返回的 ETag 放入 If-Match 头",
                "If-Match is missing: read it first and send its ETag in the If-Match header",
            ),
            status=428,
        )
    match = _TAG.fullmatch(if_match.strip())
    if match is None:
        raise PreconditionProblem(
            Text(
                f"If-Match 的值 {if_match[:80]} 不是这里给出的 ETag，请重新读取",
                f"The If-Match value {if_match[:80]} is no ETag from here: read it again",
            )
        )
    return int(match[1])


MatchedVersion = Annotated[int, Depends(_matched_version)]
"""The version that the caller saw. Raises PreconditionProblem: 428 without `If-Match`, 412 for no tag of ours."""
