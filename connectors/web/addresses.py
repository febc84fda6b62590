"""Which hosts and addresses a flow may reach.

A host must be on the allow-list; that is not enough, because whoever controls its DNS decides where it points. So every
resolved address is judged too: public ones pass, private ones pass only when the installation says so, and those that
are never a service of anybody (link-local with the clouds' metadata services, multicast, reserved) never pass.

Source: IANA special-purpose address registries (RFC 6890 and its updates); metadata addresses as the clouds document
them.
"""

import ipaddress
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from domain.problems import ConfigurationProblem, Text

Address = IPv4Address | IPv6Address


class Reach(StrEnum):
    """How far an address may be reached from a flow."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


_PRIVATE_V4 = tuple(
    map(
        IPv4Network,
        # 198.18.0.0/15 is for benchmarks; local proxies hand it out as a stand-in for every name.
        ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"),
    )
)
_PRIVATE_V6 = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
_NEVER_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
            "100.100.100.200/32",  # metadata of Alibaba Cloud
            "168.63.129.16/32",  # the host of an Azure machine
        ),
    )
)
_NEVER_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
            "fd00:ec2::254/128",  # metadata of Amazon
            "fd20:ce::254/128",  # metadata of Google
        ),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def reach(text: str) -> Reach:
    """How far the address may be reached; an IPv4 address inside an IPv6 one counts as itself."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return Reach.NEVER
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = IPv4Address(int(address) & 0xFFFF_FFFF)
    if isinstance(address, IPv4Address):
        return _reach_v4(address)
    return _reach_v6(address)


def _reach_v4(address: IPv4Address) -> Reach:
    if any(address in network for network in _NEVER_V4):
        return Reach.NEVER
    return Reach.PRIVATE if any(address in network for network in _PRIVATE_V4) else Reach.PUBLIC


def _reach_v6(address: IPv6Address) -> Reach:
    if any(address in network for network in _NEVER_V6):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE_V6):
        return Reach.PRIVATE
    return Reach.PUBLIC if address in _GLOBAL_V6 else Reach.NEVER


class HostRules:
    """The allow-list: exact names, and `*.example.com` for every name below `example.com` but not itself.

    Raises ConfigurationProblem for an entry that is neither, such as an address with a scheme or a lone `*`.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._suffixes: list[str] = []
        for entry in entries:
            name = canonical_host(entry.strip())
            wildcard = name.startswith("*.")
            bare = name.removeprefix("*.")
            if not bare or not _is_host(bare) or (wildcard and "." not in bare):
                raise ConfigurationProblem(
                    Text(
                        f"TANDEM_HTTP_ALLOWED_HOSTS 中的“{entry}”不是主机名；请写 api.example.com 或 *.example.com",
                        f"'{entry}' in TANDEM_HTTP_ALLOWED_HOSTS is not a host name; write api.example.com or "
                        "*.example.com",
                    )
                )
            if wildcard:
                self._suffixes.append("." + bare)
            else:
                self._exact.add(bare)

    def allow(self, host: str) -> bool:
        """Whether the host, as it stands in an address, is on the list."""
        name = canonical_host(host)
        return name in self._exact or any(name.endswith(suffix) for suffix in self._suffixes)


def canonical_host(host: str) -> str:
    """One spelling of a host: lower case, no final dot, no brackets, international names as in DNS."""
    name = host.strip().removeprefix("[").removesuffix("]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).compressed
    except ValueError:
        pass
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return all(
            label and label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in name.split(".")
        )
    return True
