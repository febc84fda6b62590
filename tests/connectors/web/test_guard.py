"""Where a flow cannot go, however it is asked: tried against servers that would answer if they were reached."""

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.web.guard import system_resolver
from domain.catalog.web import HttpRequest
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    ConfigurationProblem,
    ProblemError,
    TimeoutProblem,
)
from tests.connectors.web.conftest import MakeCaller
from tests.connectors.web.service import Service, serve


class ChangingDns:
    """A resolver that gives another answer each time, the last one for ever; and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]


def get(url: str, **arguments: Any) -> HttpRequest:
    return HttpRequest.model_validate({"method": "get", "endpoint": url, **arguments})


def english(caught: pytest.ExceptionInfo[ProblemError]) -> str:
    return str(caught.value.problem.detail)


async def test_a_host_that_is_not_listed_is_refused_before_dns_is_asked(
    make_caller: MakeCaller, service: Service
) -> None:
    dns = ChangingDns(["127.0.0.1"])
    with pytest.raises(AuthorizationProblem) as caught:
        await make_caller(dns).call_http(get(service.url("/echo", host="evil.test")))
    assert "TANDEM_HTTP_ALLOWED_HOSTS" in english(caught)
    assert caught.value.problem.status == 403
    assert caught.value.problem.as_dict()["outcome"] == "not_done"
    assert dns.asked == 0
    assert service.seen == []


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1"], ["93.184.216.34", "127.0.0.1"]],
    ids=lambda answer: answer[-1],
)
async def test_private_addresses_need_the_setting(make_caller: MakeCaller, service: Service, answer: list[str]) -> None:
    with pytest.raises(AuthorizationProblem) as caught:
        await make_caller(ChangingDns(answer), allow_private=False).call_http(get(service.url("/echo")))
    assert "TANDEM_HTTP_ALLOW_PRIVATE=1" in english(caught)
    assert answer[-1] in english(caught)
    assert service.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
async def test_a_listed_loopback_host_still_needs_the_setting(
    make_caller: MakeCaller, service: Service, host: str
) -> None:
    listed = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost")
    caller = make_caller(system_resolver, allow_private=False, allowed_hosts=listed)
    with pytest.raises(AuthorizationProblem):
        await caller.call_http(get(service.url("/echo", host=host)))
    assert service.seen == []


@pytest.mark.parametrize(
    "answer", ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "0.0.0.0", "fe80::1", "224.0.0.1"]
)
async def test_metadata_and_the_like_are_refused_whatever_the_settings(
    make_caller: MakeCaller, service: Service, answer: str
) -> None:
    with pytest.raises(AuthorizationProblem, match="never allowed"):
        await make_caller(ChangingDns([answer]), allow_private=True).call_http(get(service.url("/echo")))
    assert service.seen == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
async def test_with_the_setting_a_private_address_is_reached(
    make_caller: MakeCaller, service: Service, address: str
) -> None:
    answer = await make_caller(ChangingDns([address])).call_http(get(service.url("/echo")))
    assert answer["headers"]["host"] == f"shop.test:{service.port}"


async def test_the_connection_goes_to_the_address_that_was_checked(make_caller: MakeCaller) -> None:
    with serve(host="127.0.0.1") as good, serve(host="127.0.0.2", port=good.port) as rebound:
        dns = ChangingDns(["127.0.0.1"], ["127.0.0.2"])
        await make_caller(dns).call_http(get(good.url("/echo")))
        assert dns.asked == 1
        assert (len(good.seen), len(rebound.seen)) == (1, 0)


async def test_an_answer_that_changes_is_checked_again_for_the_next_connection(
    make_caller: MakeCaller, service: Service
) -> None:
    dns = ChangingDns(["127.0.0.1"], ["169.254.169.254"])
    caller = make_caller(dns, timeout_s=1)
    with pytest.raises(TimeoutProblem):  # what was under way is hung up, so the next request connects anew
        await caller.call_http(get(service.url("/silent")))
    with pytest.raises(AuthorizationProblem):
        await caller.call_http(get(service.url("/echo")))
    assert [path for _, path, _ in service.seen] == ["/silent"]


async def test_the_next_address_is_tried_when_the_first_does_not_answer(
    make_caller: MakeCaller, service: Service
) -> None:
    caller = make_caller(ChangingDns(["127.0.0.3", "127.0.0.1"]))
    assert (await caller.call_http(get(service.url("/echo"))))["method"] == "GET"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.test/", AuthorizationProblem),
        ("http://169.254.169.254/latest/meta-data", AuthorizationProblem),
        ("//evil.test/", AuthorizationProblem),
        ("http://[::ffff:169.254.169.254]/", AuthorizationProblem),
        ("file:///etc/passwd", ProblemError),
        ("http://user:pw@shop.test/", ProblemError),
        ("http://shop.test:99999/", ProblemError),
        ("http://[", ProblemError),
    ],
)
async def test_redirections_are_checked_like_requests(
    make_caller: MakeCaller, service: Service, target: str, status: type[ProblemError]
) -> None:
    with pytest.raises(status) as caught:
        await make_caller().call_http(get(service.url("/redirect"), query={"to": target}, redirect=True))
    assert caught.value.problem.as_dict()["retryable"] is False
    assert len(service.seen) == 1


async def test_a_post_that_was_redirected_to_a_forbidden_host_may_have_been_done(
    make_caller: MakeCaller, service: Service
) -> None:
    request = HttpRequest.model_validate(
        {"method": "post", "endpoint": service.url("/redirect?to=http://evil.test/"), "redirect": True}
    )
    with pytest.raises(AuthorizationProblem) as caught:
        await make_caller().call_http(request)
    assert caught.value.problem.as_dict()["outcome"] == "unknown"


async def test_a_redirection_to_a_name_that_points_inside_is_refused(make_caller: MakeCaller, service: Service) -> None:
    async def split_horizon(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "shop.test" else ["169.254.169.254"]

    inside = "http://metadata.partner.test/"
    with pytest.raises(AuthorizationProblem, match=r"169\.254\.169\.254"):
        await make_caller(split_horizon).call_http(get(service.url(f"/redirect?to={inside}"), redirect=True))


async def test_a_name_that_does_not_resolve_is_a_communication_error(make_caller: MakeCaller) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(CommunicationProblem, match="Name or service not known") as caught:
        await make_caller(unknown).call_http(get("http://shop.test/"))
    assert (caught.value.problem.status, caught.value.problem.as_dict()["retryable"]) == (503, True)


async def test_a_slow_dns_is_bounded_and_nothing_was_done(make_caller: MakeCaller) -> None:
    async def stuck(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    request = HttpRequest.model_validate({"method": "post", "endpoint": "http://shop.test/"})
    with pytest.raises(TimeoutProblem) as caught:
        await make_caller(stuck, timeout_s=0.2).call_http(request)
    assert caught.value.problem.as_dict()["outcome"] == "not_done"


async def test_proxies_of_the_environment_are_not_used(
    make_caller: MakeCaller, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await make_caller().call_http(get(service.url("/echo")))
        assert (len(service.seen), len(proxy.seen)) == (1, 0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PEM file: a self-signed certificate for shop.test, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "shop.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(path)


class TestTls:
    async def test_the_name_is_verified_though_the_connection_goes_to_an_address(
        self, make_caller: MakeCaller, certificate: str
    ) -> None:
        caller = make_caller(ca_file=certificate)
        with serve(certificate=certificate) as secure:
            answer = await caller.call_http(get(f"https://shop.test:{secure.port}/echo"))
            assert answer["headers"]["host"] == f"shop.test:{secure.port}"
            with pytest.raises(CommunicationProblem, match="certificate"):
                await caller.call_http(get(f"https://a.partner.test:{secure.port}/echo"))

    async def test_an_unknown_authority_is_not_trusted(self, make_caller: MakeCaller, certificate: str) -> None:
        with serve(certificate=certificate) as secure, pytest.raises(CommunicationProblem, match="certificate"):
            await make_caller().call_http(get(f"https://shop.test:{secure.port}/echo"))
        assert secure.seen == []

    async def test_https_never_falls_back_to_http(
        self, make_caller: MakeCaller, certificate: str, service: Service
    ) -> None:
        caller = make_caller(ca_file=certificate)
        with serve(certificate=certificate) as secure:
            request = get(f"https://shop.test:{secure.port}/redirect?to={service.url('/echo')}", redirect=True)
            with pytest.raises(CommunicationProblem, match="https to http"):
                await caller.call_http(request)
        assert service.seen == []

    def test_a_missing_file_of_authorities_is_a_configuration_problem(self, make_caller: MakeCaller) -> None:
        with pytest.raises(ConfigurationProblem):
            make_caller(ca_file="does-not-exist.pem")
