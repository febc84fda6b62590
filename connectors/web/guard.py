"""Where a request may go: the host against the allow-list, then every address the host resolves to.

A host is resolved once per connection, the call is refused when any of its addresses is one that a flow may not reach,
and the connection goes to exactly the addresses that were checked. So an answer of DNS that changes between check and
connection changes nothing. TLS still verifies the name.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import httpcore
import httpx

from connectors.web.addresses import HostRules, Reach, reach
from connectors.web.failures import NEVER_SENT, place, unreachable
from domain.problems import AuthorizationProblem, Text, ValidationProblem

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text; raises OSError when it has none."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where flows may go on the web, and how much they may take.

    allowed_hosts: exact names and `*.example.com`. allow_private: whether private and loopback addresses may be
    reached. timeout_s: one call in all, token, redirections and reading included. ca_file: PEM file of authorities to
    trust beside the public ones.
    """

    allowed_hosts: tuple[str, ...]
    allow_private: bool
    timeout_s: float = 30
    max_response_bytes: int = 2 * 1024 * 1024
    ca_file: str | None = None


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses that the machine's resolver gives, without repetition, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HostGuard:
    """Decides which addresses a request may go to."""

    def __init__(self, settings: WebSettings, resolve: Resolver = system_resolver) -> None:
        self._rules = HostRules(settings.allowed_hosts)
        self._allow_private = settings.allow_private
        self._resolve = resolve

    def check_url(self, url: httpx.URL) -> None:
        """Raises AuthorizationProblem when the host is not allowed, ValidationProblem when this is no web address."""
        if url.scheme not in ("http", "https") or not url.host:
            raise _malformed(
                Text(
                    f"地址“{place(url)}”必须以 http:// 或 https:// 开头并包含主机名",
                    f"The address '{place(url)}' must begin with http:// or https:// and name a host",
                )
            )
        if url.port is not None and url.port > 65535:
            raise _malformed(Text(f"端口 {url.port} 不存在", f"There is no port {url.port}"))
        if url.userinfo:
            raise _malformed(
                Text(
                    f"{url.host} 的地址里不能写用户名和密码，请改用 authentication",
                    f"The address of {url.host} must not contain a user name or password; use `authentication`",
                )
            )
        self.check_host(url.host)

    def check_host(self, host: str) -> None:
        """Raises AuthorizationProblem when the host is not on the allow-list."""
        if not self._rules.allow(host):
            raise _forbidden(
                Text(
                    f"不允许访问 {host}；如需访问，请管理员把它加入 TANDEM_HTTP_ALLOWED_HOSTS",
                    f"{host} is not an allowed host; ask an administrator to add it to TANDEM_HTTP_ALLOWED_HOSTS",
                )
            )

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The checked addresses of an allowed host; raises AuthorizationProblem when one of them is off limits."""
        self.check_host(host)
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise unreachable(host, error.strerror or str(error)) from error
        if not found:
            raise unreachable(host, "no address")
        for address in found:
            match reach(address):
                case Reach.NEVER:
                    raise _forbidden(
                        Text(
                            f"{host} 指向 {address}，该地址（链路本地、元数据、组播或保留地址）一律不允许访问",
                            f"{host} points to {address}: link-local, metadata, multicast and reserved addresses are "
                            "never allowed",
                        )
                    )
                case Reach.PRIVATE if not self._allow_private:
                    raise _forbidden(
                        Text(
                            f"{host} 指向内网或本机地址 {address}；确需访问时请设置 TANDEM_HTTP_ALLOW_PRIVATE=1",
                            f"{host} points to the private or loopback address {address}; if that is intended, ask an "
                            "administrator to set TANDEM_HTTP_ALLOW_PRIVATE=1",
                        )
                    )
        return found


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections only to addresses that the guard has just checked."""

    def __init__(self, guard: HostGuard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(host, port, timeout, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error

    async def _connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("no address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _forbidden(detail: Text) -> AuthorizationProblem:
    return AuthorizationProblem(detail, **NEVER_SENT)


def _malformed(detail: Text) -> ValidationProblem:
    return ValidationProblem(detail, **NEVER_SENT)
