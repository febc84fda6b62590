"""Every setting of Tandem: from the environment (`TANDEM_…`), else `.env`, else a default that runs everything here.

Without a database or Temporal address the embedded servers are used; the settings of production differ in addresses
and secrets only.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from connectors.web.addresses import HostRules
from domain.journeys.reach import ReachPolicy
from domain.problems import ConfigurationProblem
from domain.retention import RetentionPolicy
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.levels import AllowedLevels, LevelLimit, read_allowed_levels
from domain.settlement.payouts import Rail, RailQuota
from runtime.keys import parse_keyring

ENVIRONMENT_PREFIX = "TANDEM_"
ENVIRONMENT_FILE = Path(".env")
FLOW_RUN_PREFIX = "TANDEM_SECRET_"
"""Of the variables that hold flows' secrets for `tandem flow run`; no settings."""
Port = Annotated[int, Field(ge=1, le=65535)]
Days = Annotated[int, Field(ge=1, le=36500)]
MOST_INBOX_LANES = 16


class Settings(BaseSettings):
    """What a process of Tandem is told at its start. Secrets show as `**********` wherever they are printed.

    Keyrings are `kid:base64,kid:base64`; the first key encrypts, all of them decrypt, each is 32 bytes.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_file=ENVIRONMENT_FILE, env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Path(".tandem")
    """Where the embedded servers, generated secrets, logs and the lock live."""
    locale: Literal["zh", "en"] = "zh"

    database_url: SecretStr | None = None
    """`postgresql://user:password@host:5432/database`; none: the embedded PostgreSQL."""
    temporal_address: str | None = None
    """`host:7233`; none: the embedded Temporal."""
    temporal_namespace: str = Field(default="default", min_length=1)
    temporal_tls: bool = False
    """Whether to speak TLS with that server; the embedded one has none."""
    temporal_tls_ca_file: Path | None = None
    """The certificates (PEM) of whoever signed the server's; none: the system's."""
    temporal_tls_cert_file: Path | None = None
    """Our certificate (PEM) with its chain, for mutual TLS."""
    temporal_tls_key_file: Path | None = None
    temporal_tls_server_name: str | None = None
    """The name on the server's certificate; none: the host of its address."""
    temporal_api_key: SecretStr | None = None
    """Of Temporal Cloud."""
    temporal_port: int = Field(default=7233, ge=0, le=65535)
    """Of the embedded Temporal; 0 takes any free one."""
    temporal_ui_port: int = Field(default=8233, ge=0, le=65535)

    demo: bool | None = None
    """Whether `tandem up` makes demo users and connects simulated shops; none: with the embedded database only."""

    api_host: str = "127.0.0.1"
    api_port: Port = 8000
    simulator_enabled: bool = True
    simulator_host: str = "127.0.0.1"
    simulator_port: Port = 8090
    simulator_url: str | None = None
    """Where the platform simulator answers; none: on this machine at its port."""
    simulator_trickle_s: float = Field(default=30.0, ge=0)
    """A simulated customer returns something every so many seconds: there is something to do. 0: nobody does."""
    simulator_customers: int = Field(default=120, ge=1, le=200_000)
    """People of the simulated world."""
    simulator_years: float = Field(default=2, ge=0, le=5)
    """How far back the simulated shops' history reaches."""
    simulator_push_url: str | None = None
    """Where the simulated shops send their webhooks; none: to the API on this machine."""

    http_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that `call: http` and `call: openapi` may reach; separated by commas."""
    http_allow_private: bool = False
    """Whether those hosts may resolve to private and loopback addresses."""

    payload_keys: SecretStr | None = None
    """Encrypts personal data in workflow histories."""
    field_keys: SecretStr | None = None
    """Encrypts personal data and credentials in the database."""
    token_pepper: SecretStr | None = None
    """Mixed into the hashes of API tokens."""

    four_eyes_publish: bool = False
    """Whether a definition must be published by somebody else than its author."""

    keep_inbox_days: Days = 30
    """Pushes, after they were read. Those in quarantine stay."""
    keep_events_days: Days = 400
    """Events, after they came; those that are not dispatched stay."""
    keep_runs_days: Days = 400
    """Runs with their human tasks, after they ended."""
    keep_effects_days: Days = 90
    """What runs did on the outside, after the last change; at least as long as runs."""
    keep_payments_days: Days = 1095
    """The same, where it moved money."""
    keep_tokens_days: Days = 90
    """Sessions and tokens, after they expired."""

    settlement_approvals: ApprovalPolicy | None = None
    """JSON, see `domain.settlement.approvals`; none: one approval, and two from a million yuan on."""

    settle_due: bool = False
    """Whether periods that are over are asked for by themselves; approving them stays with people."""

    payout_quotas: dict[Rail, RailQuota] = {}
    """JSON: what a rail takes in a day, `{"wechat-pay": {"payouts": 10000, "amount_minor": 100000000}}`; none: all."""
    payout_longest_pause_s: float = Field(default=1_800.0, ge=5)
    """A rail is asked about a payout under way at least so often: how late it is known that a payee confirmed."""

    settlement_levels: Annotated[AllowedLevels | None, NoDecode] = None
    """`levels:who:why`, see `domain.settlement.levels`; none: the two levels that the law allows."""

    reach_policy: ReachPolicy | None = None
    """JSON, see `domain.journeys.reach`; none: no marketing from 22 to 8, one message a day and four in 31 days."""

    inbox_lanes: int = Field(default=2, ge=1, le=MOST_INBOX_LANES)
    """Batches of the inbox that are read at once, by all workers together; the same for all of them."""

    quarantine_limit: int = Field(default=100_000, ge=1, le=10_000_000)
    """Pushes of one account that may be in quarantine; while they are, no more of the account are taken."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    otel_endpoint: str | None = None
    """OTLP over HTTP, e.g. `http://collector:4318`; none: no tracing."""
    metrics_token: SecretStr | None = None
    """Opens the API's `/metrics` to others than this machine; none: to this machine only."""
    api_caller_rate: str = "6000/minute"
    """Requests with one token, `<count>/second|minute|hour`."""
    api_address_rate: str = "30000/minute"
    """Requests from one address."""
    api_webhook_rate: str = "60000/minute"
    api_pixel_rate: str = "600/minute"
    api_site_rate: str = "120000/minute"
    """Pushes from one address."""
    worker_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Where a worker serves Prometheus metrics; none: nowhere."""

    @field_validator("data_dir", "temporal_tls_ca_file", "temporal_tls_cert_file", "temporal_tls_key_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @field_validator("http_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(host.strip().lower() for host in value.split(",") if host.strip())
        return value

    @field_validator("http_allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            HostRules(value)
        except ConfigurationProblem as error:
            raise _refused(*error.text) from None
        return value

    @field_validator("settlement_levels", mode="before")
    @classmethod
    def _levels(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return read_allowed_levels(value)
        except ConfigurationProblem as error:
            raise _refused(*error.text) from None

    @field_validator("database_url")
    @classmethod
    def _only_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
            raise _refused(
                "应为 postgresql://用户:密码@主机:5432/数据库", "must be postgresql://user:password@host:5432/database"
            )
        return SecretStr(f"postgresql://{rest}")

    @field_validator("temporal_address")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            host, _, port = value.rpartition(":")
            if not host or "/" in host or not port.isdigit():
                raise _refused("应为 主机:端口，例如 temporal:7233", "must be host:port, for example temporal:7233")
        return value

    @field_validator("temporal_api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise _refused("不得含空格、换行或非 ASCII 字符", "must not have spaces, line breaks or other than ASCII")
        return value

    @field_validator("simulator_url", "simulator_push_url", "otel_endpoint")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise _refused("应以 http:// 或 https:// 开头", "must begin with http:// or https://")
        return value

    @field_validator("payload_keys", "field_keys")
    @classmethod
    def _keyring(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                parse_keyring(value.get_secret_value())
            except ValueError:
                raise _refused(
                    "应为 名称:base64（32 字节），多个用逗号分隔，第一个为当前密钥；可用 openssl rand -base64 32 生成",
                    "must be name:base64 of 32 bytes, several separated by commas, the first one current; "
                    "openssl rand -base64 32 makes one",
                ) from None
        return value

    @field_validator("api_caller_rate", "api_address_rate", "api_webhook_rate", "api_pixel_rate", "api_site_rate")
    @classmethod
    def _rate(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9]\d{0,7}/(second|minute|hour)", value):
            raise _refused("应为 次数/second、minute 或 hour，例如 600/minute", "must be like 600/minute")
        return value

    @field_validator("token_pepper", "metrics_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise _refused("至少 16 个字符", "must have at least 16 characters")
        return value

    @model_validator(mode="after")
    def _distinct_ports(self) -> "Settings":
        ports = {"TANDEM_API_PORT": self.api_port}
        if self.simulator_enabled and self.simulator_url is None:
            ports["TANDEM_SIMULATOR_PORT"] = self.simulator_port
        if self.temporal_address is None:
            ports["TANDEM_TEMPORAL_PORT"] = self.temporal_port
            ports["TANDEM_TEMPORAL_UI_PORT"] = self.temporal_ui_port
        seen: dict[int, str] = {}
        for name, port in ports.items():
            if port and port in seen:
                raise _refused(
                    f"{name} 与 {seen[port]} 使用了同一端口 {port}，请改其中一个",
                    f"{name} and {seen[port]} are both {port}: change one of them",
                )
            seen[port] = name
        return self

    @model_validator(mode="after")
    def _whole_temporal_tls(self) -> "Settings":
        """Half a configuration is refused: a key must not travel in the clear because a line is missing."""
        names = ("temporal_tls_ca_file", "temporal_tls_cert_file", "temporal_tls_key_file", "temporal_tls_server_name")
        given = [variable(name) for name in (*names, "temporal_api_key") if getattr(self, name) is not None]
        if given and not self.temporal_tls:
            told = ", ".join(given)
            raise _refused(
                f"设置了 {told}，但未启用 TLS：请设置 TANDEM_TEMPORAL_TLS=true",
                f"{told} without TLS: set TANDEM_TEMPORAL_TLS=true",
            )
        if self.temporal_tls and self.embedded_temporal:
            raise _refused(
                "内嵌的 Temporal 不支持 TLS：请设置 TANDEM_TEMPORAL_ADDRESS，或去掉 TANDEM_TEMPORAL_TLS",
                "the embedded Temporal has no TLS: set TANDEM_TEMPORAL_ADDRESS, or leave out TANDEM_TEMPORAL_TLS",
            )
        pair = {
            "temporal_tls_cert_file": self.temporal_tls_cert_file,
            "temporal_tls_key_file": self.temporal_tls_key_file,
        }
        missing = [variable(name) for name, path in pair.items() if path is None]
        if len(missing) == 1:
            raise _refused(
                f"证书与私钥缺一不可：还缺 {missing[0]}",
                f"a certificate needs its key, and a key its certificate: set {missing[0]}",
            )
        return self

    @property
    def embedded_database(self) -> bool:
        return self.database_url is None

    @property
    def wants_demo(self) -> bool:
        return self.embedded_database if self.demo is None else self.demo

    @property
    def embedded_temporal(self) -> bool:
        return self.temporal_address is None

    def required_database_url(self) -> str:
        """The libpq address; only after it was found out (`connected_settings`, `with_addresses`)."""
        if self.database_url is None:
            raise RuntimeError("the address of the database is not known yet")
        return self.database_url.get_secret_value()

    def required_temporal_address(self) -> str:
        """`host:port`; only after it was found out (`connected_settings`, `with_addresses`)."""
        if self.temporal_address is None:
            raise RuntimeError("the address of Temporal is not known yet")
        return self.temporal_address

    @property
    def retention(self) -> RetentionPolicy:
        """How long what is over is kept."""
        return RetentionPolicy(
            inbox_days=self.keep_inbox_days,
            events_days=self.keep_events_days,
            runs_days=self.keep_runs_days,
            effects_days=self.keep_effects_days,
            payments_days=self.keep_payments_days,
            tokens_days=self.keep_tokens_days,
        )

    @property
    def level_limit(self) -> LevelLimit:
        """How many levels a settlement's scheme may have here."""
        return LevelLimit(self.settlement_levels)

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def api_url(self) -> str:
        """Where a person on this machine reaches the API."""
        host = "127.0.0.1" if self.api_host in {"0.0.0.0", "::"} else self.api_host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.api_port}"

    @property
    def simulator_address(self) -> str:
        """The base address of the platform simulator, without a slash at the end."""
        return (self.simulator_url or f"http://127.0.0.1:{self.simulator_port}").rstrip("/")

    def environment(self) -> dict[str, str]:
        """The environment variables that give a child process these very settings."""
        variables = {}
        for name, value in self:
            if value is None:
                continue
            if isinstance(value, SecretStr):
                text = value.get_secret_value()
            elif isinstance(value, tuple):
                text = ",".join(value)
            elif isinstance(value, AllowedLevels):
                text = value.written()
            elif isinstance(value, BaseModel):
                text = value.model_dump_json()
            else:
                text = str(value)
            variables[variable(name)] = text
        return variables


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + field.upper()


def _refused(zh: str, en: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{en}", {"zh": zh, "en": en})
