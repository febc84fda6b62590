"""How callbacks of the WeChat family are answered: Official Accounts, WeChat Stores and WeCom read the same words."""

from connectors.accounts import Account
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, refusal_text
from connectors.wechat.callbacks import read_callback, verify_callback
from connectors.wechat.settings import WechatSettings
from domain.problems import ProblemError


class AnswersCallbacks:
    """The part of a connector that answers callbacks."""

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b"success" if verified.echo is None else verified.echo, "text/plain")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        # Whatever is not 200 counts as failed, and is sent again up to three times [S].
        return PushAnswer(problem.problem.status, refusal_text(problem).encode(), "text/plain")


class TakesCallbacks(AnswersCallbacks):
    """The part of a connector that takes callbacks of an application on WeChat's open platform."""

    settings: type[WechatSettings] = WechatSettings

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_callback(request, account.parse_settings(self.settings))

    def read_push(self, kept: Verified, account: Account) -> Verified:
        return read_callback(kept)
