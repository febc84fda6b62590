import errno
import os
import socket
from contextlib import ExitStack

import pytest

from domain.problems import ConfigurationProblem, ConflictProblem, Text
from runtime.ports import free_port, free_ports, obstacle, require_free

API = Text("接口服务", "the API")


def test_a_free_port_has_no_obstacle() -> None:
    require_free(free_port(), "TANDEM_API_PORT", API)
    require_free(free_port(), "TANDEM_API_PORT", API, "0.0.0.0")


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(500))) == 500


def test_a_server_that_takes_any_port_takes_none_of_them() -> None:
    mine = set(free_ports(500))
    with ExitStack() as held:
        others = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(200)]
        assert not mine & {other.getsockname()[1] for other in others}


def test_a_taken_port_is_told_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(ConflictProblem, match=f"process {os.getpid()}"):
                require_free(port, "TANDEM_API_PORT", API, host)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_looked_at_as_such() -> None:
    try:
        taken = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("IPv6 is off")
    with taken:
        why = obstacle(taken.getsockname()[1], "::1")
    assert why is not None
    assert why.errno == errno.EADDRINUSE


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_no_taken_port(host: str) -> None:
    with pytest.raises(ConfigurationProblem, match="TANDEM_API_HOST") as refusal:
        require_free(free_port(), "TANDEM_API_PORT", API, host)
    told = refusal.value.text
    assert f"The API cannot listen on {host}" in told.en
    assert f"无法监听 {host}" in told.zh
    assert "taken" not in told.en
