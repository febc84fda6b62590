"""Settings as the environment and `.env` give them, or every wrong one in words."""

import os
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource

from domain.problems import ConfigurationProblem, Text
from domain.validation_texts import explain
from runtime.settings import ENVIRONMENT_FILE, ENVIRONMENT_PREFIX, FLOW_RUN_PREFIX, Settings, variable


def unknown_variables() -> list[str]:
    """`TANDEM_…` variables in the environment and in `.env` that no setting has: misspelt, most likely.

    Raises ConfigurationProblem when `.env` cannot be read.
    """
    known = {variable(field) for field in Settings.model_fields}
    try:
        of_file = DotEnvSettingsSource(Settings).env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable_file(error) from error
    given = {*os.environ, *(name.upper() for name in of_file)}
    ours = (name for name in given if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(FLOW_RUN_PREFIX))
    return sorted(name for name in ours if name not in known)


def read_settings(**overrides: Any) -> Settings:
    """The settings as the environment and `.env` say, with overrides by field name.

    :raises ConfigurationProblem: every wrong value, by the name of its variable, and what it must be; or `.env` cannot
        be read.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise _configuration_problem(error) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable_file(error) from error


def _unreadable_file(error: OSError | UnicodeDecodeError) -> ConfigurationProblem:
    path = ENVIRONMENT_FILE.absolute()
    if isinstance(error, UnicodeDecodeError):
        return ConfigurationProblem(
            Text(f"{path} 不是 UTF-8 编码，请另存为 UTF-8。", f"{path} is not encoded in UTF-8: save it as UTF-8.")
        )
    return ConfigurationProblem(
        Text(
            f"无法读取 {path}（{error.strerror}）。请修改它的权限。",
            f"{path} cannot be read ({error.strerror}). Change its permissions.",
        )
    )


def _configuration_problem(error: ValidationError) -> ConfigurationProblem:
    sentences = [_sentence(details) for details in error.errors(include_url=False)]
    return ConfigurationProblem(
        Text(
            "设置有误（环境变量或 .env）：" + "；".join(sentence.zh for sentence in sentences) + "。",
            "Wrong settings (environment or .env): " + "; ".join(sentence.en for sentence in sentences) + ".",
        ),
        settings=[variable(str(details["loc"][0])) for details in error.errors() if details["loc"]],
    )


def _sentence(details: ErrorDetails) -> Text:
    context = details.get("ctx", {})
    expected = Text(context["zh"], context["en"]) if details["type"] == "refused" else explain(details)
    if not details["loc"]:
        return expected
    setting, *inside = map(str, details["loc"])
    field = Settings.model_fields.get(setting)
    secret = field is not None and "SecretStr" in str(field.annotation)
    place = ".".join((variable(setting), *inside))
    shown = place if secret else f"{place}={details['input']}"
    return Text(f"{shown}：{expected.zh}", f"{shown}: {expected.en}")
