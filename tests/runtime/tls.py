"""Certificates of a test's own, and TLS in front of a server that has none."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates; everything it makes lies in `folder` as PEM."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, self._key.public_key(), (), timedelta(days=365), authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate)

    def issue(
        self, name: str, *hosts: str, lasts: timedelta = timedelta(days=365), password: bytes | None = None
    ) -> tuple[Path, Path]:
        """The files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = (self.folder / f"{self._name}-{name}.{kind}.pem" for kind in ("certificate", "key"))
        certificate.write_bytes(self._signed(name, key.public_key(), hosts, lasts))
        protection = BestAvailableEncryption(password) if password else NoEncryption()
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
        private.chmod(0o600)
        return certificate, private

    def _signed(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        hosts: Sequence[str],
        lasts: timedelta,
        *,
        authority: bool = False,
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self._name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def server_context(certificate: tuple[Path, Path], trusts: Path | None = None) -> ssl.SSLContext:
    """The TLS of a gRPC server; trusts: the authority that must have signed the caller's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])
    if trusts is not None:
        context.load_verify_locations(trusts)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def tls_front(target: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """Take TLS off in front of a server (`host:port`); the address of the front."""
    host, _, port = target.rpartition(":")
    going: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        going.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_pass_on(reader, behind_writer), _pass_on(behind_reader, writer))
        going.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(going):
            task.cancel()
        await asyncio.gather(*going)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


@contextlib.contextmanager
def handshakes_only(context: ssl.SSLContext) -> Iterator[str]:
    """A server that tells whom it refuses why, with an alert; asyncio's closes without a word. Its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
