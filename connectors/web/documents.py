"""Documents that definitions refer to, read over the guard and kept for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from connectors.web.content import UnreadableContent, decode_content, media_type
from connectors.web.expiring_cache import ExpiringCache, fingerprint
from connectors.web.failures import unusable
from domain.catalog.web import Endpoint
from domain.problems import Text

_LIFETIME_S = 300.0
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says, and the address that finally answered."""

    content: Any
    address: str


class Documents:
    """Reads JSON and YAML documents; one request at a time for the same endpoint. fetch: gets an endpoint's answer."""

    def __init__(self, fetch: Callable[[Endpoint], Awaitable[httpx.Response]]) -> None:
        self._fetch = fetch
        self._kept: ExpiringCache[Document] = ExpiringCache(_KEPT)

    async def read(self, endpoint: Endpoint) -> Document:
        """The document, at most five minutes old; raises CommunicationProblem when it is neither JSON nor YAML."""
        return await self._kept.get(fingerprint(endpoint), lambda _: self._read(endpoint))

    async def _read(self, endpoint: Endpoint) -> tuple[Document, float]:
        response = await self._fetch(endpoint)
        # Big documents take a while to parse; the loop serves others meanwhile.
        content = await asyncio.to_thread(_parse, response)
        return Document(content, str(response.request.url)), _LIFETIME_S


def _parse(response: httpx.Response) -> Any:
    kind = media_type(response.headers.get("content-type", ""))
    try:
        if "yaml" in kind or response.content.lstrip()[:1] not in (b"{", b"["):
            return _parse_yaml(response.content)
        return decode_content(response.content, "application/json")
    except (yaml.YAMLError, UnreadableContent, RecursionError, ValueError) as error:
        reason = Text("它既不是 JSON 也不是可读的 YAML", "it is neither JSON nor readable YAML")
        raise unusable(response.request.url, reason, "GET") from error


def _parse_yaml(content: bytes) -> Any:
    loader_type = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    # A few aliases of aliases stand for more than any memory holds.
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=loader_type)):
        raise ValueError("aliases are not supported")
    loader = loader_type(content)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
