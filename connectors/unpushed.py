"""Platforms that push nothing over HTTP: their records are pulled, or come over a channel that we open."""

from typing import NoReturn

from connectors.webhooks import Acknowledgement
from domain.problems import AuthenticationProblem, Text

NOTHING_TO_ACKNOWLEDGE = Acknowledgement(404, b"", "text/plain")


def refuse_push(title: Text) -> NoReturn:
    """Whoever pushes for this platform is not it. Raises AuthenticationProblem."""
    raise AuthenticationProblem(
        Text(
            f"{title.zh}不通过 HTTP 推送，此请求不是平台发来的，请删除该回调地址",
            f"{title.en} does not push over HTTP, so this is not from them; remove this callback address",
        ),
        retryable=False,
    )
