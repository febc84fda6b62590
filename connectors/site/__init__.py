"""The merchant's own site and app: visits, carts and scans, by an image or one POST, without any script of ours.

`GET /pixel/{account}.gif?…` and `POST /collect/{account}`; both answer with a 1×1 GIF and set no cookie. The site key
names the site and is no secret: whoever knows it can tell of events of nobody in particular. Who somebody is counts
only when the merchant's server has signed it (`connectors.site.visitors`).
"""

import secrets
from base64 import b64decode

from connectors.accounts import Account
from connectors.canonical_records import RECORDS_KIND, record_events
from connectors.connection_report import ConnectionReport, explain
from connectors.http import Link
from connectors.site.events import read_events
from connectors.site.settings import PLATFORM, SiteSettings
from connectors.standard_webhooks import new_secret
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.catalog.platforms import platform_queue
from domain.events import Event
from domain.problems import ProblemError, Text

GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class Site:
    """The site; nothing is asked of it."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(SiteSettings)


class SiteConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("网站与应用", "Site and app")
    queue = platform_queue(PLATFORM)
    requests_per_second = 100.0
    settings = SiteSettings
    nobody = Account(PLATFORM, "", {"site_key": secrets.token_hex(16), "signing_secret": new_secret()})
    calls: tuple[AnyCall, ...] = ()
    client = Site

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        """What happened on the site; an echo, stored nowhere, for a visitor who does not want to be tracked."""
        settings = account.parse_settings(SiteSettings)
        if request.headers.get("dnt") == "1" or request.headers.get("sec-gpc") == "1":
            return Verified("do-not-track", b"", "", request.received_at, echo=GIF)
        return read_events(request, account, settings)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, GIF, "image/gif", {"Cache-Control": "no-store"})

    def refuse(self, problem: ProblemError) -> PushAnswer:
        status = problem.problem.status
        return json_answer(status, {"status": status, "message": refusal_text(problem)})

    def uses(self, kind: str) -> bool:
        return kind == RECORDS_KIND

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return record_events(record, account)

    def open(self, account: Account, link: Link) -> Site:
        return Site(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """There is nobody to ask: says whether the settings are complete, and what to put into the page."""
        try:
            site = self.open(account, link)
        except ProblemError as error:
            return explain(error, {})
        address = f"/pixel/{account.slug}.gif?key={site.settings.site_key}&type=visit&name=page_view"
        return ConnectionReport(
            True,
            Text(
                f"设置完整；页面中放入图片地址 {address}",
                f"The settings are complete; the image to put into pages: {address}",
            ),
        )
