"""The generic webhook: any system that can sign sends canonical records, and needs no connector of its own.

`POST /hooks/generic/{account}`, signed by Standard Webhooks, its body as `connectors.canonical_records` describes it. A
wrong field is refused at once and by name; nothing of a body that holds one is stored.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.accounts import Account, AccountSettings
from connectors.canonical_records import RECORDS_KIND, parse_records, record_events
from connectors.connection_report import ConnectionReport, explain
from connectors.http import Link
from connectors.standard_webhooks import check_message, checked_secret, new_secret
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.catalog.platforms import platform_queue
from domain.events import Event
from domain.problems import ProblemError, Text

PLATFORM = "generic"


class GenericSettings(AccountSettings):
    """One system that sends records."""

    secret: Annotated[SecretStr, AfterValidator(checked_secret)] = Field(
        description="给推送签名的密钥：whsec_ 加 16 字节以上的 base64 · Signs pushes: whsec_ and base64 of "
        "16 bytes or more",
    )
    previous_secret: Annotated[SecretStr, AfterValidator(checked_secret)] | None = Field(
        default=None,
        description="换密钥期间仍接受的旧密钥 · Still taken while the sender changes over",
    )

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """Every secret a push may be signed with."""
        return (self.secret,) if self.previous_secret is None else (self.secret, self.previous_secret)


class GenericSystem:
    """The sending system; nothing is asked of it."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(GenericSettings)


class GenericConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("通用 Webhook", "Generic webhook")
    queue = platform_queue(PLATFORM)
    requests_per_second = 100.0
    settings = GenericSettings
    nobody = Account(PLATFORM, "", {"secret": new_secret()})
    calls: tuple[AnyCall, ...] = ()
    client = GenericSystem

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        signed = check_message(request, account.parse_settings(GenericSettings).secrets)
        parse_records(request.body, account, request.received_at)
        return Verified(RECORDS_KIND, request.body, signed.id, request.received_at, signed.sent_at)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b'{"status":"success"}', "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        status = problem.problem.status
        return json_answer(
            status,
            {"status": status, "message": refusal_text(problem), "errors": problem.problem.as_dict().get("errors", [])},
        )

    def uses(self, kind: str) -> bool:
        return kind == RECORDS_KIND

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return record_events(record, account)

    def open(self, account: Account, link: Link) -> GenericSystem:
        return GenericSystem(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """There is nobody to ask: says whether the secret is one, and where to send."""
        try:
            self.open(account, link)
        except ProblemError as error:
            return explain(error, {})
        where = f"/hooks/{self.platform}/{account.slug}"
        return ConnectionReport(
            True,
            Text(
                f"设置完整；请对方把签名后的记录发到 {where}",
                f"The settings are complete; have signed records sent to {where}",
            ),
        )
