import base64
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.problems import ConfigurationProblem
from runtime.configuration import connected_settings, with_secrets
from runtime.keys import new_keyring, parse_keyring
from runtime.settings_source import read_settings, unknown_variables


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.startswith("TANDEM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_setting_everything_is_embedded_here(bare: Path) -> None:
    settings = read_settings()
    assert settings.embedded_database
    assert settings.embedded_temporal
    assert settings.data_dir == bare / ".tandem"


def test_the_environment_wins_over_the_file(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".env").write_text("TANDEM_API_PORT=9001\nTANDEM_LOCALE=en\n")
    monkeypatch.setenv("TANDEM_API_PORT", "9002")
    settings = read_settings()
    assert (settings.api_port, settings.locale) == (9002, "en")


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_HTTP_ALLOWED_HOSTS", "api.example.com, Pay.Example.com ,")
    monkeypatch.setenv("TANDEM_HTTP_ALLOW_PRIVATE", "1")
    settings = read_settings()
    assert settings.http_allowed_hosts == ("api.example.com", "pay.example.com")
    assert settings.http_allow_private


@pytest.mark.parametrize(
    ("variable", "value", "zh", "en"),
    [
        ("TANDEM_API_PORT", "eighty", "应为整数", "whole number"),
        ("TANDEM_API_PORT", "70000", "不能大于 65535", "at most 65535"),
        ("TANDEM_API_PORT", "8090", "同一端口", "TANDEM_SIMULATOR_PORT"),
        ("TANDEM_FOUR_EYES_PUBLISH", "perhaps", "true 或 false", "true or false"),
        ("TANDEM_LOCALE", "fr", "可选值", "'zh' or 'en'"),
        ("TANDEM_DATABASE_URL", "mysql://db/tandem", "postgresql://", "postgresql://"),
        ("TANDEM_TEMPORAL_ADDRESS", "http://temporal", "主机:端口", "host:port"),
        ("TANDEM_OTEL_ENDPOINT", "collector:4318", "http://", "http://"),
        ("TANDEM_HTTP_ALLOWED_HOSTS", "api.example.com,https://b.example/", "不是主机名", "not a host name"),
        ("TANDEM_SIMULATOR_CUSTOMERS", "200001", "不能大于 200000", "at most 200000"),
        ("TANDEM_SETTLEMENT_LEVELS", "3", "级数:何人允许:理由", "levels:who:why"),
        ("TANDEM_SETTLEMENT_LEVELS", "2:legal:why", "级数 3 到 10", "3 to 10 levels"),
        ("TANDEM_REACH_POLICY", "{bad", "应为对象", "must be an object"),
        (
            "TANDEM_REACH_POLICY",
            '{"caps": 3}',
            "REACH_POLICY.caps=3：应为列表",
            "REACH_POLICY.caps=3: this must be a list",
        ),
        (
            "TANDEM_REACH_POLICY",
            '{"quiet_hours": {"start": "late"}}',
            "REACH_POLICY.quiet_hours.start=late：应为一天中的时间",
            "REACH_POLICY.quiet_hours.start=late: this must be a time of day",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_both_languages(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, zh: str, en: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationProblem) as refusal:
        read_settings()
    message = refusal.value.problem.as_dict()["message"]
    assert variable in message["zh"]
    assert variable in message["en"]
    assert zh in message["zh"]
    assert en in message["en"]


def test_who_allowed_more_levels_is_told_to_children_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().level_limit.most == 2
    monkeypatch.setenv("TANDEM_SETTLEMENT_LEVELS", "3:legal@corp.example:opinion of 2026-07")
    settings = read_settings()
    assert settings.level_limit.most == 3
    assert settings.environment()["TANDEM_SETTLEMENT_LEVELS"] == "3:legal@corp.example:opinion of 2026-07"


OUTSIDE = {"temporal_address": "temporal.example:7233"}


@pytest.mark.parametrize(
    ("given", "zh", "en"),
    [
        ({"temporal_tls": True}, "内嵌的 Temporal 不支持 TLS", "TANDEM_TEMPORAL_ADDRESS"),
        ({**OUTSIDE, "temporal_api_key": "hush"}, "TANDEM_TEMPORAL_TLS=true", "TANDEM_TEMPORAL_TLS=true"),
        ({**OUTSIDE, "temporal_tls_ca_file": "ca.pem"}, "TANDEM_TEMPORAL_TLS_CA_FILE", "TANDEM_TEMPORAL_TLS=true"),
        ({**OUTSIDE, "temporal_tls": True, "temporal_tls_cert_file": "c.pem"}, "还缺", "TANDEM_TEMPORAL_TLS_KEY_FILE"),
        ({**OUTSIDE, "temporal_tls": True, "temporal_tls_key_file": "k.pem"}, "还缺", "TANDEM_TEMPORAL_TLS_CERT_FILE"),
        ({**OUTSIDE, "temporal_tls": True, "temporal_api_key": "hu sh"}, "不得含空格", "must not have spaces"),
    ],
)
def test_half_a_way_to_temporal_is_refused(given: dict[str, Any], zh: str, en: str) -> None:
    with pytest.raises(ConfigurationProblem) as refusal:
        read_settings(**given)
    message = refusal.value.problem.as_dict()["message"]
    assert zh in message["zh"]
    assert en in message["en"]
    assert "hush" not in str(message)
    assert "hu sh" not in str(message)


def test_a_wrong_secret_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_PAYLOAD_KEYS", "k1:c2hvcnQ=")
    monkeypatch.setenv("TANDEM_TOKEN_PEPPER", "hush")
    with pytest.raises(ConfigurationProblem) as refusal:
        read_settings()
    assert "TANDEM_PAYLOAD_KEYS" in str(refusal.value)
    assert "c2hvcnQ" not in str(refusal.value.problem.as_dict())
    assert "hush" not in str(refusal.value.problem.as_dict())


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = new_keyring()
    monkeypatch.setenv("TANDEM_PAYLOAD_KEYS", keyring)
    monkeypatch.setenv("TANDEM_DATABASE_URL", "postgresql://tandem:open-sesame@db/tandem")
    shown = repr(read_settings())
    assert keyring.partition(":")[2] not in shown
    assert "open-sesame" not in shown


def test_a_child_process_gets_the_same_settings(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_secrets(
        read_settings(
            http_allowed_hosts=("a.example", "b.example"),
            log_level="debug",
            temporal_address="temporal.example:7233",
            temporal_tls=True,
            temporal_tls_ca_file="certificates/ca.pem",
            temporal_api_key="secret",
        ),
        generate=True,
    )
    assert settings.temporal_tls_ca_file == bare / "certificates" / "ca.pem", "whatever folder the child works in"
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == settings


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_DATABSE_URL", "postgresql://db/tandem")
    assert unknown_variables() == ["TANDEM_DATABSE_URL"]


def test_a_misspelt_line_of_the_file_is_noticed(bare: Path) -> None:
    (bare / ".env").write_text("TANDEM_LOCAL=en\nTANDEM_LOCALE=en\nTANDEM_SECRET_BANK=x\nOTHER=1\n")
    assert unknown_variables() == ["TANDEM_LOCAL"]


def test_a_file_in_another_encoding_is_refused_by_its_name(bare: Path) -> None:
    (bare / ".env").write_bytes("TANDEM_LOCALE=中".encode("gbk"))
    for read in (read_settings, unknown_variables):
        with pytest.raises(ConfigurationProblem, match="UTF-8") as refusal:
            read()
        assert str(bare / ".env") in str(refusal.value)


def test_secrets_are_made_once_and_only_their_owner_reads_them(bare: Path) -> None:
    first = with_secrets(read_settings(), generate=True)
    second = with_secrets(read_settings())
    assert first == second
    assert isinstance(first.payload_keys, SecretStr)
    assert len(parse_keyring(first.payload_keys.get_secret_value())) == 1
    files = list((bare / ".tandem" / "secrets").iterdir())
    assert {file.name for file in files} == {"payload_keys", "field_keys", "token_pepper"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_missing_secret_is_refused_with_the_command_that_makes_one() -> None:
    with pytest.raises(ConfigurationProblem, match="TANDEM_PAYLOAD_KEYS=k1:"):
        with_secrets(read_settings())


def test_lost_keys_of_existing_data_are_not_replaced(bare: Path) -> None:
    (bare / ".tandem" / "postgres" / "data" / "base" / "16385").mkdir(parents=True)
    with pytest.raises(ConfigurationProblem, match="Restore it"):
        with_secrets(read_settings(), generate=True)


def test_the_first_key_is_current_and_every_key_has_an_id_of_its_own() -> None:
    key = base64.b64encode(bytes(32)).decode()
    assert list(parse_keyring(f"new:{key},old:{key}")) == ["new", "old"]
    for wrong in (f"same:{key},same:{key}", f":{key}", "k1", "k1:%%%", f"k1:{key},"):
        with pytest.raises(ValueError, match="key"):
            parse_keyring(wrong)


def test_a_command_without_a_running_instance_says_so() -> None:
    with pytest.raises(ConfigurationProblem, match="make run"):
        connected_settings()
