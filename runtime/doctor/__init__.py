"""What is wrong with this installation, and what to do about it."""

from collections.abc import AsyncIterator, Callable, Iterator

from domain.problems import ConfigurationProblem
from runtime.configuration import with_addresses
from runtime.doctor.finding import Finding, Status, refused
from runtime.doctor.installation import (
    check_keys,
    check_lock,
    check_machine,
    check_ports,
    check_python,
    check_sanity,
    check_servers,
    check_temporal_tls,
    check_variables,
)
from runtime.doctor.services import check_api, check_database, check_temporal
from runtime.instance import read_addresses
from runtime.settings import Settings
from runtime.settings_source import read_settings

__all__ = ["Finding", "Status", "examine"]

_LOCAL: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_sanity,
    check_servers,
    check_machine,
    check_lock,
    check_ports,
    check_keys,
    check_temporal_tls,
)


async def examine() -> list[Finding]:
    """Every finding, good ones too; servers are asked only when they should be running."""
    findings = [*check_python()]
    try:
        findings += check_variables()
        settings = read_settings()
    except ConfigurationProblem as error:
        # Without settings nobody knows what else to look at.
        return [*findings, refused("settings", error)]
    for check in _LOCAL:
        findings.extend(check(settings))
    return findings + [finding async for finding in _running(settings)]


async def _running(settings: Settings) -> AsyncIterator[Finding]:
    addresses = read_addresses(settings.data_dir)
    if addresses:
        settings = with_addresses(settings, addresses.database_url, addresses.temporal_address)
    if not settings.embedded_database:
        async for finding in check_database(settings):
            yield finding
    if not settings.embedded_temporal:
        async for finding in check_temporal(settings):
            yield finding
    if addresses:
        async for finding in check_api(settings):
            yield finding
