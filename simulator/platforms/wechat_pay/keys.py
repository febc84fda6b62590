"""RSA keys that follow from the seed, so that one seed gives one world: for a simulator, and for nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

BITS = 2048
_EXPONENT = 65537
_SMALL = [
    number for number in range(3, 2000, 2) if all(number % factor for factor in range(3, int(number**0.5) + 1, 2))
]


@lru_cache(maxsize=8)
def rsa_key(seed: str) -> rsa.RSAPrivateKey:
    """The key of a seed."""
    primes = _primes(seed)
    while True:
        p, q = next(primes), next(primes)
        phi = (p - 1) * (q - 1)
        if p != q and phi % _EXPONENT:
            break
    d = pow(_EXPONENT, -1, phi)
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key()


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """The key as PKCS#8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Its public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(key: rsa.RSAPrivateKey, *lines: str) -> str:
    """RSA-SHA256 over the lines, each ended by a line feed, in Base64."""
    return base64.b64encode(key.sign(_joined(lines), padding.PKCS1v15(), SHA256())).decode()


def is_signed(key: rsa.RSAPrivateKey, signature: str, *lines: str) -> bool:
    """Whether a signature is this key's over the lines."""
    try:
        key.public_key().verify(base64.b64decode(signature), _joined(lines), padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def opened(key: rsa.RSAPrivateKey, sealed: str) -> str:
    """Personal data that was sealed with the public half. ValueError when it was not."""
    scheme = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)  # noqa: S303  what the platform prescribes
    return key.decrypt(base64.b64decode(sealed), scheme).decode()


def sealed_resource(apiv3_key: str, text: str, nonce: str, context: str) -> str:
    """A notice's contents: AES-256-GCM with the merchant's key, in Base64."""
    return base64.b64encode(
        AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), text.encode(), context.encode())
    ).decode()


def _joined(lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _primes(seed: str) -> Iterator[int]:
    size = BITS // 16
    for number in range(1_000_000):
        raw = b"".join(sha256(f"{seed}:{number}:{part}".encode()).digest() for part in range(size // 32))
        candidate = int.from_bytes(raw, "big") | 3 << (8 * size - 2) | 1
        if all(candidate % small for small in _SMALL) and _is_prime(candidate):
            yield candidate


def _is_prime(number: int) -> bool:
    """Miller-Rabin; for random numbers of this size a handful of bases is plenty."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19):
        x = pow(base, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True
