"""What happens to payloads on their way to Temporal and back: encrypted going out, definitions fetched coming in.

Source: temporalio `PayloadCodec`; AES-256-GCM by `cryptography`; DEFLATE, RFC 1951.
"""

import dataclasses
import os
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from domain.dsl.library import ProgramLibrary
from domain.dsl.program import Program
from domain.problems import ConfigurationProblem, Text
from workflows.payloads import DEFINITION_METADATA, TandemPayloadConverter

_ENCODING = b"binary/encrypted"
_KEY_ID = "encryption-key-id"
_NONCE_BYTES = 12
_COMPRESSION = "compression"
_DEFLATE = b"deflate"
_RAW = -15
# Below this the saving does not show; above it every byte saved is kept seven times over in a worker's memory.
_WORTH_COMPRESSING = 256
# A compressor clears tables of 256 KiB before its first byte; for a text of this size small ones find the same.
_SMALL_BYTES, _SMALL_WINDOW, _SMALL_MEMORY = 4096, -12, 5

FetchProgram = Callable[[str], Awaitable[Program | None]]
"""The compiled definition of a digest, from wherever definitions are kept; None when it is not among them."""


def data_converter(
    keyring: Mapping[str, bytes], fetch: FetchProgram | None = None, library: ProgramLibrary | None = None
) -> DataConverter:
    """How a client of ours writes messages: as JSON, all encrypted when there is a key, sentences of errors too."""
    converter = dataclasses.replace(
        DataConverter.default,
        payload_converter_class=TandemPayloadConverter,
        payload_codec=TandemCodec(keyring, fetch, library),
    )
    if not keyring:
        return converter
    return dataclasses.replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


class TandemCodec(PayloadCodec):
    """Compresses and encrypts with the first key of the keyring, decrypts with whichever key a payload names.

    Old keys stay in the ring as long as histories written with them are read: that is the rotation. A worker also
    gives `fetch` and a library: the definition that a payload names is in the library before any workflow sees it.
    One that is nowhere is missed by the workflow, which fails; while it cannot be fetched, the workflow waits.
    """

    def __init__(
        self, keyring: Mapping[str, bytes], fetch: FetchProgram | None = None, library: ProgramLibrary | None = None
    ) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keyring.items()}
        self._current = next(iter(self._ciphers), None)
        self._fetch, self._library = fetch, library

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted payloads; as they are when the keyring is empty."""
        if self._current is None:
            return list(payloads)
        return [self._encrypt(payload, self._current) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Plain payloads, the definitions they name loaded. Raises ConfigurationProblem when a key is missing."""
        plain = [
            self._decrypt(payload) if payload.metadata.get("encoding") == _ENCODING else payload for payload in payloads
        ]
        for payload in plain:
            await self._load_definition(payload)
        return plain

    def _encrypt(self, payload: Payload, key_id: str) -> Payload:
        plain, metadata = payload.SerializeToString(), {"encoding": _ENCODING, _KEY_ID: key_id.encode()}
        if len(plain) >= _WORTH_COMPRESSING:
            packed = _deflate(plain)
            if len(packed) < len(plain):
                plain, metadata[_COMPRESSION] = packed, _DEFLATE
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[key_id].encrypt(nonce, plain, key_id.encode() + metadata.get(_COMPRESSION, b""))
        return Payload(metadata=metadata, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        key_id = payload.metadata.get(_KEY_ID, b"").decode()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise ConfigurationProblem(
                Text(
                    f"密钥环中没有密钥“{key_id}”，请把它加回 TANDEM_PAYLOAD_KEYS",
                    f"The keyring has no key “{key_id}”; put it back into TANDEM_PAYLOAD_KEYS",
                )
            )
        compression = payload.metadata.get(_COMPRESSION, b"")
        try:
            opened = cipher.decrypt(
                payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], key_id.encode() + compression
            )
        except InvalidTag:
            raise ConfigurationProblem(
                Text(
                    f"无法用密钥“{key_id}”解密：密钥不对或数据被改动",
                    f"The key “{key_id}” does not open this payload: a wrong key, or the data was changed",
                )
            ) from None
        if compression == _DEFLATE:
            opened = zlib.decompress(opened, wbits=_RAW)
        return Payload.FromString(opened)

    async def _load_definition(self, payload: Payload) -> None:
        named = payload.metadata.get(DEFINITION_METADATA)
        if named is None or self._fetch is None or self._library is None:
            return
        digest = named.decode()
        if digest not in self._library and (program := await self._fetch(digest)) is not None:
            self._library.put(digest, program)


def _deflate(plain: bytes) -> bytes:
    if len(plain) > _SMALL_BYTES:
        return zlib.compress(plain, wbits=_RAW)
    compressor = zlib.compressobj(wbits=_SMALL_WINDOW, memLevel=_SMALL_MEMORY)
    return compressor.compress(plain) + compressor.flush()
