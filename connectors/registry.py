"""The one shape of every connector, and the register they are kept in.

A connector is stateless: it knows a platform's wire contract. What acts for one account is the client it opens.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from connectors.accounts import Account, AccountSettings
from connectors.capabilities import check_capabilities
from connectors.connection_report import ConnectionReport
from connectors.http import Link
from connectors.webhooks import PushAnswer, Verified, WebhookRequest
from domain.calls import AnyCall
from domain.events import Event
from domain.problems import ConfigurationProblem, NotFoundProblem, ProblemError, Text


@runtime_checkable
class Connector(Protocol):
    """One platform's wire contract."""

    @property
    def platform(self) -> str:
        """Its name in calls, addresses and events."""

    @property
    def title(self) -> Text:
        """Its name for people."""

    @property
    def queue(self) -> str:
        """The task queue of its calls."""

    @property
    def requests_per_second(self) -> float:
        """How fast the platform may be asked, all workers together: calls of the queue started a second.

        Requests to one account, those within calls and pulls included, are held to four times that
        (`connectors.pacing`).
        """

    @property
    def settings(self) -> type[AccountSettings]:
        """What an account must be told."""

    @property
    def calls(self) -> tuple[AnyCall, ...]:
        """What it implements, by methods of `client`."""

    @property
    def client(self) -> type[Any]:
        """The class that `open` makes."""

    @property
    def nobody(self) -> Account:
        """An account that is nobody's, with keys that nobody knows. What comes for an unknown account is verified
        against it, so that it is refused in the same words and after the same work."""

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        """The push, once its signature, its time and its receiver are right.

        Raises AuthenticationProblem, whose `reason` is a `Refusal` (not from the platform, not for this account, or
        stale), or ValidationProblem (unreadable). Pure: time is `request.received_at`.
        """

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        """What the platform wants to read, the echo of its address check included."""

    def refuse(self, problem: ProblemError) -> PushAnswer:
        """What the platform reads of a push that was not taken.

        Never what it takes for a success. The status is the problem's: 5xx, 408 and 429 ask it to send again, any other
        says that sending the same again will not help. Nothing of the account is in it: it may be nobody's.
        """

    def uses(self, kind: str) -> bool:
        """Whether Tandem has a use for pushes of this kind; any other is taken, and becomes no event.

        Kinds that only announce what a stream has are no business of it (`connectors.pulling.Stream`).
        """

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        """The canonical events of a push, the same on every call.

        Empty when Tandem has no use for this kind. Raises ValidationProblem when the payload is not what this kind
        promises; the record then belongs in quarantine.
        """

    def open(self, account: Account, link: Link) -> Any:
        """The client of one account; its methods implement `calls`. Raises ConfigurationProblem for wrong settings."""

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Try the account's settings on the platform without changing anything there.

        What is tried is the secrets themselves, not a token that an earlier secret may have fetched. Raises no other
        ProblemError than UnavailableProblem: what is away is ours.
        """


class ConnectorRegistry(Mapping[str, Connector]):
    """Connectors by platform."""

    def __init__(self, connectors: tuple[Connector, ...] = ()) -> None:
        self._connectors: dict[str, Connector] = {}
        for connector in connectors:
            self.register(connector)

    def register(self, connector: Connector) -> None:
        """Add a connector; raises ConfigurationProblem when its platform is taken or it breaks a declaration."""
        check_capabilities(connector.client, connector.calls)
        connector.nobody.parse_settings(connector.settings)
        strangers = [call.name for call in connector.calls if call.queue != connector.queue]
        if strangers:
            raise ConfigurationProblem(
                Text(
                    f"连接器 {connector.platform} 的调用不在自己的队列上：{', '.join(strangers)}",
                    f"Calls of connector {connector.platform} are not on its queue: {', '.join(strangers)}",
                )
            )
        if self._connectors.setdefault(connector.platform, connector) is not connector:
            raise ConfigurationProblem(
                Text(
                    f"平台 {connector.platform} 已有连接器，请卸载重复的一个",
                    f"There is a connector for {connector.platform} already; uninstall one of them",
                )
            )

    def for_platform(self, platform: str) -> Connector:
        """The platform's connector; raises NotFoundProblem when there is none."""
        connector = self._connectors.get(platform)
        if connector is None:
            known = ", ".join(sorted(self._connectors)) or "–"
            raise NotFoundProblem(
                Text(
                    f"没有平台 {platform} 的连接器，可用：{known}",
                    f"There is no connector for {platform}; available: {known}",
                ),
                retryable=False,
            )
        return connector

    def __getitem__(self, platform: str) -> Connector:
        return self._connectors[platform]

    def __iter__(self) -> Iterator[str]:
        return iter(self._connectors)

    def __len__(self) -> int:
        return len(self._connectors)
