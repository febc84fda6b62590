"""The only way out to the web: every request, redirection, token request and document goes through `GuardedTransport`.

It sends only where the guard allows, reads answers up to a limit that counts what they unpack to, and raises problems
instead of the errors of the wire. Proxies and credentials of the process's environment are never used.
"""

import contextlib
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator

import httpcore
import httpx

from connectors.web.failures import NEVER_SENT, broken_off, too_late, unreachable, unusable
from connectors.web.guard import GuardedBackend, HostGuard, Resolver, WebSettings, system_resolver
from domain.problems import CommunicationProblem, ConfigurationProblem, Text, ValidationProblem

_CONNECT_TIMEOUT_S = 10.0
# Shorter than the idle limit of common servers, so that a connection is rarely closed under a request.
_IDLE_CONNECTION_S = 2.0
_UNPACKED_CHUNK_BYTES = 64 * 1024
_DAMAGED = Text("压缩数据已损坏", "its compressed data is damaged")


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends one request and hands back an answer that is unpacked and bounded; raises problems, not httpx errors."""

    def __init__(self, settings: WebSettings, resolve: Resolver = system_resolver) -> None:
        self._guard = HostGuard(settings, resolve)
        self._settings = settings
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_ssl_context(settings.ca_file),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=_IDLE_CONNECTION_S,
            network_backend=GuardedBackend(self._guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(request.url)
        # The answer is unpacked here, where it is bounded; other packings are not asked for.
        request.headers["accept-encoding"] = "gzip"
        message = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": self._timeouts()},
        )
        with _told_as_problems(request, self._settings):
            answer = await self._pool.handle_async_request(message)
        headers = httpx.Headers(answer.headers)
        packing = headers.pop("content-encoding", "identity").strip().lower()
        return httpx.Response(
            status_code=answer.status,
            headers=headers,
            stream=BoundedStream(answer, request, packing, self._settings),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _timeouts(self) -> dict[str, float]:
        total_s, connect_s = self._settings.timeout_s, _connect_limit_s(self._settings)
        return {"connect": connect_s, "pool": connect_s, "read": total_s, "write": total_s}


class BoundedStream(httpx.AsyncByteStream):
    """The body of an answer, unpacked; raises CommunicationProblem past the size limit or when it is damaged."""

    def __init__(self, answer: httpcore.Response, request: httpx.Request, packing: str, settings: WebSettings) -> None:
        self._answer = answer
        self._request = request
        self._packing = packing
        self._settings = settings

    async def __aiter__(self) -> AsyncIterator[bytes]:
        limit = self._settings.max_response_bytes
        unpacker = self._unpacker()
        size = 0
        with _told_as_problems(self._request, self._settings):
            async for packed in self._answer.aiter_stream():
                for chunk in self._unpacked(unpacker, packed):
                    size += len(chunk)
                    if size > limit:
                        raise self._unusable(Text(f"超过 {limit} 字节的上限", f"it is longer than {limit} bytes"))
                    yield chunk
            if not unpacker.complete:
                raise self._unusable(_DAMAGED)

    async def aclose(self) -> None:
        await self._answer.aclose()

    def _unpacker(self) -> "_Inflater | _AsItIs":
        if self._packing in ("identity", ""):
            return _AsItIs()
        if self._packing in ("gzip", "x-gzip", "deflate"):
            return _Inflater()
        raise self._unusable(
            Text(f"压缩方式 {self._packing} 不受支持", f"it is packed as {self._packing}, which is not supported")
        )

    def _unpacked(self, unpacker: "_Inflater | _AsItIs", packed: bytes) -> Iterator[bytes]:
        try:
            yield from unpacker.feed(packed)
        except zlib.error as error:
            raise self._unusable(_DAMAGED) from error

    def _unusable(self, reason: Text) -> CommunicationProblem:
        return unusable(self._request.url, reason, self._request.method)


class _AsItIs:
    """Data that is not packed."""

    complete = True

    def feed(self, packed: bytes) -> Iterator[bytes]:
        yield packed


class _Inflater:
    """Unpacks gzip or zlib data in small chunks, so that a bomb is noticed before it fills the memory."""

    def __init__(self) -> None:
        self._member = _inflate_object()
        self.complete = True

    def feed(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._member.eof:
                self._member = _inflate_object()
            yield self._member.decompress(packed, _UNPACKED_CHUNK_BYTES)
            self.complete = self._member.eof
            packed = self._member.unused_data if self.complete else self._member.unconsumed_tail


def _inflate_object() -> "zlib._Decompress":
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def _connect_limit_s(settings: WebSettings) -> float:
    # Ends before the call's own limit, so that a connection that never came about is known as such.
    return min(_CONNECT_TIMEOUT_S, settings.timeout_s * 0.8)


@contextlib.contextmanager
def _told_as_problems(request: httpx.Request, settings: WebSettings) -> Iterator[None]:
    """Errors of the wire become problems that say whether the request may have been carried out."""
    host, method = request.url.host, request.method
    try:
        yield
    except (httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
        raise too_late(host, _connect_limit_s(settings), method, connected=False) from error
    except httpcore.TimeoutException as error:
        raise too_late(host, settings.timeout_s, method) from error
    except httpcore.ConnectError as error:
        raise unreachable(host, str(error) or type(error).__name__) from error
    except httpcore.LocalProtocolError:
        # The library's sentence may quote a header, and the header may be a credential.
        raise ValidationProblem(
            Text(f"发往 {host} 的请求不符合 HTTP 规范", f"The request to {host} is not valid HTTP"),
            **NEVER_SENT,
        ) from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise broken_off(host, str(error) or type(error).__name__, method) from error


def _ssl_context(ca_file: str | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise ConfigurationProblem(
                Text(
                    f"无法读取 CA 证书文件：{error.strerror or error}",
                    f"Cannot read the file of certificate authorities: {error.strerror or error}",
                )
            ) from error
    return context
