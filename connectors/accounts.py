"""An account: one shop or one corp on a platform, with what is needed to act for it and to believe its pushes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from domain.accounts import AccountField
from domain.problems import ConfigurationProblem, Text
from domain.validation_texts import reasons

ADDRESS = "接口地址，一般不改 · Where its interface is; leave it, but for tests"
"""The description of `base_url`."""
_BETWEEN = " · "


class AccountSettings(BaseModel):
    """Base of every platform's account settings. Fields of type `SecretStr` are stored encrypted and never shown.

    A field's `description` says what it is and where it is found, `中文 · English`, to whoever connects an account.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def accounts_named(self) -> Mapping[str, str]:
        """Other accounts that this one refers to, by field: they have to be there when it is set."""
        return {}


S = TypeVar("S", bound=AccountSettings)


@dataclass(frozen=True, slots=True)
class Account:
    """One connected account. `slug` names it in addresses, events and calls; `settings` are decrypted."""

    platform: str
    slug: str
    settings: Mapping[str, Any] = field(repr=False)

    @property
    def source(self) -> str:
        """The CloudEvents source of everything that comes from here."""
        return f"/{self.platform}/{self.slug}"

    def parse_settings(self, model: type[S]) -> S:
        """The typed settings; raises ConfigurationProblem that says what is wrong, never the values."""
        try:
            return model.model_validate(dict(self.settings))
        except ValidationError as error:
            wrong = reasons(error)
            raise ConfigurationProblem(
                Text(
                    f"账号 {self.platform}/{self.slug} 的设置缺少或有误：{wrong.zh}。请在账号设置中补全",
                    f"The settings of account {self.platform}/{self.slug} are missing or wrong: {wrong.en}. "
                    "Complete them in the account's settings",
                ),
                platform=self.platform,
                account=self.slug,
                retryable=False,
            ) from None


def secret_fields(model: type[AccountSettings]) -> frozenset[str]:
    """The settings that must be stored encrypted."""
    return frozenset(name for name, spec in model.model_fields.items() if SecretStr in _kinds(spec.annotation))


def _kinds(annotation: Any) -> set[Any]:
    """What a value may be, None aside: the bare members of a union, the values of a Literal."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {kind for each in get_args(annotation) for kind in _kinds(each)} - {NoneType}
    return set(get_args(annotation)) if get_origin(annotation) is Literal else {annotation}


def described(model: type[AccountSettings]) -> tuple[AccountField, ...]:
    """What an account must or may be told, in the settings' order."""
    schema, secrets = model.model_json_schema(), secret_fields(model)
    required = frozenset(schema.get("required", ()))
    fields: list[AccountField] = []
    for name, told in schema["properties"].items():
        value = next((each for each in told.get("anyOf", ()) if each.get("type") != "null"), told)
        zh, _, en = told.get("description", "").partition(_BETWEEN)
        fields.append(
            AccountField(
                name=name,
                secret=name in secrets,
                required=name in required,
                type=value.get("type", "string"),
                choices=tuple(value.get("enum", ())),
                default=told.get("default"),
                about=Text(zh, en or zh) if zh else None,
            )
        )
    return tuple(fields)


def settings_from_texts(model: type[AccountSettings], given: Mapping[str, str]) -> dict[str, Any]:
    """Settings as somebody typed them: JSON where a setting is no text, so that an app key of digits stays a text.

    What is no JSON, and what nobody knows, stays as it is: the settings' own check says what is wrong with it.
    """
    return {
        name: value if _is_text(model.model_fields.get(name)) else _json_or_text(value) for name, value in given.items()
    }


def _is_text(spec: FieldInfo | None) -> bool:
    if spec is None:
        return True
    return all(kind in (str, SecretStr) or isinstance(kind, str) for kind in _kinds(spec.annotation))


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def refuse_secrets(model: type[AccountSettings], shown: Iterable[str]) -> None:
    """Raises ConfigurationProblem that names those of the settings to be shown which are secrets."""
    secrets = sorted(secret_fields(model) & set(shown))
    if secrets:
        names = ", ".join(secrets)
        raise ConfigurationProblem(
            Text(
                f"{names} 是机密，不能放在 settings 里（会明文保存并显示）：请放进 credentials，命令行则从标准输入读取",
                f"{names}: secrets do not belong among the settings, which are stored and shown in clear; "
                "give them as credentials, on the command line by stdin",
            ),
            retryable=False,
        )
