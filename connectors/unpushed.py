"""Platforms that push nothing over HTTP: their records are pulled, or come over a channel that we open."""

from typing import NoReturn

from connectors.accounts import Account
from connectors.webhooks import PushAnswer, Refusal, Verified, WebhookRequest, refusal_text
from domain.problems import AuthenticationProblem, ProblemError, Text


class Unpushed:
    """The part of a connector that answers pushes, for a platform that sends none: whoever pushes is not it."""

    title: Text

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        """Never. Raises AuthenticationProblem."""
        self._refuse()

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(404, b"", "text/plain")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        return PushAnswer(problem.problem.status, refusal_text(problem).encode(), "text/plain; charset=utf-8")

    def uses(self, kind: str) -> bool:
        """Whether a push of this kind is of use: none comes."""
        return False

    def _refuse(self) -> NoReturn:
        raise AuthenticationProblem(
            Text(
                f"{self.title.zh}不通过 HTTP 推送，此请求不是平台发来的，请删除该回调地址",
                f"{self.title.en} does not push over HTTP, so this is not from them; remove this callback address",
            ),
            reason=Refusal.SIGNATURE,
            retryable=False,
        )
