"""Which credentials a call goes with: reusable policies and secrets brought together, values still placeholders.

Source: Serverless Workflow DSL 1.0.3, "Authentication".
"""

import base64
from collections.abc import Mapping
from typing import Any

from domain.dsl.secrets import placeholder
from domain.problems import AuthorizationProblem, ConfigurationProblem, Text

_SCHEMES = {"basic": "Basic", "bearer": "Bearer", "digest": "Digest", "oauth2": "Bearer", "oidc": "Bearer"}


def resolve_authentication(
    policy: Mapping[str, Any], reusable: Mapping[str, Any], secrets: Mapping[str, tuple[str, ...] | None]
) -> dict[str, Any]:
    """The policy with `use` followed: to `use.authentications`, and to the members of a secret.

    `reusable` are the policies of the definition, their expressions evaluated. Raises ConfigurationProblem for an
    unknown policy, AuthorizationProblem (403) for a secret that the definition may not use or that does not exist.
    """
    if "use" in policy:
        named = reusable.get(policy["use"])
        if named is None:
            raise ConfigurationProblem(
                Text(
                    f"use.authentications 中没有“{policy['use']}”",
                    f"There is no authentication “{policy['use']}” in use.authentications",
                )
            )
        return resolve_authentication(named, {}, secrets)
    scheme, properties = next(iter(policy.items()))
    if isinstance(properties, dict) and set(properties) == {"use"}:
        properties = _from_secret(scheme, properties["use"], secrets)
    return {scheme: properties}


def authorization(policy: Mapping[str, Any]) -> dict[str, Any]:
    """`$authorization`: the scheme, and its parameter where it is known before the call is made."""
    scheme, properties = next(iter(policy.items()))
    parameter = None
    if scheme == "bearer":
        parameter = properties.get("token")
    elif scheme == "basic" and "\x02" not in f"{properties.get('username')}{properties.get('password')}":
        parameter = base64.b64encode(f"{properties['username']}:{properties['password']}".encode()).decode()
    return {"scheme": _SCHEMES.get(scheme, scheme), "parameter": parameter}


def _from_secret(scheme: str, name: str, secrets: Mapping[str, tuple[str, ...] | None]) -> dict[str, Any]:
    if name not in secrets:
        raise AuthorizationProblem(
            Text(
                f"流程无权使用密钥“{name}”：请先写入 use.secrets 并由管理员设置",
                f"The flow may not use the secret “{name}”: list it in use.secrets and have an administrator set it",
            )
        )
    members = secrets[name]
    if members is None:
        return {"token" if scheme == "bearer" else "password": placeholder(name)}
    properties: dict[str, Any] = {}
    for member in members:
        place = properties
        *parents, last = member.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = placeholder(name, member)
    return properties
