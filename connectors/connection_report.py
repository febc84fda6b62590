"""Whether an account can be used, in plain words: what is wrong, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from connectors.webhooks import Refusal
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    CommunicationProblem,
    ConfigurationProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    TimeoutProblem,
    UnavailableProblem,
)


class ConnectionFault(StrEnum):
    """Whose trouble it is, most of all."""

    DISCONNECTED = "disconnected"
    """The account was disconnected here; the platform was not asked."""
    SETTINGS = "settings"
    """Ours are missing or wrong; the platform was not asked."""
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    ADDRESS = "address"
    """The platform does not trust the address that the request came from."""
    CLOCK = "clock"
    NETWORK = "network"
    BUSY = "busy"
    """The platform asks to come back later."""
    PLATFORM = "platform"
    """It answered, but not as its documents say."""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """Whether an account can be used. fault: None when it can; hint: what to do, or what is still lacking."""

    ok: bool
    message: Text
    hint: Text | None = None
    fault: ConnectionFault | None = None


Hints = Mapping[ConnectionFault, Text]

_HINTS: Hints = {
    ConnectionFault.NETWORK: Text(
        "检查本机的网络、DNS 与防火墙，以及账号设置中的 base_url",
        "Check this machine's network, DNS and firewall, and the account's base_url",
    ),
    ConnectionFault.ADDRESS: Text(
        "在平台的后台把本机的出口 IP 加入白名单",
        "Add this server's outgoing IP to the white list in the platform's console",
    ),
    ConnectionFault.CLOCK: Text("校准服务器时钟（NTP）后重试", "Set this server's clock (NTP), then try again"),
    ConnectionFault.BUSY: Text("设置没有问题，稍后再测", "Nothing is wrong with the settings: test again later"),
    ConnectionFault.PLATFORM: Text(
        "检查账号设置中的 base_url 与中间的代理；稍后再测，仍然如此请联系平台",
        "Check the account's base_url and any proxy in between; test again later, then ask the platform",
    ),
}
_KINDS: tuple[tuple[type[ProblemError], ConnectionFault], ...] = (
    (ConfigurationProblem, ConnectionFault.SETTINGS),
    (AuthenticationProblem, ConnectionFault.CREDENTIALS),
    (AuthorizationProblem, ConnectionFault.PERMISSION),
    (RateLimitProblem, ConnectionFault.BUSY),
    (TimeoutProblem, ConnectionFault.NETWORK),
)
_NO_CONNECTION = 503


def explain(error: ProblemError, hints: Hints) -> ConnectionReport:
    """A failed connection test in plain words.

    hints: what to do, by fault, where the platform needs other words than usual.
    Raises the problem itself when what is away is ours: that tells nothing of the account.
    """
    if isinstance(error, UnavailableProblem):
        raise error
    fault = _fault_of(error)
    return ConnectionReport(False, _message(error, fault), hints.get(fault, _HINTS.get(fault)), fault)


def _fault_of(error: ProblemError) -> ConnectionFault:
    members = error.problem.as_dict()
    code = str(members.get("platform_code", ""))
    if "cause" in members:
        return ConnectionFault(members["cause"])
    if members.get("reason") == Refusal.SIGNATURE:
        # It answered, but with another key than the one that was entered for it.
        return ConnectionFault.CREDENTIALS
    if isinstance(error, AuthenticationProblem) and members.get("retryable"):
        # It took the secret, and then refused what it had given out.
        return ConnectionFault.PLATFORM
    if isinstance(error, CommunicationProblem) and not code and error.problem.status == _NO_CONNECTION:
        return ConnectionFault.NETWORK
    if isinstance(error, CommunicationProblem) and members.get("retry_after_s") is not None:
        return ConnectionFault.BUSY
    return next((fault for kind, fault in _KINDS if isinstance(error, kind)), ConnectionFault.PLATFORM)


def _message(error: ProblemError, fault: ConnectionFault) -> Text:
    """What the problem says, unless it speaks of what a worker does next, which a test does not."""
    platform = error.problem.as_dict().get("platform", "")
    if fault is ConnectionFault.NETWORK and isinstance(error, CommunicationProblem):
        return Text(f"连接不上平台 {platform}", f"{platform} cannot be reached")
    if fault is ConnectionFault.PLATFORM and isinstance(error, AuthenticationProblem):
        return Text(
            f"平台 {platform} 不接受它刚发出的访问令牌", f"{platform} does not take the access token that it gave out"
        )
    if isinstance(error, RateLimitProblem):
        return Text(f"平台 {platform} 正在限流", f"{platform} limits the rate of calls")
    return error.text
