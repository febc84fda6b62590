from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from connectors.web.caller import WebCaller
from connectors.web.guard import WebSettings
from tests.connectors.web.service import Service, serve

MakeCaller = Callable[..., WebCaller]


async def loopback(host: str, port: int) -> Sequence[str]:
    """Every name points to this machine, as a private DNS might say."""
    return ["127.0.0.1"]


@pytest.fixture(scope="session")
def shared_service() -> Iterator[Service]:
    with serve() as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Service:
    """A web service that has seen nothing yet."""
    shared_service.seen.clear()
    return shared_service


@pytest.fixture
async def make_caller() -> AsyncIterator[MakeCaller]:
    """Callers for `shop.test` and everything below `partner.test`, which all point to this machine."""
    made: list[WebCaller] = []

    def make(resolve: Any = loopback, **settings: Any) -> WebCaller:
        defaults: dict[str, Any] = {"allowed_hosts": ("shop.test", "*.partner.test"), "allow_private": True}
        made.append(WebCaller(WebSettings(**{**defaults, **settings}), resolve))
        return made[-1]

    yield make
    for caller in made:
        await caller.aclose()


@pytest.fixture
def caller(make_caller: MakeCaller) -> WebCaller:
    return make_caller()
