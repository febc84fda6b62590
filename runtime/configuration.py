"""Settings made complete: with the secrets of this installation, and with the addresses of what runs."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from domain.problems import ConfigurationProblem, Text
from runtime.folders import unwritable
from runtime.instance import read_addresses
from runtime.keys import new_keyring, new_pepper, parse_keyring, read_secret, write_secret
from runtime.postgres_data import holds_databases
from runtime.settings import Settings, variable
from runtime.settings_source import read_settings

_MAKERS = {"payload_keys": new_keyring, "field_keys": new_keyring, "token_pepper": new_pepper}


def secrets_dir(settings: Settings) -> Path:
    """Where generated secrets are kept."""
    return settings.data_dir / "secrets"


def with_secrets(settings: Settings, *, generate: bool = False) -> Settings:
    """The settings with every secret present: as set, else from this installation's files, else newly made.

    :raises ConfigurationProblem: one is missing and may not be made, or its file is wrong or closed to us.
    """
    directory = secrets_dir(settings)
    found: dict[str, Any] = {}
    for name, make in _MAKERS.items():
        if getattr(settings, name) is not None:
            continue
        try:
            value = read_secret(directory, name)
            if value is None and generate:
                _refuse_new_key_for_old_data(settings, directory / name)
                value = make()
                write_secret(directory, name, value)
        except OSError as error:
            raise unwritable(directory, error) from error
        if value is None:
            raise _missing(name, directory)
        if name.endswith("_keys"):
            try:
                parse_keyring(value)
            except ValueError as error:
                raise ConfigurationProblem(
                    Text(
                        f"密钥文件 {directory / name} 内容有误。请从备份恢复它：没有它，已加密的数据无法读取。",
                        f"The key file {directory / name} is damaged. Restore it from a backup: "
                        "without it, what was encrypted cannot be read.",
                    )
                ) from error
        found[name] = SecretStr(value)
    return settings.model_copy(update=found)


def connected_settings(**overrides: Any) -> Settings:
    """Settings with secrets and with the addresses of a database and a Temporal server that run.

    Addresses that no setting gives are those of the instance that runs in the same data folder.

    :raises ConfigurationProblem: an address is missing and nothing runs here.
    """
    settings = read_settings(**overrides)
    if settings.embedded_database or settings.embedded_temporal:
        addresses = read_addresses(settings.data_dir)
        if addresses is None:
            raise ConfigurationProblem(
                Text(
                    f"数据目录 {settings.data_dir} 下没有正在运行的 Tandem。请先在另一个终端执行 make run，"
                    "或设置 TANDEM_DATABASE_URL 与 TANDEM_TEMPORAL_ADDRESS。",
                    f"No Tandem runs in the data folder {settings.data_dir}. Run `make run` in another terminal first, "
                    "or set TANDEM_DATABASE_URL and TANDEM_TEMPORAL_ADDRESS.",
                )
            )
        settings = with_addresses(settings, addresses.database_url, addresses.temporal_address)
    return with_secrets(settings)


def with_addresses(settings: Settings, database_url: str, temporal_address: str) -> Settings:
    """The settings with these addresses where they have none of their own."""
    return settings.model_copy(
        update={
            "database_url": settings.database_url or SecretStr(database_url),
            "temporal_address": settings.temporal_address or temporal_address,
        }
    )


def _refuse_new_key_for_old_data(settings: Settings, file: Path) -> None:
    """Secrets are made before the first start of the database: without them, data cannot be told from noise."""
    if settings.embedded_database and holds_databases(settings.data_dir / "postgres" / "data"):
        raise ConfigurationProblem(
            Text(
                f"已有数据，但密钥文件 {file} 不见了。请从备份恢复它；若不再需要这些数据，请删除 {settings.data_dir}。",
                f"There is data, but its key file {file} is gone. Restore it from a backup; "
                f"if the data is no longer needed, remove {settings.data_dir}.",
            )
        )


def _missing(name: str, directory: Path) -> ConfigurationProblem:
    how = "openssl rand -base64 32"
    value = f"k1:$({how})" if name.endswith("_keys") else f"$({how})"
    return ConfigurationProblem(
        Text(
            f"缺少密钥：请设置 {variable(name)}（例如 {variable(name)}={value}），或提供文件 {directory / name}。",
            f"A secret is missing: set {variable(name)} (for example {variable(name)}={value}), "
            f"or provide the file {directory / name}.",
        ),
        settings=[variable(name)],
    )
