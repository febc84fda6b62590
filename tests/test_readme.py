"""The README's walk-through can be copied as it stands: what it names exists, in both languages."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from api.app import ROUTERS
from services.setup import PEOPLE
from simulator.admin import admin_router
from simulator.app import create_app
from simulator.settings import Settings
from tests.documents import ROOT, blocks, read, tandem_commands, wrong_command

WALK = blocks(read("README.md"), "bash")
# What a variable of the walk-through holds in an address.
_VALUES = {"FLOW": "apparel/return-refund", "RUN": "flow/apparel/return-refund/1"}
_URL = re.compile(r'"?\$(?P<base>API|SHOPS)(?P<path>/[^\s"?]*)(?:\?(?P<query>[^\s"]*))?')
_METHOD = re.compile(r"-X ([A-Z]+)")


class Request(NamedTuple):
    """One `curl` of the walk-through."""

    line: str
    base: str
    method: str
    path: str
    parameters: list[str]


def _requests() -> Iterator[Request]:
    for line in "\n".join(WALK).splitlines():
        for command in re.split(r"\bcurl ", line)[1:]:
            url, method = _URL.search(command), _METHOD.search(command)
            assert url is not None, f"no address in: {line}"
            path = re.sub(r"\$(\w+)", lambda found: _VALUES.get(found[1], "x"), url["path"])
            query = [pair.partition("=")[0] for pair in (url["query"] or "").split("&") if pair]
            sends = "POST" if " -d " in command else "GET"
            yield Request(line, url["base"], method[1] if method else sends, path, query)


def _routers(base: str) -> tuple[APIRouter, ...]:
    if base == "API":
        return ROUTERS
    state = create_app(Settings()).state
    return (admin_router(state.world, state.pusher, state.replayer, {}),)


@pytest.mark.parametrize(("base", "prefix"), [("API", "/api/v1"), ("SHOPS", "/_sim")])
def test_each_request_has_a_route_that_knows_its_parameters(base: str, prefix: str) -> None:
    routers = _routers(base)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    application = FastAPI()
    for router in routers:
        application.include_router(router)
    described = application.openapi()["paths"]
    requests = [request for request in _requests() if request.base == base]
    assert len(requests) >= 5
    for request in requests:
        scope = {"type": "http", "method": request.method, "path": prefix + request.path}
        route = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
        assert route is not None, f"no route for {request.method} {prefix + request.path}: {request.line}"
        if request.path == "/ledger":
            continue  # it filters by any subject
        parameters = described[route.path_format][request.method.lower()].get("parameters", [])
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert set(request.parameters) <= known, request.line


def test_each_command_and_option_exists() -> None:
    called = [words for block in WALK for words in tandem_commands(block)]
    assert len(called) >= 4
    assert [wrong for words in called if (wrong := wrong_command(words))] == []


def test_each_login_is_one_of_the_demo() -> None:
    logins = set(re.findall(r"\$\(token (\w+)\)", "\n".join(WALK)))
    assert logins
    assert logins <= {person.login for person in PEOPLE}


def test_each_file_exists() -> None:
    named = set(re.findall(r"\b(?:definitions|docs|simulator)/[\w./-]+", "\n".join(WALK)))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_ports_are_the_defaults() -> None:
    text = "\n".join(WALK)
    assert "API=http://127.0.0.1:8000/api/v1\n" in text
    assert "SHOPS=http://127.0.0.1:8090/_sim\n" in text


def test_both_languages_walk_the_same_way() -> None:
    assert blocks(read("README.zh-CN.md"), "bash") == WALK


@pytest.mark.skipif(shutil.which("bash") is None, reason="the walk-through is written for bash")
def test_what_needs_no_server_does_what_is_promised(tmp_path: Path) -> None:
    """The operator's side up to the dry-run, command by command."""
    local = [block for block in WALK if "tandem flow" in block and "curl" not in block]
    assert len(local) == 2
    script = f'tandem() {{ "{sys.executable}" -m cli "$@"; }}\n' + "\n".join(local)
    outcome = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "LC_ALL": "C.UTF-8", "TANDEM_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert {"unknown-then", "bad-duration"} <= set(re.findall(r"  error  ([a-z-]+)", outcome.stdout))
    assert "exit 1" in outcome.stdout
    assert "approve " in outcome.stdout  # finance was asked
    assert '"result": "refunded"' in outcome.stdout.splitlines()[-1]
