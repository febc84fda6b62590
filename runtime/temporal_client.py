"""Clients of the Temporal server that the settings name: every one of this process connects this way."""

from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.problems import ConfigurationProblem, ProblemError, Text, UnavailableProblem
from runtime.settings import Settings
from runtime.temporal_tls import read_temporal_tls

_REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
# The SDK passes on what its TLS library said, as text only.
_REFUSALS = ("code: Unauthenticated", "code: PermissionDenied")
_MISTAKES = (
    (
        ("InvalidCertificate(UnknownIssuer",),
        Text(
            "服务端证书不是由受信任的机构签发的，请让 TANDEM_TEMPORAL_TLS_CA_FILE 指向签发它的 CA 证书",
            "nobody we trust signed its certificate; name the certificate of its authority with "
            "TANDEM_TEMPORAL_TLS_CA_FILE",
        ),
    ),
    (
        ("NativeCertsNotFound",),
        Text(
            "本机没有受信任的根证书，请安装 ca-certificates，或设置 TANDEM_TEMPORAL_TLS_CA_FILE",
            "this machine has no certificates of authorities; install ca-certificates, or set "
            "TANDEM_TEMPORAL_TLS_CA_FILE",
        ),
    ),
    (
        ("InvalidCertificate(NotValidForName",),
        Text(
            "服务端证书上是别的名称，请用 TANDEM_TEMPORAL_TLS_SERVER_NAME 填写证书上的名称",
            "its certificate is for another name; set TANDEM_TEMPORAL_TLS_SERVER_NAME to the name that stands on it",
        ),
    ),
    (
        ("InvalidCertificate(Expired",),
        Text("服务端证书已过期，请在服务端更换", "its certificate has ended; it needs a new one"),
    ),
    (("InvalidCertificate(",), Text("服务端证书无效", "its certificate is not valid")),
    (
        ("InvalidMessage(", "InvalidContentType"),
        Text(
            "该地址没有使用 TLS，请检查端口，或设置 TANDEM_TEMPORAL_TLS=false",
            "there is no TLS at this address; check the port, or set TANDEM_TEMPORAL_TLS=false",
        ),
    ),
    (
        ("AlertReceived(", "received fatal alert"),
        Text(
            "服务端中止了 TLS 握手，请检查 TANDEM_TEMPORAL_TLS_CERT_FILE 中的客户端证书是否由它信任的机构签发",
            "it broke off the handshake; see that it trusts whoever signed the client certificate in "
            "TANDEM_TEMPORAL_TLS_CERT_FILE",
        ),
    ),
)
# A server that goes away looks the same, so it is no more than a guess.
_ENDED = ("hyper::Error(", "h2::Error", "handshake eof")
_ENDED_PLAIN = Text(
    "。若服务端使用 TLS，请设置 TANDEM_TEMPORAL_TLS=true", ". If it speaks TLS, set TANDEM_TEMPORAL_TLS=true"
)
_ENDED_TLS = Text(
    "。服务端可能要求客户端证书，或不信任我们的证书：请检查 TANDEM_TEMPORAL_TLS_CERT_FILE 与 …_KEY_FILE",
    ". It may ask for a client certificate, or not trust ours: see TANDEM_TEMPORAL_TLS_CERT_FILE and …_KEY_FILE",
)


async def temporal_client(settings: Settings, **options: Any) -> Client:
    """A client with the settings' address, namespace, TLS and API key; `options` as of `Client.connect`.

    :raises ConfigurationProblem: a certificate or key is wrong, the server's or ours, or the API key is refused.
    :raises UnavailableProblem: Temporal cannot be reached.
    """
    tls, key = read_temporal_tls(settings), settings.temporal_api_key
    try:
        return await Client.connect(
            settings.required_temporal_address(),
            namespace=settings.temporal_namespace,
            tls=tls.config if tls else False,
            api_key=key.get_secret_value() if key else None,
            **options,
        )
    except (RPCError, RuntimeError) as error:
        raise connection_problem(settings, error) from error


def connection_problem(settings: Settings, error: RPCError | RuntimeError) -> ProblemError:
    """What an error of a client that did not reach its server means, and what to do about it."""
    address, said = settings.required_temporal_address(), str(error)
    if meaning := _mistake(settings, error, said):
        return ConfigurationProblem(
            Text(
                f"Temporal（{address}）：{meaning.zh}（{said}）",
                f"Temporal at {address}: {meaning.en} ({said})",
            )
        )
    hint = (_ENDED_TLS if settings.temporal_tls else _ENDED_PLAIN) if _has(said, _ENDED) else Text("", "")
    return UnavailableProblem(
        Text(
            f"连接不上 Temporal（{address}）：{said}{hint.zh}",
            f"Temporal at {address} cannot be reached: {said}{hint.en}",
        )
    )


def _mistake(settings: Settings, error: Exception, said: str) -> Text | None:
    """The mistake in the settings, or in the server's certificate, when there certainly is one."""
    if _has(said, _REFUSALS) or (isinstance(error, RPCError) and error.status in _REFUSED):
        namespace = settings.temporal_namespace
        return Text(
            f"服务端拒绝了我们，请检查 TANDEM_TEMPORAL_API_KEY 与命名空间 {namespace}",
            f"it refuses us; check TANDEM_TEMPORAL_API_KEY and the namespace {namespace}",
        )
    return next((meaning for signs, meaning in _MISTAKES if _has(said, signs)), None)


def _has(said: str, signs: tuple[str, ...]) -> bool:
    return any(sign in said for sign in signs)
