"""Secrets that stand in the file, and requests to places where they should not go."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from domain.dsl.findings import child, listed
from domain.dsl.lint.outline import as_dict
from domain.dsl.lint.references import authentication_policies
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.dsl.lint.structure import schemas
from domain.problems import Text

_SECRET_MEMBERS = {
    "basic": (("password",),),
    "digest": (("password",),),
    "bearer": (("token",),),
    "oauth2": (("client", "secret"), ("client", "assertion"), ("password",)),
    "oidc": (("client", "secret"), ("client", "assertion"), ("password",)),
}
_TELLING_HEADERS = re.compile(
    r"^(authorization|proxy-authorization|cookie|x-api-key|api-key|x-auth-token)$", re.IGNORECASE
)


@rule("plaintext-secret", "warning")
def plaintext_secret(lint: Lint) -> Iterator[Remark]:
    for pointer, policy in authentication_policies(lint.outline):
        for scheme, paths in _SECRET_MEMBERS.items():
            for path in paths:
                value: Any = policy.get(scheme)
                for part in path:
                    value = as_dict(value).get(part)
                if _is_literal(value):
                    yield Remark(child(pointer, scheme, *path), _ADVICE)
    for task, name in lint.outline.calls():
        headers = as_dict(as_dict(task.data.get("with")).get("headers"))
        for header, value in headers.items():
            if name == "http" and _TELLING_HEADERS.match(header) and _is_literal(value):
                yield Remark(task.at("with", "headers", header), _ADVICE)
    for pointer, address in _addresses(lint):
        if re.match(r"^[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", address, re.IGNORECASE):
            yield Remark(pointer, _ADVICE)


_ADVICE = Text(
    "密码或令牌直接写在了文件里，谁都能看到。请存为密钥，列入 use.secrets，再用 ${ $secrets.名称 } 引用",
    "A password or token stands in the file for everybody to read. Keep it as a secret, list it in use.secrets, and "
    "refer to it as ${ $secrets.name }",
)


def _is_literal(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "${" not in value


@rule("host-not-allowed", "warning")
def host_not_allowed(lint: Lint) -> Iterator[Remark]:
    allowed = lint.resources.allowed_hosts
    if allowed is None:
        return
    for pointer, address in _addresses(lint):
        host = _host(address)
        if host and not _is_allowed(host, allowed):
            yield Remark(
                pointer,
                Text(
                    f"不允许访问主机 {host}，运行时会被拒绝。允许的有：{listed(sorted(allowed)) or '无'}。"
                    "如有需要，请管理员加入 TANDEM_HTTP_ALLOWED_HOSTS",
                    f"The host {host} is not allowed and would be refused. Allowed: {listed(sorted(allowed)) or 'none'}"
                    ". If it is needed, an administrator adds it to TANDEM_HTTP_ALLOWED_HOSTS",
                ),
            )


@rule("insecure-address", "warning")
def insecure_address(lint: Lint) -> Iterator[Remark]:
    for pointer, address in _addresses(lint):
        if address.lower().startswith("http://") and _host(address) not in ("localhost", "127.0.0.1"):
            yield Remark(
                pointer,
                Text(
                    "地址用的是 http://，内容会明文传输。请尽量改用 https://",
                    "The address is http:// and its content travels in the open. Use https:// where possible",
                ),
            )


@rule("bad-address", "error")
def bad_address(lint: Lint) -> Iterator[Remark]:
    for pointer, address in _addresses(lint):
        if not re.match(r"^https?://[^\s/]+", address, re.IGNORECASE):
            yield Remark(
                pointer,
                Text(
                    f"“{address}”不是完整的地址，请以 https:// 开头",
                    f"“{address}” is no complete address; start it with https://",
                ),
            )


def _addresses(lint: Lint) -> Iterator[tuple[str, str]]:
    """Literal addresses of http and openapi calls, and of schemas."""
    for pointer, schema in schemas(lint):
        endpoint = as_dict(schema.get("resource")).get("endpoint")
        address = endpoint.get("uri") if isinstance(endpoint, dict) else endpoint
        if isinstance(address, str):
            place = child(pointer, "resource", "endpoint")
            yield child(place, "uri") if isinstance(endpoint, dict) else place, address
    for task, name in lint.outline.calls():
        arguments = as_dict(task.data.get("with"))
        places = [(task.at("with", "endpoint"), arguments.get("endpoint"))] if name == "http" else []
        if name == "openapi":
            document = as_dict(arguments.get("document"))
            places.append((task.at("with", "document", "endpoint"), document.get("endpoint")))
        for pointer, endpoint in places:
            address = endpoint.get("uri") if isinstance(endpoint, dict) else endpoint
            if isinstance(address, str) and not address.lstrip().startswith("${"):
                yield child(pointer, "uri") if isinstance(endpoint, dict) else pointer, address


def _host(address: str) -> str:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return "" if "{" in host or "$" in host else host.lower()


def _is_allowed(host: str, allowed: Any) -> bool:
    return any(
        host == name.lower() or (name.startswith("*.") and host.endswith(name[1:].lower())) or name == "*"
        for name in allowed
    )
