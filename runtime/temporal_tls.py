"""The certificates by which Tandem and a Temporal server know each other."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from temporalio.service import TLSConfig

from domain.problems import ConfigurationProblem, Text
from runtime.settings import Settings, variable


@dataclass(frozen=True, slots=True)
class TemporalTls:
    """What a client is given. client_until: when the first of our certificates ends, if we show any."""

    config: TLSConfig
    client_until: datetime | None = None


def read_temporal_tls(settings: Settings) -> TemporalTls | None:
    """The TLS of the settings, its files read and checked; None when it is off.

    :raises ConfigurationProblem: a file is missing, cannot be read or holds something else; the certificate and the key
        do not belong together; our certificate has ended.
    """
    if not settings.temporal_tls:
        return None
    authorities = None
    if settings.temporal_tls_ca_file:
        authorities = _read(settings, "temporal_tls_ca_file")
        _certificates(settings, "temporal_tls_ca_file", authorities)
    domain = settings.temporal_tls_server_name
    if settings.temporal_tls_cert_file is None:
        return TemporalTls(TLSConfig(server_root_ca_cert=authorities, domain=domain))
    chain, key = _read(settings, "temporal_tls_cert_file"), _read(settings, "temporal_tls_key_file")
    ours, *others = _certificates(settings, "temporal_tls_cert_file", chain)
    if _private_key(settings, "temporal_tls_key_file", key).public_key() != ours.public_key():
        raise _refusal(
            settings,
            "temporal_tls_key_file",
            Text("与 TANDEM_TEMPORAL_TLS_CERT_FILE 中的证书不匹配", "is not the key of TANDEM_TEMPORAL_TLS_CERT_FILE"),
        )
    until = min(each.not_valid_after_utc for each in (ours, *others))
    if until <= datetime.now(UTC):
        raise _refusal(
            settings,
            "temporal_tls_cert_file",
            Text(f"证书已于 {until:%Y-%m-%d} 过期，请换新", f"ended on {until:%Y-%m-%d}; put a new one there"),
        )
    config = TLSConfig(server_root_ca_cert=authorities, domain=domain, client_cert=chain, client_private_key=key)
    return TemporalTls(config, until)


def _read(settings: Settings, name: str) -> bytes:
    path: Path = getattr(settings, name)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        reason = Text("没有这个文件", "there is no such file")
    except OSError as error:
        reason = Text(f"无法读取（{error.strerror}）", f"it cannot be read ({error.strerror})")
    raise _refusal(settings, name, reason)


def _certificates(settings: Settings, name: str, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise _refusal(
            settings, name, Text("其中没有可读的 PEM 证书", "holds no certificate in PEM that can be read")
        ) from None


def _private_key(settings: Settings, name: str, content: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        reason = Text("私钥有密码，请提供不加密的私钥", "its key has a password; a key without one is needed")
    except ValueError:
        reason = Text("其中没有可读的 PEM 私钥", "holds no private key in PEM that can be read")
    raise _refusal(settings, name, reason)


def _refusal(settings: Settings, name: str, reason: Text) -> ConfigurationProblem:
    place = f"{variable(name)}={getattr(settings, name)}"
    return ConfigurationProblem(Text(f"{place}：{reason.zh}。", f"{place}: {reason.en}."), settings=[variable(name)])
