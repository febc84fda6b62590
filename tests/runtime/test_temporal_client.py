"""Temporal over TLS: who is trusted gets through, and who is not is told why."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.problems import ConfigurationProblem, ProblemError, UnavailableProblem
from runtime.child import ChildProcess
from runtime.connections import connect_temporal
from runtime.doctor.installation import check_temporal_tls
from runtime.doctor.services import check_temporal
from runtime.embedded import EmbeddedTemporal
from runtime.health import Polling
from runtime.ports import free_port
from runtime.settings import Settings
from runtime.temporal_client import temporal_client
from storage.engine import Database
from tests.runtime.tls import Authority, handshakes_only, server_context, tls_front

HOST = "temporal.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
async def front(temporal_server: EmbeddedTemporal, authority: Authority) -> AsyncIterator[str]:
    """Temporal behind TLS, with a certificate for `temporal.test`."""
    async with tls_front(temporal_server.address, server_context(authority.issue("server", HOST))) as address:
        yield address


@pytest.fixture(scope="module")
async def mutual_front(temporal_server: EmbeddedTemporal, authority: Authority) -> AsyncIterator[str]:
    """The same, for those only who show a certificate of the authority."""
    certificate = authority.issue("mutual-server", HOST)
    async with tls_front(temporal_server.address, server_context(certificate, authority.file)) as address:
        yield address


def settings_for(address: str, authority: Authority | None = None, **more: Any) -> Settings:
    """Settings of a Temporal behind TLS."""
    given = {"temporal_tls": True, "temporal_tls_server_name": HOST, **more}
    if authority is not None:
        given["temporal_tls_ca_file"] = authority.file
    return Settings(_env_file=None, temporal_address=address, **given)


def client_pair(certificate: tuple[Path, Path]) -> dict[str, Any]:
    return {"temporal_tls_cert_file": certificate[0], "temporal_tls_key_file": certificate[1]}


async def refusal(settings: Settings, kind: type[ProblemError] = ConfigurationProblem) -> str:
    """The sentence, which there is in both languages."""
    with pytest.raises(kind) as refused:
        await temporal_client(settings)
    message = refused.value.problem.as_dict()["message"]
    assert message["zh"] != message["en"]
    return str(message["en"])


async def test_whoever_trusts_the_right_authority_gets_through(front: str, authority: Authority) -> None:
    client = await temporal_client(settings_for(front, authority))
    assert await client.service_client.check_health()


async def test_every_way_to_temporal_goes_through_tls(front: str, authority: Authority, database: Database) -> None:
    settings = settings_for(front, authority)
    for lazy in (False, True):
        client = await connect_temporal(settings, database, lazy=lazy)
        handle = await client.start_workflow("nobody-serves-this", id=f"tls-{lazy}", task_queue="none")
        assert (await handle.describe()).id == handle.id
        await handle.terminate()
    nobody = ChildProcess("worker", [], environment={}, log_file=Path("none"), check=Polling(settings))
    assert not await Polling(settings)(nobody), "it asked, and nobody polls"
    assert [finding.status async for finding in check_temporal(settings)] == ["ok"]


async def test_a_server_that_a_stranger_vouches_for_is_not_trusted(
    front: str, stranger: Authority, authority: Authority
) -> None:
    for settings in (settings_for(front, stranger), settings_for(front)):
        assert "TANDEM_TEMPORAL_TLS_CA_FILE" in await refusal(settings)
        (finding,) = [finding async for finding in check_temporal(settings)]
        assert finding.status == "fail"
        assert "TANDEM_TEMPORAL_TLS_CA_FILE" in finding.message.zh


async def test_a_certificate_for_another_name_is_not_trusted(front: str, authority: Authority) -> None:
    assert "SERVER_NAME" in await refusal(settings_for(front, authority, temporal_tls_server_name="other.test"))


async def test_a_server_certificate_that_has_ended_is_not_trusted(
    temporal_server: EmbeddedTemporal, authority: Authority
) -> None:
    certificate = authority.issue("ended", HOST, lasts=timedelta(days=-1))
    async with tls_front(temporal_server.address, server_context(certificate)) as address:
        assert "has ended" in await refusal(settings_for(address, authority))


async def test_mutual_tls_lets_the_right_certificate_through_and_no_other(
    mutual_front: str, authority: Authority, stranger: Authority
) -> None:
    right, wrong = (client_pair(each.issue("client")) for each in (authority, stranger))
    client = await temporal_client(settings_for(mutual_front, authority, **right))
    assert await client.service_client.check_health()
    for more in ({}, wrong):
        said = await refusal(settings_for(mutual_front, authority, **more), ProblemError)
        assert "TANDEM_TEMPORAL_TLS_CERT_FILE" in said


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_breaks_the_handshake_off_is_named(
    authority: Authority, stranger: Authority, newest: ssl.TLSVersion
) -> None:
    """Since TLS 1.3 a client is through before it is refused, and may hear nothing but the end."""
    context = server_context(authority.issue("strict-server", HOST), authority.file)
    context.maximum_version = newest
    with handshakes_only(context) as address:
        for more in ({}, client_pair(stranger.issue("client"))):
            kind = ConfigurationProblem if newest is ssl.TLSVersion.TLSv1_2 else ProblemError
            assert "TANDEM_TEMPORAL_TLS_CERT_FILE" in await refusal(settings_for(address, authority, **more), kind)


async def test_tls_on_one_side_only_is_named(
    front: str, temporal_server: EmbeddedTemporal, authority: Authority
) -> None:
    plain = Settings(_env_file=None, temporal_address=front)
    assert "TANDEM_TEMPORAL_TLS=true" in await refusal(plain, UnavailableProblem)
    assert "TANDEM_TEMPORAL_TLS=false" in await refusal(settings_for(temporal_server.address, authority))


async def test_a_server_that_is_away_is_no_mistake_of_the_settings(authority: Authority) -> None:
    await refusal(settings_for(f"127.0.0.1:{free_port()}", authority), UnavailableProblem)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("broken", "variable", "reason"),
    [
        ("missing", "TANDEM_TEMPORAL_TLS_CA_FILE", "no such file"),
        ("folder", "TANDEM_TEMPORAL_TLS_CA_FILE", "cannot be read"),
        ("no certificate", "TANDEM_TEMPORAL_TLS_CA_FILE", "no certificate in PEM"),
        ("key for certificate", "TANDEM_TEMPORAL_TLS_CERT_FILE", "no certificate in PEM"),
        ("certificate for key", "TANDEM_TEMPORAL_TLS_KEY_FILE", "no private key in PEM"),
        ("password", "TANDEM_TEMPORAL_TLS_KEY_FILE", "password"),
        ("another's key", "TANDEM_TEMPORAL_TLS_KEY_FILE", "is not the key"),
        ("ended", "TANDEM_TEMPORAL_TLS_CERT_FILE", "ended on"),
    ],
)
async def test_a_file_that_is_not_what_it_should_be_is_named(
    authority: Authority, tmp_path: Path, broken: str, variable: str, reason: str, lazy: bool
) -> None:
    """Before anybody is called, so that a lazy client, too, is refused when its process starts."""
    (tmp_path / "text").write_text("hello")
    certificate, key = authority.issue("pair")
    paths: dict[str, Path] = {
        "missing": tmp_path / "none.pem",
        "folder": tmp_path,
        "no certificate": tmp_path / "text",
    }
    pairs: dict[str, tuple[Path, Path]] = {
        "key for certificate": (key, key),
        "certificate for key": (certificate, certificate),
        "password": authority.issue("protected", password=b"hush"),
        "another's key": (certificate, authority.issue("another")[1]),
        "ended": authority.issue("old", lasts=timedelta(days=-3)),
    }
    more = {"temporal_tls_ca_file": paths[broken]} if broken in paths else client_pair(pairs[broken])
    settings = settings_for("127.0.0.1:9", **more)
    with pytest.raises(ConfigurationProblem) as refused:
        await temporal_client(settings, lazy=lazy)
    assert f"{variable}=/" in str(refused.value)
    assert reason in str(refused.value)
    (finding,) = check_temporal_tls(settings)
    assert (finding.status, reason in finding.message.en) == ("fail", True)


def test_the_doctor_warns_before_a_certificate_ends_and_when_others_read_its_key(authority: Authority) -> None:
    def found(certificate: tuple[Path, Path]) -> list[str]:
        return [finding.status for finding in check_temporal_tls(settings_for("x:1", **client_pair(certificate)))]

    assert found(authority.issue("good")) == ["ok"]
    assert found(authority.issue("soon", lasts=timedelta(days=29))) == ["warn"]
    open_key = authority.issue("open")
    open_key[1].chmod(0o644)
    assert found(open_key) == ["ok", "warn"]
    assert list(check_temporal_tls(Settings(_env_file=None, temporal_address="x:1"))) == []


# Enough of HPACK's code (RFC 7541, appendix B) to find `Bearer secret` among a request's headers.
_HUFFMAN = {
    "B": "1011101", "e": "00101", "a": "00011", "r": "101100", " ": "010100", "s": "01000", "c": "00100", "t": "01001"
}  # fmt: skip


def _compressed(text: str) -> bytes:
    bits = "".join(_HUFFMAN[character] for character in text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@asynccontextmanager
async def unfriendly_server(received: bytearray) -> AsyncIterator[str]:
    """Speaks just enough HTTP/2 to answer every gRPC request with UNAUTHENTICATED."""
    headers, end_stream, end_headers = 0x1, 0x1, 0x4
    answer = b"\x88" + b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in ((b"content-type", b"application/grpc"), (b"grpc-status", b"16"))
    )

    def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readexactly(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            writer.write(frame(0x4, 0, 0))
            while True:
                head = await reader.readexactly(9)
                received.extend(await reader.readexactly(int.from_bytes(head[:3], "big")))
                if head[3] == headers:
                    writer.write(frame(headers, end_stream | end_headers, int.from_bytes(head[5:], "big"), answer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_the_api_key_goes_along_and_a_server_that_refuses_it_is_named(authority: Authority) -> None:
    received = bytearray()
    async with (
        unfriendly_server(received) as behind,
        tls_front(behind, server_context(authority.issue("cloud", HOST))) as address,
    ):
        said = await refusal(settings_for(address, authority, temporal_api_key=SecretStr("secret")))
    assert "TANDEM_TEMPORAL_API_KEY" in said
    assert _compressed("Bearer secret") in received
