"""Validation of a flow's data against JSON Schemas, inline or at an address.

Source: JSON Schema 2020-12; Serverless Workflow DSL 1.0.3, "Schema".
"""

import json
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

from domain.dsl.model import Endpoint, Schema
from domain.problems import ConfigurationProblem, Text, ValidationProblem

MOST_REASONS = 10


def _multiple_of(validator: Any, divisor: float, value: Any, _: Any) -> Iterator[ValidationError]:
    """`multipleOf` by decimal digits: 19.99 is a multiple of 0.01, which binary fractions do not say, and a number too
    large for them is a number too."""
    if validator.is_type(value, "number") and _exact(value) % _exact(divisor):
        yield ValidationError(f"{str(value)[:40]} is not a multiple of {divisor}")


def _exact(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


_extend: Any = validators.extend
_VALIDATOR: type[Draft202012Validator] = _extend(Draft202012Validator, {"multipleOf": _multiple_of})


class SchemaSource(Protocol):
    """Whoever can fetch a schema from its address."""

    async def fetch_schema(self, endpoint: Endpoint | str) -> Any: ...


def schema_validator(document: Any) -> Draft202012Validator:
    """A validator that never leaves the document: no remote `$ref`. Raises ConfigurationProblem for a broken schema.

    Checking a schema takes a millisecond, and a form is checked against the same one all day: those used last are kept.
    """
    try:
        return _known_validator(json.dumps(document))
    except (TypeError, ValueError):
        return _new_validator(document)


@lru_cache(maxsize=256)
def _known_validator(text: str) -> Draft202012Validator:
    return _new_validator(json.loads(text))


def _new_validator(document: Any) -> Draft202012Validator:
    try:
        Draft202012Validator.check_schema(document)
    except SchemaError as error:
        raise ConfigurationProblem(
            Text(
                f"JSON Schema 本身有误（{error.json_path}）：{error.message}",
                f"The JSON Schema itself is wrong at {error.json_path}: {error.message}",
            )
        ) from None
    return _VALIDATOR(document, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def violations(validator: Draft202012Validator, value: Any) -> list[dict[str, str]]:
    """What is wrong with a value: `{pointer, message}` for the first few violations, nearest to the root first."""
    errors = sorted(validator.iter_errors(value), key=lambda error: (len(error.absolute_path), error.json_path))
    return [{"pointer": _pointer(error), "message": error.message[:500]} for error in errors[:MOST_REASONS]]


async def validate(schema: Schema, value: Any, reference: str, source: SchemaSource) -> None:
    """Return when the value is as the schema says; raises ValidationProblem with the violations."""
    if schema.resource is not None:
        document = await source.fetch_schema(schema.resource.endpoint)
    else:
        document = schema.document
    reasons = violations(schema_validator(document), value)
    if reasons:
        summary = "; ".join(f"{reason['pointer'] or '/'}: {reason['message']}" for reason in reasons)
        raise ValidationProblem(
            Text(f"数据不符合 schema：{summary}", f"The data does not fit the schema: {summary}"),
            instance=reference,
            violations=reasons,
        )


def _pointer(error: ValidationError) -> str:
    return "".join(f"/{part}" for part in error.absolute_path)
